package examples_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"

	"github.com/tenantops/reconciler/internal/gittest"
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

// The template for GitLab has no fault by the schema that GitLab publishes,
// which gitlab-ci-local carries; make ci-lint installs that.
func TestGitLabTemplate(t *testing.T) {
	linter, err := filepath.Abs("../.tools/ci-lint/node_modules/.bin/gitlab-ci-local")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(linter); err != nil {
		t.Skipf("no linter for GitLab CI, which make ci-lint installs: %v", err)
	}
	text, err := os.ReadFile("ci/gitlab.yml")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := lintGitLab(t, linter, string(text)); err != nil || !strings.Contains(out, "json schema validated") {
		t.Errorf("the template has faults: %v\n%s", err, out)
	}
	wrong := strings.Replace(string(text), "interruptible:", "interuptible:", 1)
	if out, err := lintGitLab(t, linter, wrong); err == nil || !strings.Contains(out, "'interuptible' property is not expected") {
		t.Errorf("the linter overlooks a key that there is not: %v\n%s", err, out)
	}
}

// lintGitLab reads a text as the .gitlab-ci.yml of a repository. No job is run,
// and nothing is fetched.
func lintGitLab(t *testing.T, linter, text string) (string, error) {
	t.Helper()
	dir := gittest.Init(t)
	gittest.Run(t, dir, "remote", "add", "origin", "git@gitlab.example:company/fleet.git")
	gittest.Commit(t, dir, "template", map[string]string{".gitlab-ci.yml": text})
	gittest.Run(t, dir, "update-ref", "refs/remotes/origin/main", "HEAD") // or it asks the remote
	gittest.Run(t, dir, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
	command := exec.Command(linter, "--list", "--color=false")
	command.Dir = dir
	command.Env = append(os.Environ(), "HOME="+t.TempDir())
	out, err := command.CombinedOutput()
	return string(out), err
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
		piped := strings.Contains(string(text), "| tee") && !strings.Contains(string(text), "shell: bash")
		if piped {
			t.Errorf("%s goes on when the preview has failed: a pipe of the default shell has the code of its last command", name)
		}
		if strings.Contains(string(text), "--data") {
			t.Errorf("%s has a data directory", name)
		}
	}
}
