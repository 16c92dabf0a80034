package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/tenantops/reconciler/config"
)

var yamlBlock = regexp.MustCompile("(?s)```yaml\n# (fleet|reconciler)\\.yaml\n(.*?)```")

// What the pages show of fleet.yaml and reconciler.yaml can be used as it stands.
func TestConfigurationInTheDocs(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range yamlBlock.FindAllSubmatch(text, -1) {
			kind := string(block[1])
			found[kind]++
			var faults []config.Fault
			if kind == "fleet" {
				_, faults = config.ParseFleet(kind+".yaml", block[2])
			} else {
				_, faults = config.Load(config.Sources{File: kind + ".yaml", Data: block[2]})
			}
			for _, f := range faults {
				t.Errorf("%s: %s in\n%s", page, f, block[2])
			}
		}
	}
	if found["fleet"] < 5 || found["reconciler"] < 8 {
		t.Errorf("only %v blocks were found", found)
	}
}
