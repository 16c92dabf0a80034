package examples_test

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
	"sigs.k8s.io/yaml"
)

// The workflows for GitHub, and for Gitea, which reads the same language, have
// no fault that actionlint finds.
func TestWorkflows(t *testing.T) {
	for _, name := range []string{"github.yml", "gitea.yml"} {
		text, err := os.ReadFile(filepath.Join("ci", name))
		if err != nil {
			t.Fatal(err)
		}
		linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{Shellcheck: "", Pyflakes: ""})
		if err != nil {
			t.Fatal(err)
		}
		faults, err := linter.Lint(name, text, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range faults {
			t.Errorf("%s:%d:%d: %s", name, f.Line, f.Column, f.Message)
		}
	}
}

// jobKeys are the keys of a job that docs.gitlab.com/ci/yaml documents and that
// the template may use.
var jobKeys = []string{
	"after_script", "artifacts", "before_script", "cache", "image", "interruptible", "needs", "retry", "rules", "script", "stage", "tags",
	"timeout", "variables",
}

func TestGitLabTemplate(t *testing.T) {
	text, err := os.ReadFile("ci/gitlab.yml")
	if err != nil {
		t.Fatal(err)
	}
	var jobs map[string]map[string]any
	if err := yaml.UnmarshalStrict(text, &jobs); err != nil {
		t.Fatal(err)
	}
	for name, job := range jobs {
		for key := range job {
			if !slices.Contains(jobKeys, key) {
				t.Errorf("job %s has the key %s, which GitLab does not document", name, key)
			}
		}
		if _, ok := job["script"].([]any); !ok {
			t.Errorf("job %s has no script", name)
		}
	}
}

// secretOf finds what would hand a secret to what a pull request runs.
var secretOf = regexp.MustCompile(`secrets\.|pull_request_target|AUTH_TOKEN|CI_JOB_TOKEN`)

// The templates work for pull requests of strangers: they need no secret and no
// data directory, check what they download, and run no text of a pull request.
func TestTemplatesAreSafe(t *testing.T) {
	for _, name := range []string{"github.yml", "gitea.yml", "gitlab.yml"} {
		text, err := os.ReadFile(filepath.Join("ci", name))
		if err != nil {
			t.Fatal(err)
		}
		if found := secretOf.FindString(string(text)); found != "" {
			t.Errorf("%s has %s", name, found)
		}
		for _, want := range []string{"reconciler validate .", "reconciler preview --repo .", "sha256sum --check"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s has no %q", name, want)
			}
		}
		if strings.Contains(string(text), "--data") {
			t.Errorf("%s has a data directory", name)
		}
	}
}
