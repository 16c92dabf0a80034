package shape_test

import (
	"strings"
	"testing"

	"github.com/tenantops/reconciler/protocol/shape"
)

// formatted has one property of each format that people get wrong.
type formatted struct {
	Identifier string `json:"identifier,omitempty" shape:"format=identifier"`
	System     string `json:"system,omitempty" shape:"format=system"`
	Snake      string `json:"snake,omitempty" shape:"format=snake"`
	Datetime   string `json:"datetime,omitempty" shape:"format=datetime"`
	Email      string `json:"email,omitempty" shape:"format=email"`
	UUID       string `json:"uuid,omitempty" shape:"format=uuid"`
}

// TestFormats holds the formats to what zod 4.3.6 says of the same texts.
func TestFormats(t *testing.T) {
	for _, test := range []struct {
		format    string
		good, bad []string
	}{
		{
			"identifier",
			[]string{"a", "_", "a1", "_1", "a__b", "__proto__", "constructor", strings.Repeat("x", 200)},
			[]string{"", "A", "aB", "1a", "a-b", "a.b", "a\n", " a", "a ", "\u00e9", "\uff41b", "\u017f", "\u212a"},
		},
		{"system", []string{"a", "a.b", "a.", "a..b", "a_1"}, []string{"", "_a", ".a", "1a", "aB", "a-b", "a\n"}},
		{"snake", []string{"a", "a_b", "a_", "a1"}, []string{"", "_a", "1a", "a.b", "aB", "a-b", "a\n"}},
		{
			"datetime",
			[]string{
				"2026-01-02T03:04:05Z", "2026-01-02T03:04Z", "2026-01-02T03:04:05.1Z", "2026-01-02T03:04:05.123456789012Z",
				"2024-02-29T00:00:00Z", "2000-02-29T00:00:00Z", "0000-02-29T00:00:00Z", "0004-02-29T00:00Z", "0400-02-29T00:00Z",
				"2026-04-30T23:59:59Z", "2026-12-31T00:00:00Z", "9999-12-31T23:59:59.999Z",
			},
			[]string{
				"", "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "0100-02-29T00:00Z", "2026-02-30T00:00Z",
				"2026-04-31T00:00:00Z", "2026-06-31T00:00:00Z", "2026-09-31T00:00:00Z", "2026-11-31T00:00Z", "2026-13-01T00:00:00Z",
				"2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-32T00:00:00Z", "2026-01-02T24:00:00Z", "2026-01-02T23:60:00Z",
				"2026-01-02T23:59:60Z", "2026-01-02t03:04:05Z", "2026-01-02T03:04:05z", "2026-01-02T03:04:05+00:00",
				"2026-01-02T03:04:05", "2026-01-02", "2026-01-02 03:04:05Z", "+002026-01-02T03:04:05Z", "-0001-01-02T03:04:05Z",
				"12026-01-02T03:04:05Z", "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05,1Z", "2026-01-02T03:04.5Z", "2026-01-02T03Z",
				"2026-1-2T03:04:05Z", "2026-01-02T03:04:05Z\n", "\n2026-01-02T03:04:05Z", "\uff12026-01-02T03:04:05Z",
			},
		},
		{
			"email",
			[]string{
				"a@b.co", "a.b@c.de", "'a@b.co", "a'b@c.de", "a.'b@c.de", "a+b@c.de", "+@c.de", "-@c.de", "_@c.de", "a+@c.de",
				"a.-@b.co", "1@2.ab", "A@B.CO", "a@b-.co", "a@b--c.co", "a@1.co", "a@xn--a.co", "a@a.b.c.d.ef",
			},
			[]string{
				"", "@b.co", "a@", "a@@b.co", "a..b@c.de", ".a@b.co", "a.@b.co", "a'@b.co", "a.'@b.co", "a@b", "a@b.c", "a@b.c1",
				"a@b.1co", "a@b.c-o", "a@-b.co", "a@b..co", "a@.b.co", "a@b.co.", "a@b_c.co", "a@1.2.3.4", "a@[1.2.3.4]",
				"\"a\"@b.co", "a b@c.de", "a!b@c.de", "a%b@c.de", "a/b@c.de", "\u00e9@b.co", "a@\u00e9.co", "a@\u017f.co",
				" a@b.co", "a@b.co\n",
			},
		},
		{
			"uuid",
			[]string{
				"550e8400-e29b-41d4-a716-446655440000", "550E8400-E29B-41D4-A716-446655440000", "550e8400-e29b-81d4-B716-446655440000",
				"00000000-0000-1000-8000-000000000000", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
			},
			[]string{
				"", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "FFFFFFFF-ffff-ffff-ffff-ffffffffffff", "550e8400-e29b-91d4-a716-446655440000",
				"550e8400-e29b-01d4-a716-446655440000", "550e8400-e29b-41d4-7716-446655440000", "550e8400-e29b-41d4-c716-446655440000",
				"00000000-0000-0000-0000-000000000001", "550e8400-e29b-41d4-a716-44665544000g", "550e8400-e29b-41d4-a716-446655440000\n",
			},
		},
	} {
		t.Run(test.format, func(t *testing.T) {
			for _, text := range test.good {
				if got := formatIssues(test.format, text); got != "" {
					t.Errorf("%q: got %s, want none", text, got)
				}
			}
			for _, text := range test.bad {
				if got := formatIssues(test.format, text); got != test.format+" invalid_format" {
					t.Errorf("%q: got %q, want invalid_format", text, got)
				}
			}
		})
	}
}

// formatIssues parses a text as a format.
func formatIssues(format, text string) string {
	_, report := shape.Parse[formatted](map[string]any{format: text}, shape.Strict)
	return codes(report.Issues)
}
