package reconcile

import "context"

// Workers is workers, for which there is no way to look from outside.
var Workers = (*Reconciler).workers

// Jittered is jittered.
var Jittered = jittered

// Tidy is tidy.
var Tidy = (*Reconciler).tidy

// PollOnce is what Run does when a poll is due and nobody has asked for a pass. It
// tells whether it made one.
func (r *Reconciler) PollOnce(ctx context.Context) (passed bool, err error) {
	before := r.OnPass
	defer func() { r.OnPass = before }()
	r.OnPass = func(Report, error) { passed = true }
	err = r.turn(ctx, false)
	return passed, err
}
