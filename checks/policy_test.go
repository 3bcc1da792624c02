package checks_test

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
)

// factsOf gathers the facts of a client and its greetings in the test world.
func factsOf(t *testing.T, client string, helos ...string) *checks.Facts {
	t.Helper()
	addr := netip.MustParseAddr(client)
	dns := &checks.DNS{Resolver: checkstest.Parse(t, world), Timeout: time.Second}
	var said []checks.Helo
	for _, h := range helos {
		said = append(said, checks.ParseHelo(h))
	}
	return checks.Lookup(t.Context(), dns, addr, checks.Site{}, said...)
}

// enforcing returns the policy of a profile with scores that do not depend on the rule table.
func enforcing(profile checks.Profile) *checks.Policy {
	p := checks.NewPolicy(profile)
	p.Mode, p.Scores = checks.Enforce, make([]float64, len(checks.All))
	p.Scores[checks.Index("helo-numeric")], p.Scores[checks.Index("helo-not-fqdn")] = 3, 2
	p.Scores[checks.Index("helo-literal-mismatch")], p.Scores[checks.Index("ptr-missing")] = 2, 1.5
	return p
}

func TestPolicy(t *testing.T) {
	set := func(rule string, a checks.Action) func(*checks.Policy) {
		return func(p *checks.Policy) { p.Actions[checks.Index(rule)] = a }
	}
	for _, tt := range []struct {
		story, client, helo string
		change              func(*checks.Policy)
		want                string
	}{
		{"a reject", "203.0.113.1", "0x7f", nil, "reject helo-numeric did reject 3.0"},
		{
			"careful marks", "203.0.113.1", "friend",
			func(p *checks.Policy) { *p = *enforcing(checks.Careful) },
			"accept helo-not-fqdn did accept 2.0",
		},
		{
			"strict refuses a missing PTR", "203.0.113.9", "[203.0.113.9]",
			func(p *checks.Policy) { *p = *enforcing(checks.Strict) },
			"reject ptr-missing did reject 1.5",
		},
		{
			"observing", "203.0.113.1", "0x7f", func(p *checks.Policy) { p.Mode = checks.Observe },
			"reject helo-numeric did accept 3.0",
		},
		{
			"off does not count", "203.0.113.1", "0x7f", set("helo-numeric", checks.Off),
			"accept - did accept 0.0",
		},
		{
			"tempfail", "203.0.113.1", "0x7f", set("helo-numeric", checks.TempFail),
			"tempfail helo-numeric did tempfail 3.0",
		},
		{
			"the first row wins a tie", "203.0.113.9", "0x7f", set("ptr-missing", checks.Reject),
			"reject helo-numeric did reject 4.5",
		},
		{
			"the strictest wins", "203.0.113.9", "0x7f", set("helo-numeric", checks.Mark),
			"accept helo-numeric did accept 4.5",
		},
		{
			"unsure causes nothing", "203.0.113.4", "[203.0.113.4]", set("ptr-missing", checks.Reject),
			"accept - did accept 0.0",
		},
		{"unsure may tempfail", "203.0.113.4", "[203.0.113.4]", func(p *checks.Policy) {
			set("ptr-missing", checks.Reject)(p)
			p.OnDNSError = checks.TempFail
		}, "tempfail ptr-missing did tempfail 0.0"},
		{
			"unsure never does more than its rule", "203.0.113.4", "[203.0.113.4]",
			func(p *checks.Policy) { p.OnDNSError = checks.TempFail }, "accept - did accept 0.0",
		},
		{
			"the sum refuses", "203.0.113.9", "[203.0.113.8]", func(p *checks.Policy) { p.RejectAt = 3.5 },
			"reject helo-literal-mismatch did reject 3.5",
		},
		{
			"the sum is under", "203.0.113.9", "[203.0.113.8]", func(p *checks.Policy) { p.RejectAt = 3.6 },
			"accept helo-literal-mismatch did accept 3.5",
		},
		{
			"the sum is a decimal one", "203.0.113.9", "[203.0.113.8]", func(p *checks.Policy) {
				p.Scores[checks.Index("helo-literal-mismatch")], p.Scores[checks.Index("ptr-missing")] = 0.1, 0.2
				p.RejectAt = 0.3
			}, "reject ptr-missing did reject 0.3",
		},
		{
			"the sum tempfails", "203.0.113.9", "[203.0.113.8]",
			func(p *checks.Policy) { p.TempFailAt, p.RejectAt = 3, 9 },
			"tempfail helo-literal-mismatch did tempfail 3.5",
		},
	} {
		policy := enforcing(checks.Standard)
		if tt.change != nil {
			tt.change(policy)
		}
		v := policy.Decide(checks.Evaluate(factsOf(t, tt.client, tt.helo), nil, ""))
		rule := "-"
		if v.Rule != nil {
			rule = v.Rule.Name
		}
		got := v.Want() + " " + rule + " did " + v.Did().Outcome() + " " + formatScore(v.Score)
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.story, got, tt.want)
		}
	}
}

func formatScore(s float64) string {
	text, _ := json.Marshal(s)
	if !strings.Contains(string(text), ".") {
		return string(text) + ".0"
	}
	return string(text)
}

func TestExemptions(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	e := checks.Exemptions{Private: true, Authenticated: true}
	e.Network(netip.MustParsePrefix("198.51.100.0/24"))
	for _, a := range []checks.Allow{
		{Network: netip.MustParsePrefix("203.0.113.1/32")},
		{Name: ".example.org", Network: netip.MustParsePrefix("203.0.113.2/31")},
		{Name: "notes.example.com", Until: now.Add(-time.Second)},
	} {
		e.Allow(a)
	}
	for _, tt := range []struct{ client, want string }{
		{"10.1.2.3", "private"},
		{"172.31.0.1", "private"},
		{"192.168.0.1", "private"},
		{"127.0.0.1", "private"},
		{"169.254.1.1", "private"},
		{"100.64.0.1", "private"},
		{"::1", "private"},
		{"fe80::1", "private"},
		{"fd00::1", "private"},
		{"198.51.100.7", "allow"},
		{"203.0.113.1", "allow"}, // by its network
		{"203.0.113.2", "allow"}, // by network and confirmed name
		{"203.0.113.11", ""},     // its entry has expired
		{"192.0.2.1", ""},        // documentation networks are judged
		{"100.128.0.1", ""},      // beyond CGNAT
		{"2001:db8::1", ""},
		{"172.32.0.1", ""},
	} {
		if got := exemption(&e, factsOf(t, tt.client), now); got != tt.want {
			t.Errorf("%s is exempt for %q, want %q", tt.client, got, tt.want)
		}
	}
	if got := exemption(&e, &checks.Facts{}, now); got != "no-address" {
		t.Errorf("a client without an address is exempt for %q", got)
	}
}

// exemption is why a session with these facts is exempt, or "".
func exemption(e *checks.Exemptions, f *checks.Facts, at time.Time) string {
	judge := &checks.Judge{Exempt: e, Policy: checks.NewPolicy(checks.Standard)}
	s := judge.Reopen(f)
	s.Mail(at)
	v := s.Rcpt("")
	return v.Exempt
}

func TestIprev(t *testing.T) {
	for _, tt := range []struct{ client, want string }{
		{"203.0.113.1", "pass"},
		{"2001:db8::1", "pass"},
		{"203.0.113.3", "pass"}, // the other name's lookup failed
		{"203.0.113.5", "fail"},
		{"203.0.113.9", "permerror"}, // no PTR
		{"203.0.113.4", "temperror"},
		{"203.0.113.6", "temperror"},
	} {
		if got := factsOf(t, tt.client).Iprev(); got != tt.want {
			t.Errorf("iprev of %s is %s, want %s", tt.client, got, tt.want)
		}
	}
}

// A record's facts are enough to judge again: they survive JSON, and so does the verdict.
func TestRecord(t *testing.T) {
	for _, helos := range [][]string{
		{"mail.example.org"}, {"localhost", "bücher\xff"}, {"[IPv6:2001:db8::1]"}, {"half.example.org"}, nil,
	} {
		for _, client := range []string{"203.0.113.1", "203.0.113.4", "203.0.113.10", "2001:db8::1"} {
			facts := factsOf(t, client, helos...)
			policy := checks.NewPolicy(checks.Standard)
			first := record(policy, facts)
			var back checks.Record
			if err := json.Unmarshal([]byte(first), &back); err != nil {
				t.Fatalf("%s\n%v", first, err)
			}
			if !reflect.DeepEqual(back.Facts.PTR, facts.PTR) {
				t.Errorf("PTR facts %+v became %+v", facts.PTR, back.Facts.PTR)
			}
			if again := record(policy, back.Facts); again != first {
				t.Errorf("judged again, %s HELO %q became\n%s\nwas\n%s", client, helos, again, first)
			}
		}
	}
}

// An internal error is in the record as what is unsure, beside a refusal that was sent before it.
func TestRecordInternal(t *testing.T) {
	d := &checks.Decision{
		Facts: factsOf(t, "203.0.113.9", "friend"), Did: checks.Reject, Header: "as it was sent",
		Verdict: checks.Verdict{Internal: true, Mode: checks.Enforce},
	}
	line := d.Record(false).String()
	for _, want := range []string{
		`"findings":[{"rule":"internal","result":"unsure","action":"off","score":0,"detail":""}]`,
		`"verdict":{"mode":"enforce","want":"accept","did":"reject","rule":"","score":0,"reply":""}`,
		`"header":"as it was sent"`, `"exempt":""`,
	} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in\n%s", want, line)
		}
	}
}

func record(policy *checks.Policy, f *checks.Facts) string {
	d := &checks.Decision{ID: "id1", Facts: f, Verdict: policy.Decide(checks.Evaluate(f, nil, ""))}
	return d.Record(true).String()
}
