package gitrepo

import (
	"context"
	"errors"
	"strings"

	git "github.com/go-git/go-git/v5"
	gitconfig "github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/storage/memory"
)

// Refs returns the refs that a pattern with one * matches, such as
// refs/pull/*/head, each with the hash it has now, by what the * stands for. A
// remote is asked for them; nothing is fetched. Errors match those of Fetch.
func (r *Repo) Refs(ctx context.Context, pattern string) (map[string]string, error) {
	list, err := r.listed(ctx)
	if err != nil {
		return nil, r.failure(ctx, "list refs of", err)
	}
	before, after, _ := strings.Cut(pattern, "*")
	found := map[string]string{}
	for _, ref := range list {
		rest, matches := strings.CutPrefix(ref.Name().String(), before)
		rest, ends := strings.CutSuffix(rest, after)
		if matches && ends && ref.Type() == plumbing.HashReference {
			found[rest] = ref.Hash().String()
		}
	}
	return found, nil
}

// listed are all refs as they are now.
func (r *Repo) listed(ctx context.Context) (list []*plumbing.Reference, err error) {
	if r.at.remote == "" {
		iter, err := r.refs.IterReferences()
		if err != nil {
			return nil, err
		}
		return list, iter.ForEach(func(ref *plumbing.Reference) error {
			list = append(list, ref)
			return nil
		})
	}
	ctx, cancel := context.WithTimeout(ctx, r.config.Timeout)
	defer cancel()
	auth, err := r.config.Auth.method(r.at)
	if err != nil {
		return nil, err
	}
	remote := git.NewRemote(memory.NewStorage(), &gitconfig.RemoteConfig{Name: "origin", URLs: []string{r.at.remote}})
	list, err = remote.ListContext(ctx, &git.ListOptions{Auth: auth, ProxyOptions: r.dialer(ctx)})
	if errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return nil, nil
	}
	return list, err
}
