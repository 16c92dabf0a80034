package shape

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// rules is what a shape tag says, for example `shape:"min=0,max=10"`. Those of
// a list or map hold for its elements, except items and key.
//
//	min=N max=N above=N   bounds of a number
//	minlen=N maxlen=N     bounds of a text's length in UTF-16 code units
//	len=N                 both
//	format=NAME           a format of the table formats
//	one=A|B               values of a text
//	items=N               least number of elements of a list
//	key=NAME              format of a map's keys
type rules struct {
	min, max, above *float64
	length, items   bounds
	format, key     *format
	one             []string
}

func parseRules(tag reflect.StructTag) (r rules, err error) {
	for _, rule := range strings.Split(tag.Get("shape"), ",") {
		if rule == "" {
			continue
		}
		name, text, _ := strings.Cut(rule, "=")
		if err := r.set(name, text); err != nil {
			return r, fmt.Errorf("rule %q: %w", rule, err)
		}
	}
	return r, nil
}

func (r *rules) set(name, text string) (err error) {
	switch name {
	case "min":
		r.min, err = number(text)
	case "max":
		r.max, err = number(text)
	case "above":
		r.above, err = number(text)
	case "minlen":
		r.length.min, err = count(text)
	case "maxlen":
		r.length.max, err = count(text)
	case "len":
		r.length.min, err = count(text)
		r.length.max, r.length.exact = r.length.min, true
	case "items":
		r.items.min, err = count(text)
	case "format":
		r.format, err = formatOf(text)
	case "key":
		r.key, err = formatOf(text)
	case "one":
		r.one = strings.Split(text, "|")
	default:
		err = fmt.Errorf("there is no such rule")
	}
	return err
}

func number(text string) (*float64, error) {
	n, err := strconv.ParseFloat(text, 64)
	return &n, err
}

func count(text string) (*int, error) {
	n, err := strconv.Atoi(text)
	return &n, err
}

// elements is what is left for the elements of a list or map.
func (r rules) elements() rules {
	r.items, r.key = bounds{}, nil
	return r
}
