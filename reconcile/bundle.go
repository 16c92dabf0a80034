package reconcile

import (
	"context"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/schema"
)

// BundleOptions say how bundles are loaded wherever they are looked at: app
// versions are tags of a repository, which may be nil for a plain directory,
// and definitions are held against what a database has a form for.
func BundleOptions(ctx context.Context, repo *gitrepo.Repo) bundle.Options {
	o := bundle.Options{Mapping: unmapped, Readable: func(objects []bundle.Object, queries []bundle.Verification) []error {
		return deploy.Readable(ctx, objects, queries)
	}}
	if repo != nil {
		o.Version = func(app, version string) (fs.FS, string, error) { return atTag(ctx, repo, tagOf(app, version)) }
	}
	return o
}

// tagOf names the tag of an app's version.
func tagOf(app, version string) string { return app + "/v" + version }

func atTag(ctx context.Context, repo *gitrepo.Repo, tag string) (fs.FS, string, error) {
	hash, ok, err := repo.Tag(ctx, tag)
	if err != nil {
		return nil, "", err
	}
	if !ok {
		return nil, "", fmt.Errorf("there is no tag %s: %w", tag, fs.ErrNotExist)
	}
	tree, err := repo.Tree(ctx, hash)
	if err != nil {
		return nil, "", err
	}
	return tree, hash, nil
}

// unmapped says of an object what schema would refuse when it is deployed, so
// that it is known before, with its place in a file.
func unmapped(object bundle.Object) []bundle.Unmapped {
	_, faults := schema.Desired([]schema.Object{object}, schema.Options{})
	var found []bundle.Unmapped
	for _, f := range faults {
		if f.Warning {
			continue
		}
		u := bundle.Unmapped{Code: f.Code, Message: f.Message, Next: "correct it"}
		for step := range strings.SplitSeq(f.Path, ".") {
			if i, err := strconv.Atoi(step); err == nil {
				u.Path = append(u.Path, i)
			} else {
				u.Path = append(u.Path, step)
			}
		}
		if f.Code == "index_predicate" {
			u.Path, u.Next = append(u.Path, "partial"), "write one condition over columns of the object"
		}
		found = append(found, u)
	}
	return found
}
