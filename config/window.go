package config

import (
	"errors"
	"strings"
	"time"
	_ "time/tzdata" // what is valid does not depend on the machine

	"github.com/robfig/cron/v3"
)

// Window is a time when deployments may run.
type Window struct {
	Cron     string `json:"cron" doc:"When it opens: minute, hour, day, month, weekday."`
	Duration Span   `json:"duration" doc:"How long it stays open."`
	Timezone string `json:"timezone" default:"UTC" doc:"Time zone of cron, such as Europe/Berlin."`
}

// Windows tells whether deployments may run at a time: always without any
// window, else while one is open. change is when the answer becomes another
// one, as far as that can be said; zero for never.
func Windows(windows []Window, now time.Time) (open bool, change time.Time) {
	if len(windows) == 0 {
		return true, time.Time{}
	}
	var closes, opens time.Time
	for _, w := range windows {
		end, next := w.at(now)
		if end.After(closes) {
			closes = end
		}
		if !next.IsZero() && (opens.IsZero() || next.Before(opens)) {
			opens = next
		}
	}
	if !closes.IsZero() {
		return true, closes
	}
	return false, opens
}

// at is when the window that is open now ends, zero for none, and when the
// next one opens, zero for never.
func (w Window) at(now time.Time) (end, next time.Time) {
	schedule, zone, err := w.schedule()
	if err != nil {
		return end, next // ParseFleet refuses it
	}
	now = now.In(zone)
	began := schedule.Next(now.Add(-w.Duration.Duration()))
	if !began.IsZero() && !began.After(now) {
		end = began.Add(w.Duration.Duration())
	}
	return end, schedule.Next(now)
}

// fields is cron as it is written everywhere: five fields, and no words such
// as @daily.
var fields = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

var errNever = errors.New("there is no such day")

func (w Window) schedule() (cron.Schedule, *time.Location, error) {
	zone, err := time.LoadLocation(w.Timezone)
	if err != nil {
		return nil, nil, err
	}
	// The parser takes a zone before the fields, and panics on half of one.
	if strings.Contains(w.Cron, "=") {
		return nil, nil, errors.New("the zone belongs to timezone")
	}
	schedule, err := fields.Parse(w.Cron)
	if err != nil {
		return nil, nil, err
	}
	if schedule.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, zone)).IsZero() {
		return nil, nil, errNever
	}
	return schedule, zone, nil
}
