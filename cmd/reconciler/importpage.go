package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/tenantops/reconciler/adoption"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/reason"
)

// locate finds the file that a path or a URL leads to, and the URL that a
// tenant.yaml has for it.
func locate(data, given string) (path, address string, err error) {
	switch {
	case given == "":
		return "", "", errors.New("its URL is empty")
	case strings.HasPrefix(given, "file:"):
		if path, err = bundle.FilePath(given); err != nil {
			return "", "", fmt.Errorf("its URL %w", err)
		}
		if filepath.IsAbs(path) {
			return path, given, nil
		}
		if data == "" {
			return "", "", errors.New("its URL is relative to the data directory: give --data")
		}
		return filepath.Join(data, path), given, nil
	}
	if path, err = filepath.Abs(given); err != nil {
		return "", "", err
	}
	return path, (&url.URL{Scheme: "file", Path: path}).String(), nil
}

// whyLeftOut says what is wrong with a database, or with how it is named.
func whyLeftOut(err error) problem {
	why := deploy.Fail(err)
	if why.Reason == reason.DeploymentFailed || errors.Is(err, adoption.ErrReconciled) || errors.Is(err, database.ErrMissing) {
		return problem{Reason: reason.NotImported, Message: err.Error(), Next: "correct its line, or leave it out"}
	}
	return problem{Reason: why.Reason, Message: why.Message, Next: why.Next}
}

// noneRead says why nothing could be read, database by database.
func noneRead(failed []importFailure) error {
	if len(failed) == 1 {
		return fmt.Errorf("none of 1 database could be read: %s", failed[0].Error.Message)
	}
	const most = 20
	list := fmt.Sprintf("none of %s could be read", plural(len(failed), "database"))
	for _, f := range failed[:min(len(failed), most)] {
		list += fmt.Sprintf("\n  %s %s: %s", text(f.Tenant), f.URL, f.Error.Message)
	}
	if more := len(failed) - most; more > 0 {
		list += fmt.Sprintf("\n  and %d more", more)
	}
	return errors.New(list)
}

// withoutQuery is a URL without what may be a secret in it.
func withoutQuery(address string) string {
	address, _, _ = strings.Cut(address, "?")
	if before, after, ok := strings.Cut(address, "@"); ok && strings.Contains(before, "://") {
		scheme, _, _ := strings.Cut(before, "://")
		return scheme + "://" + after
	}
	return address
}

// fileKey is equal for two looks at one file.
func fileKey(info os.FileInfo) string {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprint(stat.Dev, ":", stat.Ino)
	}
	return info.Name()
}

// importAnswer is what was found and written.
type importAnswer struct {
	Out       string           `json:"out"`
	Databases int              `json:"databases"` // that were read
	Schemas   int              `json:"schemas"`   // different structures among them
	App       importedApp      `json:"app"`
	Groups    []importedGroup  `json:"groups"`  // the largest first
	Foreign   []adoption.Count `json:"foreign"` // stays as it is
	Failed    []importFailure  `json:"failed"`
}

type importedApp struct {
	Name    string `json:"name"`
	Objects int    `json:"objects"`
	Fields  int    `json:"fields"`
}

// importedGroup are tenants whose databases have the same structure.
type importedGroup struct {
	SchemaDigest string   `json:"schemaDigest"`
	Tenants      []string `json:"tenants"`
	Own          []string `json:"own"` // definitions in each tenant's own directory
}

type importFailure struct {
	Tenant *string `json:"tenant"`
	URL    string  `json:"url"`
	Error  problem `json:"error"`
}

func importAnswerOf(q importing, f adoption.Fleet, failed []importFailure) importAnswer {
	answer := importAnswer{
		Out: q.out, Schemas: len(f.Groups), App: importedApp{Name: q.app, Objects: len(f.App)},
		Groups: []importedGroup{}, Foreign: f.Foreign(), Failed: failed,
	}
	for _, o := range f.App {
		answer.App.Fields += len(o.Fields)
	}
	for _, g := range f.Groups {
		group := importedGroup{SchemaDigest: g.Digest, Tenants: []string{}, Own: []string{}}
		for _, t := range g.Tenants {
			answer.Databases++
			if t.ID != "" {
				group.Tenants = append(group.Tenants, t.ID)
			}
		}
		for _, d := range g.Own {
			group.Own = append(group.Own, d.String())
		}
		answer.Groups = append(answer.Groups, group)
	}
	if answer.Foreign == nil {
		answer.Foreign = []adoption.Count{}
	}
	if answer.Failed == nil {
		answer.Failed = []importFailure{}
	}
	return answer
}

func (a importAnswer) people(p *page) {
	p.line("%s, %s; app %s has %s with %s, in %s", plural(a.Databases, "database"), plural(a.Schemas, "schema"),
		a.App.Name, plural(a.App.Objects, "object"), plural(a.App.Fields, "field"), a.Out)
	var rows [][]string
	for _, g := range a.Groups {
		own := "nothing"
		if len(g.Own) > 0 {
			own = strings.Join(g.Own, ", ")
		}
		some := strings.Join(g.Tenants[:min(3, len(g.Tenants))], ", ")
		if len(g.Tenants) > 3 {
			some += ", ..."
		}
		rows = append(rows, []string{short(g.SchemaDigest), fmt.Sprint(max(1, len(g.Tenants))), orDash(some), own})
	}
	p.line("")
	p.table([]string{"SCHEMA", "DATABASES", "TENANTS", "OF THEIR OWN"}, rows)
	if len(a.Foreign) > 0 {
		p.line("\nstays as it is, since definitions cannot express it:")
		for _, f := range a.Foreign {
			p.line("  %s (in %s)", f.Foreign, plural(f.Databases, "database"))
		}
	}
	for _, f := range a.Failed {
		p.line("\nleft out: %s %s: %s", text(f.Tenant), f.URL, f.Error.Message)
		p.line("  next: %s", f.Error.Next)
	}
	p.line("\nnext: reconciler validate %s, review and commit it, then reconciler run --observe, or plan", a.Out)
}
