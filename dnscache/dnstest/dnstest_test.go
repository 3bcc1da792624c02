package dnstest

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/miekg/dns"
)

// The list of the package comment is that of the map.
func TestBehavioursAreDocumented(t *testing.T) {
	source, err := os.ReadFile("dnstest.go")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, line := range regexp.MustCompile(`(?m)^//\t([a-z-]+) {2,}\S`).FindAllSubmatch(source, -1) {
		documented = append(documented, string(line[1]))
	}
	slices.Sort(documented)
	if words := slices.Sorted(maps.Keys(behaviours)); !slices.Equal(words, documented) {
		t.Errorf("behaviours has %v\nthe comment %v", words, documented)
	}
}

// The root's misbehaviour is that of all names that have none of their own.
func TestHabit(t *testing.T) {
	zone := Parse(t, `
.                          TXT   "dnstest" "lowercase"
refused.example.org.       A     192.0.2.1
mx.example.org.            TXT   "dnstest" "drop" "AAAA"
`)
	for _, test := range []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"www.example.org.", dns.TypeA, "lowercase"},
		{"refused.example.org.", dns.TypeA, "refused"},
		{"mx.example.org.", dns.TypeA, "lowercase"},
		{"mx.example.org.", dns.TypeAAAA, "drop"},
		{".", dns.TypeNS, "lowercase"},
	} {
		question := dns.Question{Name: test.name, Qtype: test.qtype, Qclass: dns.ClassINET}
		if got := zone.behaviour(question); got != test.want {
			t.Errorf("%s: got %q, want %q", question.String(), got, test.want)
		}
	}
}
