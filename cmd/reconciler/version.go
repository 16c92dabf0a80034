package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func versionCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "version of the program and of what it was built with",
		Example: `  reconciler version -o json`,
		Args:    cobra.NoArgs,
		RunE: c.start(func(context.Context, []string) error {
			answer := versionAnswerOf(debug.ReadBuildInfo())
			return c.print(answer, answer.people)
		}),
	}
}

// version and revision are set by the linker in releases and images, whose
// build does not always see the repository (-X main.version=v1.2.3).
var version, revision string

// versionAnswer is what the linker, else the go command, wrote into the program.
type versionAnswer struct {
	Version  string  `json:"version"`
	Revision *string `json:"revision"` // commit of the source
	Modified bool    `json:"modified"` // with changes that were not committed
	Go       string  `json:"go"`
	Platform string  `json:"platform"`
}

func versionAnswerOf(info *debug.BuildInfo, ok bool) versionAnswer {
	answer := versionAnswer{
		Version: cmp.Or(version, "(devel)"), Revision: optional(revision),
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if !ok {
		return answer
	}
	answer.Version = cmp.Or(version, info.Main.Version, answer.Version)
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			answer.Revision = optional(s.Value)
		case "vcs.modified":
			answer.Modified = s.Value == "true"
		}
	}
	return answer
}

func (a versionAnswer) people(p *page) { p.line("%s", a.line()) }

func (a versionAnswer) line() string {
	modified := ""
	if a.Modified {
		modified = ", modified"
	}
	return fmt.Sprintf("reconciler %s (%s%s), %s, %s", a.Version, orDash(short(text(a.Revision))), modified, a.Go, a.Platform)
}
