package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Span is a length of time as people write it: 90s, 1h30m or 7d.
type Span string

// Duration is the length of the span. It is zero for one that Parse refuses,
// which no parsed file holds.
func (s Span) Duration() time.Duration {
	d, _ := s.Parse()
	return d
}

// Parse reads a span: days with the unit d, or what time.ParseDuration reads,
// without a sign. The empty span is zero.
func (s Span) Parse() (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	if days, ok := strings.CutSuffix(string(s), "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16) // 179 years
		if err != nil {
			return 0, fmt.Errorf("%q is not a number of days from 0 to 65535", s)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(string(s))
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a length of time", s)
	}
	return d, nil
}
