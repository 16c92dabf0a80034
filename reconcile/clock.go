package reconcile

import "time"

// clock notices that the time of day was set forward, or that the machine slept.
// It was wrong before then or is wrong now, and what is past its time by it may not
// be: nothing is purged, destroyed or erased for a while, in which it may be put
// right.
type clock struct {
	day, ran time.Time // of the last look: the time of day, and a reading that nobody sets
	set      time.Time // such a reading, of when it was set; zero for never
}

const (
	leap     = time.Hour      // is not how a clock that is a little off is put right
	settling = 24 * time.Hour // is enough to see that a clock is wrong
)

// look takes note of the time of day, and tells whether it was set forward just
// now, and whether that is a short while ago.
func (c *clock) look(now time.Time) (leapt, unsettled bool) {
	day, ran := now.Round(0), time.Now() // without and with a reading of its own
	if !c.ran.IsZero() {
		by := day.Sub(c.day) - ran.Sub(c.ran)
		switch leapt = by > leap; {
		case leapt:
			c.set = ran
		case by < -leap:
			c.set = time.Time{}
		}
	}
	c.day, c.ran = day, ran
	return leapt, !c.set.IsZero() && ran.Sub(c.set) < settling
}

// clockLeapt tells that the clock was set forward a short while ago.
func (r *Reconciler) clockLeapt(now time.Time) bool {
	leapt, unsettled := r.clock.look(now)
	if leapt {
		r.Log.Warn("clock set forward", logReason, "nothing is purged, destroyed or erased for "+settling.String(),
			logNext, "correct the clock if it is wrong; a restart ends the wait")
	}
	return unsettled
}
