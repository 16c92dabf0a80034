package shape

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
)

// bounds is the least and greatest length; nil is no bound.
type bounds struct {
	min, max *int
	exact    bool // the two are one
}

// check bounds the length of a text or list. It looks at whatever has a length,
// even at an object with that key, as zod does beside the wrong type. A length
// that is no number is within no bound.
func (b bounds) check(r *run, in any) {
	if b.min == nil && b.max == nil {
		return
	}
	length, strict, ok := lengthOf(in)
	switch {
	case !ok:
	case b.exact && (!strict || length != float64(*b.min)):
		if length > float64(*b.max) {
			r.exceed(TooBig, "must have a length of %d", *b.max)
		} else {
			r.exceed(TooSmall, "must have a length of %d", *b.min)
		}
	case b.exact:
	default:
		if b.min != nil && !(length >= float64(*b.min)) {
			r.exceed(TooSmall, "must have a length of at least %d", *b.min)
		}
		if b.max != nil && !(length <= float64(*b.max)) {
			r.exceed(TooBig, "must have a length of at most %d", *b.max)
		}
	}
}

// lengthOf is JavaScript's in.length as it compares to a number. It is strict
// where it is a number to begin with, and not ok where there is none.
func lengthOf(in any) (length float64, strict, ok bool) {
	switch in := in.(type) {
	case string:
		var units int
		for _, c := range in {
			units += utf16.RuneLen(c)
		}
		return float64(units), true, true
	case []any:
		return float64(len(in)), true, true
	case map[string]any:
		length, ok := in["length"]
		return toNumber(length), kindOf(length) == "a number", ok
	}
	return 0, false, false
}

// toNumber is JavaScript's Number(in), NaN for what is none.
func toNumber(in any) float64 {
	switch in := in.(type) {
	case nil:
		return 0
	case bool:
		if in {
			return 1
		}
		return 0
	case string:
		return textToNumber(in)
	case []any: // by way of its text, its elements joined by commas
		if len(in) == 0 {
			return 0
		}
		if _, ok := in[0].(bool); ok || len(in) > 1 {
			return math.NaN()
		}
		return toNumber(in[0])
	}
	if f, ok := toFloat(in); ok {
		return f
	}
	return math.NaN()
}

var (
	decimal = regexp.MustCompile(`^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$|^[+-]?Infinity$`)
	radix   = regexp.MustCompile(`^0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)$`)
)

// textToNumber reads a number as JavaScript does, which is stricter than
// strconv in some ways and laxer in others.
func textToNumber(text string) float64 {
	const spaces = "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a" +
		"\u2028\u2029\u202f\u205f\u3000\ufeff"
	switch text = strings.Trim(text, spaces); {
	case text == "":
		return 0
	case decimal.MatchString(text):
		f, _ := strconv.ParseFloat(text, 64) // out of range is infinite
		return f
	case radix.MatchString(text):
		if n, err := strconv.ParseUint(text, 0, 64); err == nil {
			return float64(n)
		}
		return math.Inf(1) // beyond every bound
	}
	return math.NaN()
}
