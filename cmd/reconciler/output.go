package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
	"sigs.k8s.io/yaml"
)

// format is how a command prints its answer.
type format string

const (
	asTable format = "table"
	asJSON  format = "json"
	asYAML  format = "yaml"
	asJSONL format = "jsonl" // a line for each record of a list; only some commands have one

	asMarkdown format = "markdown" // only preview has it
)

func (f *format) String() string { return string(*f) }

// Type is shown in the help.
func (f *format) Type() string { return "table|json|yaml" }

// Set refuses every other word.
func (f *format) Set(text string) error {
	switch format(text) {
	case asTable, asJSON, asYAML, asJSONL, asMarkdown:
		*f = format(text)
		return nil
	}
	return fmt.Errorf("it is table, json or yaml, or jsonl for audit, or markdown for preview")
}

// print writes the answer of a command to stdout: answer as JSON or YAML, or
// what people writes for them.
func (c *cli) print(answer any, people func(*page)) error {
	text, err := c.encode(answer, people)
	if err != nil {
		return fmt.Errorf("print the answer: %w", err)
	}
	_, err = c.stdout.Write(text)
	return err
}

func (c *cli) encode(answer any, people func(*page)) ([]byte, error) {
	switch c.output {
	case asJSON:
		return indented(answer)
	case asYAML:
		return yaml.Marshal(answer)
	case asJSONL:
		return answer.(listed).lines()
	}
	p := &page{color: colored(c.stdout)}
	people(p)
	return p.Bytes(), nil
}

// listed is an answer of records, each of which can be a line.
type listed interface{ lines() ([]byte, error) }

// jsonLines is a line of JSON for each record.
func jsonLines[T any](records []T) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	for _, r := range records {
		if err := encoder.Encode(r); err != nil {
			return nil, err
		}
	}
	return text.Bytes(), nil
}

// printDocument writes an answer that has no table, as YAML for people.
func (c *cli) printDocument(answer any) error {
	if c.output == asTable {
		c.output = asYAML
	}
	return c.print(answer, nil)
}

// indented is JSON as people can read it, with < and > of SQL as they are.
func indented(answer any) ([]byte, error) {
	var p page
	encoder := json.NewEncoder(&p)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(answer)
	return p.Bytes(), err
}

// colored tells whether w shows colours: a terminal, unless NO_COLOR
// (no-color.org) is set.
func colored(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
