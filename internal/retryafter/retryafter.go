// Package retryafter reads how long a server wants to be left alone.
package retryafter

import (
	"net/http"
	"strconv"
	"time"
)

// Of is what the Retry-After header asks for at a time, in its form of seconds
// or in that of a date (RFC 9110, 10.2.3): at most what is given, and 0 for no
// header, for one that cannot be read, and for a time that has passed.
func Of(h http.Header, now time.Time, most time.Duration) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		return time.Duration(max(0, min(seconds, int64(most/time.Second)))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, min(at.Sub(now), most))
	}
	return 0
}
