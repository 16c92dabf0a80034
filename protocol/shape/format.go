package shape

import (
	"fmt"
	"regexp"
)

// format is a pattern that a text must match. The pattern is written so that
// Go and JSON Schema read it alike.
type format struct {
	name    string
	pattern *regexp.Regexp
}

const (
	hex       = `[0-9a-fA-F]`
	day       = `(?:0[1-9]|1[0-9]|2[0-8])`
	leapYear  = `(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)`
	date      = `(?:[0-9]{4}-(?:(?:0[1-9]|1[0-2])-` + day + `|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)|` + leapYear + `-02-29)`
	clock     = `(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?`
	localPart = `(?:[A-Za-z0-9_'+-]+\.)*[A-Za-z0-9_'+-]*[A-Za-z0-9_+-]`
	domain    = `(?:[A-Za-z0-9][A-Za-z0-9-]*\.)+[A-Za-z]{2,}`
)

// formats are the protocol's. A datetime is UTC with a Z, and may leave out
// seconds; an email is ASCII without quotes; a uuid has version 1 to 8, or is
// all zeros or all f in lower case.
var formats = []format{
	{"identifier", regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)},
	{"system", regexp.MustCompile(`^[a-z][a-z0-9_.]*$`)},
	{"snake", regexp.MustCompile(`^[a-z][a-z0-9_]*$`)},
	{"datetime", regexp.MustCompile(`^` + date + `T` + clock + `Z$`)},
	{"email", regexp.MustCompile(`^` + localPart + `@` + domain + `$`)},
	{"uuid", regexp.MustCompile(`^(?:` + hex + `{8}-` + hex + `{4}-[1-8]` + hex + `{3}-[89abAB]` + hex + `{3}-` + hex + `{12}` +
		`|0{8}-0{4}-0{4}-0{4}-0{12}|f{8}-f{4}-f{4}-f{4}-f{12})$`)},
}

func formatOf(name string) (*format, error) {
	for i := range formats {
		if formats[i].name == name {
			return &formats[i], nil
		}
	}
	return nil, fmt.Errorf("there is no format %q", name)
}
