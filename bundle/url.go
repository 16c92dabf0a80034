package bundle

import (
	"errors"
	"net/url"
	"path"
	"strings"
)

// FilePath returns the path that a file: URL leads to, cleaned, absolute for
// file:///path and relative for file:path. Its error says what is wrong, in
// words that follow the URL.
func FilePath(address string) (string, error) {
	rest, isFile := strings.CutPrefix(address, "file:")
	switch {
	case !isFile:
		return "", errors.New("is not a file: URL")
	case strings.ContainsAny(rest, "?#"):
		return "", errors.New("has parameters, which a file: URL does not take here")
	}
	if after, hasHost := strings.CutPrefix(rest, "//"); hasHost {
		host, _, _ := strings.Cut(after, "/")
		if host != "" && host != "localhost" {
			return "", errors.New("names a host; write file:path, or file:///path for an absolute one")
		}
		rest = after[len(host):]
	}
	decoded, err := url.PathUnescape(rest)
	if err != nil {
		return "", errors.New("has a % that is not followed by two hex digits")
	}
	clean := path.Clean(decoded)
	switch suffix := path.Ext(clean); {
	case decoded == "", strings.HasSuffix(decoded, "/"), clean == ".", path.Base(clean) == "..":
		return "", errors.New("leads to a directory")
	case strings.ContainsFunc(decoded, func(r rune) bool { return r < ' ' }):
		return "", errors.New("has a control character")
	case strings.HasSuffix(suffix, "-wal"), strings.HasSuffix(suffix, "-shm"), strings.HasSuffix(suffix, "-journal"):
		return "", errors.New("leads to a file that belongs to another database")
	}
	return clean, nil
}

// address is what of a URL says which database it leads to.
func address(url string) string {
	if path, err := FilePath(url); err == nil {
		return "file:" + path
	}
	url, _, _ = strings.Cut(url, "?")
	return strings.ToLower(strings.TrimSuffix(url, "/"))
}
