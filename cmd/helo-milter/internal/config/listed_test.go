package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/listfile"
)

// The configuration's own entries count, those of the list that have ended or that nobody understands do not.
func TestListed(t *testing.T) {
	c, err := Parse("", []byte(`
[[allow]]
network = "192.0.2.0/24"
until = 2020-01-01
[[deny]]
helo = "Own.example.org"
`))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		entry listfile.Entry
		want  string // why it has no effect, or "counts"
	}{
		{listfile.Entry{List: "allow", Network: "192.0.2.0/24"}, "the configuration has an entry for the same"}, // though that has ended
		{listfile.Entry{List: "allow", Network: "192.0.2.0/24", Name: ".example.org"}, "counts"},
		{listfile.Entry{List: "allow", Network: "198.51.100.0/24", Until: "2027-01-31", Reason: "\"\x7f\u202e\n"}, "counts"},
		{listfile.Entry{List: "allow", Name: "mail.example.org", Until: "mended"}, "counts"},
		{listfile.Entry{List: "allow", Network: "203.0.113.0/24", Until: "2026-11-28"}, "it has ended"},
		{listfile.Entry{List: "allow"}, "without either it would allow everybody"},
		{listfile.Entry{List: "allow", Network: "x"}, "is not a network"},
		{listfile.Entry{List: "deny", Helo: "own.example.org"}, "the configuration has an entry for the same"},
		{listfile.Entry{List: "deny", Helo: "/^pc/", Until: "2027-01-31T08:00:00Z"}, "counts"},
		{listfile.Entry{List: "deny", PTR: ".dsl.example.org"}, "counts"},
		{listfile.Entry{List: "deny", Helo: "/(/"}, "error parsing regexp"},
		{listfile.Entry{List: "deny", Helo: "a", PTR: "b"}, "exactly one of"},
	}
	d := &listfile.Document{}
	for _, test := range tests {
		d.Entries = append(d.Entries, test.entry)
	}
	d.Entries = append(d.Entries, listfile.Entry{List: "exempt", Network: "192.0.2.0/24"}, // of another version
		listfile.Entry{List: "allow]]\n[[deny", Network: "192.0.2.0/24"})
	listed := c.Listed(d, now)
	shown := slices.Concat(listed.Entries("allow", now), listed.Entries("deny", now))
	shown = slices.DeleteFunc(shown, func(e Entry) bool { return e.Own })
	if len(shown) != len(tests) {
		t.Fatalf("%d entries are shown", len(shown))
	}
	for i, test := range tests {
		got := shown[i].Not
		if got == "" {
			got = "counts"
		}
		if !strings.Contains(got, test.want) {
			t.Errorf("%+v: %s, want %s", test.entry, got, test.want)
		}
	}
	if n := fmt.Sprint(len(listed.listed.allow), len(listed.listed.deny)); n != "3 2" {
		t.Errorf("%s entries are in use", n)
	}
	if want := time.Date(2027, 1, 31, 8, 0, 0, 0, time.UTC); !listed.ListEnds.Equal(want) {
		t.Errorf("the next ends %v", listed.ListEnds)
	}
	if !slices.Equal(listed.DNS.Allowed, checks.Names{".example.org", "mail.example.org"}) || !listed.DNS.Hosts {
		t.Errorf("the DNS is asked as if there was no list: %+v", listed.DNS)
	}
	f := &checks.Facts{Client: netip.MustParseAddr("198.51.100.9")}
	if e, _ := listed.Judge.Exempt.Entry(f, now); e == nil || e.Clients() != "198.51.100.0/24" {
		t.Errorf("exempt by %+v", e)
	}
	if e, _ := c.Judge.Exempt.Entry(f, now); e != nil || c.List != nil {
		t.Error("the configuration itself has changed")
	}
	again, err := listed.With("what-if", []byte(`mode = "enforce"`))
	if err != nil || len(again.listed.allow) != 3 {
		t.Errorf("what if loses the list: %v", err)
	}
	if _, err := Parse("", []byte(listed.String())); err != nil {
		t.Errorf("what is printed cannot be read: %v", err)
	}
}
