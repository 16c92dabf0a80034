package main

import (
	"time"

	"github.com/tenantops/reconciler/config"
)

// when reads a point in time: a length of time from now, such as 7d, into the
// past or the future as sign says (-1 or 1), a date in the machine's own time
// zone, or a time as RFC 3339 has it.
func when(flag, text string, now time.Time, sign time.Duration) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if length, err := config.Span(text).Parse(); err == nil {
		return now.Add(sign * length), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04", time.DateTime, time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usagef("--%s is %q: write it like 2h or 7d, 2026-01-31 or 2026-01-31T15:04:05Z", flag, text)
}

// since is when for the past, until for the future.
func since(text string, now time.Time) (time.Time, error) { return when("since", text, now, -1) }

func until(text string, now time.Time) (time.Time, error) {
	t, err := when("until", text, now, 1)
	if err == nil && text != "" && !t.After(now) {
		err = usagef("--until %s is over: %s", text, stampOf(t))
	}
	return t, err
}
