package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/gitrepo"
)

// revisionFlag adds --revision to a command that looks once.
func (c *cli) revisionFlag(command *cobra.Command) {
	command.Flags().StringVar(&c.revision, "revision", "", "branch, tag or commit to use instead of --ref")
}

// repository is an open repository, and what has to be put away after it.
type repository struct {
	*gitrepo.Repo
	temporary string // directory of a clone that nobody keeps
}

// openRepo opens the repository and brings it up to date. The clone of a
// remote one is kept in the data directory, if there is such a directory, and
// is made for this call otherwise.
func (c *cli) openRepo(ctx context.Context) (r repository, err error) {
	if err := c.needRepo(); err != nil {
		return r, err
	}
	auth, err := c.auth()
	if err != nil {
		return r, err
	}
	dir := filepath.Join(c.settings.Data, "git")
	if _, err := os.Stat(c.settings.Data); c.settings.Data == "" || errors.Is(err, fs.ErrNotExist) {
		if r.temporary, err = os.MkdirTemp("", "reconciler-"); err != nil {
			return r, fmt.Errorf("make a directory for the clone: %w", err)
		}
		dir = r.temporary
	}
	r.Repo, err = gitrepo.Open(ctx, gitrepo.Config{
		URL: c.settings.Repo, Ref: cmp.Or(c.revision, c.settings.Ref), Dir: dir, Auth: auth,
	})
	if err != nil {
		return r, errors.Join(err, r.Close())
	}
	_, err = r.Fetch(ctx)
	if c.patient && errors.Is(err, gitrepo.ErrUnreachable) {
		return r, nil
	}
	if err != nil {
		return r, errors.Join(err, r.Close())
	}
	return r, nil
}

// notRead warns of a repository that is of use, and not needed.
func (c *cli) notRead(err error) { c.logger().Warn("repository not read", attrErr, err) }

// needRepo says that a command was called without a repository.
func (c *cli) needRepo() error {
	if c.settings.Repo == "" {
		return usagef("--repo is missing: give the path or URL of the repository")
	}
	return nil
}

// Close puts the repository away.
func (r repository) Close() error {
	var err error
	if r.Repo != nil {
		err = r.Repo.Close()
	}
	if r.temporary != "" {
		err = errors.Join(err, os.RemoveAll(r.temporary))
	}
	return err
}
