package explain

import (
	"bytes"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
)

// hostile is a record in which every text is the same one, as anybody's decision log may have it. The PTR name
// is confirmed.
func hostile(text string) *checks.Record {
	client := netip.MustParseAddr("203.0.113.7")
	addrs := checks.Answer[netip.Addr]{Status: checks.Found, Values: []netip.Addr{client}}
	names := checks.Answer[string]{Status: checks.Found, Values: []string{text}}
	helo := checks.Helo{Raw: text, Form: checks.FormPublic, Name: text}
	fails := func(rule string) checks.RuleFinding {
		return checks.RuleFinding{Rule: rule, Result: checks.Fail, Action: checks.Reject, Detail: text}
	}
	return &checks.Record{
		Version: 1, Time: time.Date(2026, 11, 29, 23, 30, 0, 0, time.UTC), ID: text, MTA: text, QueueID: text,
		Client: client, Helo: helo, Helos: []checks.Helo{helo}, MailFrom: text, RcptTo: []string{text},
		Iprev: text,
		Facts: &checks.Facts{
			Client: client, PTRCount: 1,
			PTR: checks.Answer[checks.Host]{
				Status: checks.Found, Values: []checks.Host{{Name: text, Addrs: addrs, Lists: names}},
			},
			Greetings: []checks.Greeting{{
				Helo: helo, A: checks.Answer[netip.Addr]{Status: checks.Failed, Err: text}, MX: names, NS: names,
				SPF: names, BrandSPF: names, Lists: names,
			}},
		},
		Findings: []checks.RuleFinding{fails("helo-spf"), fails("helo-ptr-mismatch"), fails(text)},
		Verdict:  checks.RecordVerdict{Want: text, Did: text, Rule: text, Reply: text},
		Header:   text,
	}
}

// Whatever a record says, it reaches neither a terminal nor mail as it is.
func TestHostile(t *testing.T) {
	for name, text := range checkstest.Hostile(t) {
		text = text[:min(len(text), 1000)] // as bad as all of it
		judged, exempt := hostile(text), hostile(text)
		exempt.Exempt = text
		for _, r := range []*checks.Record{judged, exempt} {
			var out bytes.Buffer
			Decision(&out, r, "X-HELO-Check")
			Record(&out, r, checks.Advise(r, nil), "X-HELO-Check", func(io.Writer) {})
			Letter(&out, r, checks.Advise(r, nil))
			Letter(&out, r, checks.Advice{})
			if strings.ContainsFunc(out.String(), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
				t.Errorf("%s: a control character in\n%.2000q", name, out.String())
			}
		}
	}
}

// What is blank at the ends of a text is shown, too: it is what was said.
func TestEnds(t *testing.T) {
	r := hostile("\ta\u00a0")
	r.Facts.PTR.Values[0].Name = "mail.example.org"
	var out bytes.Buffer
	Decision(&out, r, "X-HELO-Check")
	for _, line := range []string{`from     \ta\u00a0`, `  list  mail.example.org = \ta\u00a0`} {
		if !strings.Contains(out.String(), line+"\n") {
			t.Errorf("no line %q in\n%s", line, out.String())
		}
	}
}
