package identity

import (
	"net/http"
	"regexp"
	"strings"
)

// inHeader returns the one value of a header. Two values are refused, also
// equal ones: proxies and servers differ in which of them they take.
func inHeader(header http.Header, name string) (string, error) {
	switch values := header.Values(name); {
	case len(values) == 0:
		return "", nil
	case len(values) > 1, values[0] == "":
		return "", ErrMalformed
	default:
		return values[0], nil
	}
}

var (
	host   = regexp.MustCompile(`\A([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?(?::[0-9]{1,5})?\z`)
	domain = regexp.MustCompile(`\A[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\z`)
)

func isDomain(text string) bool { return domain.MatchString(text) }

// inHost returns the label before one of the domains. Names of hosts have no
// case (RFC 4343) and may end with a dot; a port does not belong to them.
// Anything else that is not plain, such as user information, an encoded or a
// non-ASCII letter, is refused, and so is more than one label. A host outside
// the domains, or a domain itself, names nobody.
func inHost(text string, domains []string) (string, error) {
	for i := range len(text) {
		if text[i] >= 0x80 { // before folding, which makes a k of the Kelvin sign
			return "", ErrMalformed
		}
	}
	parts := host.FindStringSubmatch(strings.ToLower(text))
	if parts == nil {
		if text == "" || strings.HasPrefix(text, "[") { // HTTP/1.0, an IPv6 address
			return "", nil
		}
		return "", ErrMalformed
	}
	for _, d := range domains {
		label, ok := strings.CutSuffix(parts[1], "."+d)
		if !ok {
			continue
		}
		if strings.Contains(label, ".") || strings.HasPrefix(label, "xn--") {
			return "", ErrMalformed // not a tenant's subdomain; letters outside ASCII
		}
		return label, nil
	}
	return "", nil
}

// inPath returns the segment after the prefix of an escaped path. The whole
// path has to be plain, because what is behind may resolve dots, double
// slashes and encoded characters to the path of another tenant.
func inPath(escaped, prefix string) (string, error) {
	if !plainPath(escaped) {
		return "", ErrMalformed
	}
	rest, ok := strings.CutPrefix(escaped, prefix)
	if !ok {
		return "", nil
	}
	id, _, _ := strings.Cut(rest, "/")
	if id == "" {
		return "", ErrMalformed
	}
	return id, nil
}

// plainPath reports whether a path means the same to everyone that reads it.
func plainPath(escaped string) bool {
	lower := strings.ToLower(escaped)
	for _, odd := range []string{"//", `\`, "%2f", "%5c", "%2e", "%00", "%25", ";"} {
		if strings.Contains(lower, odd) {
			return false
		}
	}
	for segment := range strings.SplitSeq(escaped, "/") {
		if segment == "." || segment == ".." {
			return false
		}
	}
	return strings.HasPrefix(escaped, "/")
}
