package checks_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
)

// Where the DNS fails there is nothing to be held against the client's names, and no record to be made for
// another one; nor is there for an address that no name can lead to.
func TestAdviceWithoutRecords(t *testing.T) {
	for _, tt := range []struct{ client, helo, advice string }{
		{"203.0.113.4", "[203.0.113.4]", ""},
		{"203.0.113.1", "mail.example.org", ""},
		{"203.0.113.4", "localhost", "to the name in the PTR record of 203.0.113.4, which could"},
		{"203.0.113.6", "localhost", "to the name in the PTR record of 203.0.113.6, which could"},
		{"0.0.0.0", "localhost", "0.0.0.0 is not one"},
		{"10.0.0.1", "localhost", "10.0.0.1 is not one"},
		{"fe80::1", "localhost", "fe80::1 is not one"},
	} {
		p := &patient{
			client: netip.MustParseAddr(tt.client), helos: []string{tt.helo},
			zone: checkstest.Parse(t, world),
		}
		record := p.examine(t)
		record.Findings = slices.DeleteFunc(record.Findings,
			func(f checks.RuleFinding) bool { return f.Rule == "helo-literal" })
		advice := checks.Advise(record, nil)
		text := fmt.Sprint(advice.Steps)
		if len(advice.Steps) == 0 != (tt.advice == "") || !strings.Contains(text, tt.advice) {
			t.Errorf("%s HELO %s: %s", tt.client, tt.helo, text)
		}
		for _, step := range advice.Steps {
			if len(step.Records) > 0 {
				t.Errorf("%s HELO %s: records: %v", tt.client, tt.helo, step.Records)
			}
		}
	}
}

// Who is only on a list has nothing to change in its names. A PTR record that could
// not be looked up may be right already.
func TestAdviceNames(t *testing.T) {
	for _, tt := range []struct {
		client, helo string
		names        bool
		says         string
	}{
		{"203.0.113.29", "shunned.example.org", false, "deny list"},
		{"203.0.113.24", "mail.listed.org", false, "block list"},
		{"203.0.113.29", "localhost", true, "deny list"},
		{"203.0.113.4", "new.example.org", true, "its lookup failed, so this may already be the case"},
		{"203.0.113.1", "mail.example.org", false, ""},
	} {
		p := &patient{
			netip.MustParseAddr(tt.client), []string{tt.helo}, "", checkstest.Parse(t, sick), denials(t),
		}
		advice, _ := p.advise(t)
		if text := fmt.Sprint(advice.Steps); advice.Names != tt.names || !strings.Contains(text, tt.says) {
			t.Errorf("%s HELO %s: names %t, %s", tt.client, tt.helo, advice.Names, text)
		}
	}
}
