package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/protocol"
)

func schemaCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "schema [KIND]",
		Short: "JSON Schema of the kinds of files, and of the protocol's types",
		Long: `Print the JSON Schema of one kind of file, for an editor to check while somebody
types, or of one type of the protocol, such as TenantQuota; or list both.`,
		Example: `  reconciler schema
  reconciler schema tenant > tenant.schema.json
  reconciler schema TenantQuota
  # yaml-language-server: $schema=./tenant.schema.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: c.start(func(_ context.Context, args []string) error {
			kinds := bundle.Kinds()
			if len(args) == 0 {
				answer := schemaAnswerOf(kinds)
				return c.print(answer, answer.people)
			}
			if s, ok := protocol.ShapeOf(args[0]); ok {
				return c.printSchema(s.JSONSchema())
			}
			at := slices.IndexFunc(kinds, func(k bundle.Kind) bool { return k.Name == args[0] })
			if at < 0 {
				return usagef("%q is no type of the protocol and no kind of file: it is %s", args[0], strings.Join(schemaAnswerOf(kinds).names(), ", "))
			}
			return c.printSchema(kinds[at].Schema())
		}),
	}
}

// schemaAnswer lists the kinds of files.
type schemaAnswer struct {
	Kinds []schemaKind `json:"kinds"`
	Types []string     `json:"types"` // of the protocol
}

type schemaKind struct {
	Name string `json:"name"`
	File string `json:"file"`
}

func schemaAnswerOf(kinds []bundle.Kind) schemaAnswer {
	answer := schemaAnswer{Kinds: []schemaKind{}}
	for _, s := range protocol.Shapes() {
		answer.Types = append(answer.Types, s.Name())
	}
	for _, k := range kinds {
		answer.Kinds = append(answer.Kinds, schemaKind{Name: k.Name, File: k.File})
	}
	return answer
}

func (a schemaAnswer) names() []string {
	names := make([]string, len(a.Kinds))
	for i, k := range a.Kinds {
		names[i] = k.Name
	}
	return names
}

func (a schemaAnswer) people(p *page) {
	rows := make([][]string, len(a.Kinds))
	for i, k := range a.Kinds {
		rows[i] = []string{k.Name, k.File}
	}
	p.table([]string{"KIND", "FILES"}, rows)
	p.line("")
	p.line("types of the protocol: %s", strings.Join(a.Types, ", "))
}

// printSchema writes a JSON Schema: as JSON unless YAML is asked for.
func (c *cli) printSchema(schema map[string]any) error {
	if c.output == asTable {
		c.output = asJSON
	}
	return c.print(schema, nil)
}
