package checks

import (
	"slices"
	"strings"
	"testing"
)

// An entry of a list is a name, or with a dot what is under it, and never a part of a label. A domain is both.
func TestNames(t *testing.T) {
	for _, tt := range []struct {
		entries, name string
		match, under  bool
	}{
		{"example.org", "example.org", true, true},
		{"example.org", "mx.example.org", false, true},
		{"example.org", "a.b.example.org", false, true},
		{"example.org", "notexample.org", false, false},
		{"example.org", "example.org.net", false, false},
		{"example.org", "org", false, false},
		{".example.org", "mx.example.org", true, false},
		{".example.org", "a.b.example.org", true, false},
		{".example.org", "example.org", false, false}, // not under itself
		{".example.org", "notexample.org", false, false},
		{"example.net .example.org", "mx.example.org", true, false},
		{"example.net example.org", "example.org", true, true},
		{"example.net example.org", "mx.example.org", false, true},
		{"org", "example.org", false, true},
		{".org", "example.org", true, false},
		{"*.*", "*.*", true, true}, // no name, but said in HELO
		{"[192.0.2.1]", "[192.0.2.1]", true, true},
		{".example.org", ".example.org", true, false},
		{"example.org", "", false, false},
		{"", "example.org", false, false},
	} {
		entries := strings.Fields(tt.entries)
		if got := Names(entries).Match(tt.name); got != tt.match {
			t.Errorf("%q matches %q: %t", tt.entries, tt.name, got)
		}
		if got := under(tt.name, entries...); got != tt.under {
			t.Errorf("%q under %q: %t", tt.name, tt.entries, got)
		}
		// A deny list finds the same without trying each.
		p := patterns{}
		for _, text := range entries {
			p.add(Pattern{text: text})
		}
		if got := p.match(tt.name); got != tt.match {
			t.Errorf("deny list %q matches %q: %t", tt.entries, tt.name, got)
		}
	}
	got := slices.Collect(entriesFor("a.b.c"))
	if want := []string{"a.b.c", ".b.c", ".c"}; !slices.Equal(got, want) {
		t.Errorf("entries for a.b.c: %q", got)
	}
}
