package pull

import (
	"context"
	"fmt"
	"slices"

	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/preview/forge"
	"github.com/tenantops/reconciler/state"
)

// rolloutsLooked is how many rollouts are looked through for a merge commit.
const rolloutsLooked = 50

// follow says on a merge commit how far its rollout is, and forgets the pull
// request once the last wave has ended.
func (w *Watcher) follow(ctx context.Context, row state.Pull) error {
	s, ended, err := w.progress(ctx, row.Merged)
	if err != nil {
		w.Log.Debug("rollout of pull request not read", logPull, row.Number, logErr, err)
		return nil
	}
	s.Context = w.context()
	if sign := digest(row.Merged, string(s.State), s.Description); sign != row.Status {
		err := w.Forge.SetStatus(ctx, row.Merged, s)
		if err != nil && isAway(err) {
			return err
		}
		if err != nil {
			w.Log.Warn("forge refused", logPull, row.Number, logErr, err)
		}
		row.Status = sign
		w.merged[row.Number] = row
		w.keep(ctx, row)
	}
	if ended {
		delete(w.merged, row.Number)
		w.forget(ctx, row.Number)
	}
	return nil
}

// progress is how far the fleet is with a commit. The first rollout that has
// it and was not superseded tells; without any, the pass that came to it had
// nothing to do.
func (w *Watcher) progress(ctx context.Context, commit string) (s forge.Status, ended bool, err error) {
	rollouts, err := w.Store.Rollouts(ctx, rolloutsLooked)
	if err != nil {
		return s, false, err
	}
	for _, r := range slices.Backward(rollouts) {
		has, err := w.Repo.Descends(ctx, r.Revision, commit)
		if err != nil {
			return s, false, err
		}
		if has && (r.Open() || r.Reason != reason.Superseded) {
			s, ended = statusOf(r)
			return s, ended, nil
		}
	}
	s = forge.Status{State: forge.Pending, Description: "Merged; the tenants wait for their turn."}
	pass, ok, err := w.Store.LastPass(ctx)
	if err != nil || !ok || pass.CompletedAt.IsZero() || pass.Status == state.Failed {
		return s, false, err
	}
	has, err := w.Repo.Descends(ctx, pass.Revision, commit)
	if err != nil || !has {
		return s, false, err
	}
	return forge.Status{State: forge.Success, Description: "Merged; no tenant needed a change."}, true, nil
}

func statusOf(r state.Rollout) (s forge.Status, ended bool) {
	switch {
	case r.Open():
		return forge.Status{State: forge.Pending, Description: waveOf(r)}, false
	case r.Status == state.Succeeded:
		return forge.Status{State: forge.Success, Description: "Every tenant has it."}, true
	}
	return forge.Status{State: forge.Failure, Description: fmt.Sprintf("Rollout %d ended %s: not every tenant has it.", r.ID, r.Status)}, true
}

// waveOf says where an open rollout is.
func waveOf(r state.Rollout) string {
	for i, wave := range r.Waves {
		if wave.DoneAt.IsZero() {
			text := fmt.Sprintf("Rollout %d: wave %d of %d, %s.", r.ID, i+1, len(r.Waves), wave.Name)
			if r.Reason != "" {
				text += " " + r.Reason + "."
			}
			return text
		}
	}
	return fmt.Sprintf("Rollout %d: the last wave bakes.", r.ID)
}
