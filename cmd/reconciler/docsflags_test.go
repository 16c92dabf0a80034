package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var flagInText = regexp.MustCompile("`(?:reconciler )?[a-z ]*?(--[a-z][a-z-]+)")

// TestFlagsAreDocumented holds the pages against the commands: every flag that
// a page names is one of some command, every setting is in the table of
// docs/cli.md, and so is every command on that page.
func TestFlagsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	flags := map[string]bool{"--help": true, "--version": true}
	each((&cli{}).root(), func(command *cobra.Command) {
		command.Flags().VisitAll(func(f *pflag.Flag) { flags["--"+f.Name] = true })
		command.PersistentFlags().VisitAll(func(f *pflag.Flag) { flags["--"+f.Name] = true })
		if !command.HasSubCommands() && !strings.Contains(string(page), command.Name()) {
			t.Errorf("docs/cli.md does not name %s", command.CommandPath())
		}
	})
	for name := range settingFlags {
		if !strings.Contains(string(page), "\n| `--"+name+"` |") {
			t.Errorf("--%s is not in the table of docs/cli.md", name)
		}
	}
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(pages, "../../README.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range flagInText.FindAllStringSubmatch(string(text), -1) {
			if !flags[found[1]] {
				t.Errorf("%s names %s, which no command has", filepath.Base(name), found[1])
			}
		}
	}
}

// each visits a command and those below it.
func each(command *cobra.Command, visit func(*cobra.Command)) {
	visit(command)
	for _, below := range command.Commands() {
		each(below, visit)
	}
}
