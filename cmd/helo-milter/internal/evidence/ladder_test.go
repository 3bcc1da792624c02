package evidence

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"helo-milter/checks"
)

// clients adds the records of clients that do the same every day, each in a network of its own. words are
// their number, HELO, PTR and what else is known: allow, authenticated, ham, spam or spf.
func clients(t *testing.T, tally *Tally, base byte, days int, words string) {
	t.Helper()
	var n int
	var helo, ptr, more string
	if read, err := fmt.Sscan(words, &n, &helo, &ptr, &more); read < 3 {
		t.Fatal(words, err)
	}
	policy := checks.NewPolicy(checks.Standard)
	for i := range n {
		f := facts(netip.AddrFrom4([4]byte{203, base, byte(i), 9}), helo, ptr)
		for day := range days {
			d := &checks.Decision{Facts: f, Time: time.Date(2026, 11, 1+day, 12, 0, 0, 0, time.UTC)}
			switch more {
			case "allow", "authenticated":
				d.Verdict.Exempt = more
			default:
				d.Verdict = policy.Decide(checks.Evaluate(f, nil, ""))
			}
			r := d.Record(false)
			switch more {
			case "ham", "spam":
				r.Source = &checks.Source{DNS: "recorded", Label: more}
			case "spf":
				g := checks.Greeting{SPF: checks.Answer[string]{Status: checks.Found, Values: []string{"pass"}}}
				r.Facts.Greetings = append(r.Facts.Greetings, g)
			}
			tally.Add(r)
		}
	}
}

func facts(client netip.Addr, helo, ptr string) *checks.Facts {
	f := &checks.Facts{Client: client, Unheard: helo == "unheard"}
	if !f.Unheard {
		f.Greetings = []checks.Greeting{{Helo: checks.ParseHelo(helo)}}
	}
	host := checks.Host{Addrs: checks.Answer[netip.Addr]{Status: checks.Found, Values: []netip.Addr{client}}}
	f.PTR.Status = map[string]checks.Status{"none": checks.Missing, "failed": checks.Failed}[ptr]
	switch ptr {
	case "named":
		host.Name = "mail.example.org"
	case "dynamic":
		host.Name = "dsl-" + strings.ReplaceAll(client.String(), ".", "-") + ".example.org"
	}
	if host.Name != "" {
		f.PTR = checks.Answer[checks.Host]{Status: checks.Found, Values: []checks.Host{host}}
		f.PTRCount = 1
	}
	return f
}

func newTally() *Tally {
	judge := &checks.Judge{Exempt: &checks.Exemptions{}, Policy: checks.NewPolicy(checks.Standard)}
	return New(judge, make([]*checks.Action, len(checks.All)))
}

// rung returns the rung of a rule.
func rung(t *testing.T, s *Section, rule string) Rung {
	t.Helper()
	i := slices.IndexFunc(s.Ladder, func(s Rung) bool { return s.Rule == rule })
	if i < 0 {
		t.Fatal("no rule ", rule)
	}
	return s.Ladder[i]
}

// Each line is mail on each of some days, a rule, and its advice with a part of the reason.
func TestLadder(t *testing.T) {
	for _, tt := range []struct {
		days       int
		mail       string
		rule, want string
	}{
		// A rule of careful needs 200 clients and 7 days.
		{7, "199 mail.example.org named; 1 192.0.2.1 none", "helo-bare-ip", "enforce"},
		{7, "198 mail.example.org named; 1 192.0.2.1 none", "helo-bare-ip", "wait: too little"},
		{6, "199 mail.example.org named; 1 192.0.2.1 none", "helo-bare-ip", "wait: too little"},
		{7, "200 mail.example.org named", "helo-bare-ip", "no hits"},
		// A spammer's host has a PTR name, too: no evidence against a provable rule.
		{7, "199 mail.example.org named; 1 192.0.2.1 named", "helo-bare-ip", "enforce"},
		// These are evidence against every rule.
		{7, "199 mail.example.org named; 1 192.0.2.1 none allow", "helo-bare-ip", "look"},
		{7, "200 mail.example.org named; 1 192.0.2.1 none allow", "helo-bare-ip", "look: 1 on the allow list"},
		{7, "200 mail.example.org named; 1 192.0.2.1 none spf", "helo-bare-ip", "look: 1 with a HELO that passes SPF"},
		{7, "200 mail.example.org named ham; 1 192.0.2.1 none ham", "helo-bare-ip", "look: 1 labelled ham"},
		// That clients with a PTR name are not hit is no evidence for ptr-missing.
		{7, "300 mail.example.org named; 1 mail.example.com none", "ptr-missing", "wait: only 0 could"},
		{7, "190 mail.example.org named ham; 10 mail.example.com none spam", "ptr-missing", "enforce"},
		{7, "180 mail.example.org named ham; 20 mail.example.com none spam", "ptr-missing", "wait: only 180 could"},
		// For a rule that only strict enforces, named hosts are evidence for and against it.
		{7, "199 mail.example.org named; 1 friend none", "helo-not-fqdn", "enforce"},
		{7, "199 mail.example.org named; 1 friend dynamic", "helo-not-fqdn", "enforce"},
		{7, "199 mail.example.org named; 1 friend named", "helo-not-fqdn", "look: 1 with a confirmed PTR name"},
		{7, "180 mail.example.org named; 20 friend none", "helo-not-fqdn", "wait: only 180 could"},
		// A name does not count for a client whose labelled mail is all spam.
		{7, "199 mail.example.org named ham; 1 friend named spam", "helo-not-fqdn", "enforce"},
		// No profile enforces these: RFC 5321 §4.1.4.
		{7, "199 mail.example.org named; 1 mail.example.com none", "helo-ptr-mismatch", "never: RFC 5321"},
		{7, "199 mail.example.org named; 1 example.com none", "helo-bare-domain", "never: No profile"},
		// A rule is evaluated only where the HELO was recorded and lookups did not fail.
		{7, "150 mail.example.org named; 60 unheard named; 1 friend none", "helo-not-fqdn", "wait: for 151 clients"},
		{7, "150 unheard named; 60 unheard failed; 1 unheard none", "ptr-missing", "wait: for 151 clients"},
		{7, "250 unheard named", "helo-not-fqdn", "no say: not be evaluated"},
		{7, "250 unheard named", "ptr-missing", "no hits: No client failed it"},
		{7, "250 mail.example.org named", "helo-listed", "no say: not be evaluated"},
		// Nothing is recommended if lookups fail for most of the mail. What was not recorded did not fail.
		{7, "201 mail.example.org named; 199 192.0.2.1 failed", "helo-bare-ip", "enforce"},
		{7, "199 mail.example.org named; 201 192.0.2.1 failed", "helo-bare-ip", "wait: too little"},
		{7, "199 mail.example.org named ham; 201 192.0.2.1 failed spam", "helo-bare-ip", "enforce"},
	} {
		tally := newTally()
		for i, words := range strings.Split(tt.mail, "; ") {
			clients(t, tally, byte(i), tt.days, words)
		}
		rung := rung(t, &tally.Report(0, 0).Sections[0], tt.rule)
		advice, why, _ := strings.Cut(tt.want, ": ")
		if rung.Recommendation != Recommendation(advice) || !strings.Contains(rung.Why, why) {
			t.Errorf("%d days of %s: %s is %q, %s", tt.days, tt.mail, tt.rule, rung.Recommendation, rung.Why)
		}
	}
}

// A client in a network from which users log in looks legitimate, whichever record comes first; a client in
// another network does not.
func TestLogin(t *testing.T) {
	for _, order := range []string{
		"1 192.0.2.1 none; 1 laptop none authenticated", "1 laptop none authenticated; 1 192.0.2.1 none",
	} {
		for _, same := range []bool{true, false} {
			tally := newTally()
			clients(t, tally, 100, 7, "200 mail.example.org named")
			for i, words := range strings.Split(order, "; ") {
				clients(t, tally, byte(i*count(!same)), 7, words)
			}
			rung := rung(t, &tally.Report(0, 0).Sections[0], "helo-bare-ip")
			want := map[bool]Recommendation{true: Look, false: Enforce}[same]
			if rung.Recommendation != want {
				t.Errorf("%s, same network %t: %+v", order, same, rung)
			}
		}
	}
}

// No figure combines facts that were obtained in different ways.
func TestKinds(t *testing.T) {
	tally := newTally()
	clients(t, tally, 0, 7, "150 mail.example.org named")
	clients(t, tally, 0, 7, "150 mail.example.org named ham")
	clients(t, tally, 1, 7, "1 192.0.2.1 none spam")
	report := tally.Report(3, 0)
	if len(report.Sections) != 2 || report.Sections[0].DNS != "live" || report.Sections[1].DNS != "recorded" {
		t.Fatalf("%d sections", len(report.Sections))
	}
	for i, want := range []string{
		"150 clients, 1050 judged, ham 0, spam 0", "151 clients, 1057 judged, ham 1050, spam 7",
	} {
		s := report.Sections[i]
		got := fmt.Sprintf("%d clients, %d judged, ham %d, spam %d", s.Clients, s.Judged, s.Ham, s.Spam)
		if got != want || s.TOML != "" || len(s.Missing) != 1 {
			t.Errorf("%s: %s, want %s; missing %q", s.DNS, got, want, s.Missing)
		}
	}
}

func TestRuleSetSize(t *testing.T) {
	if len(checks.All) > 64 {
		t.Error("a ruleSet is too small for the table")
	}
}

func TestFormatting(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{Group(0), "0"},
		{Group(999), "999"},
		{Group(1000), "1,000"},
		{Group(1234567), "1,234,567"},
		{percent(0, 0), "0.0 %"},
		{percent(1, 10000), "<0.1 %"},
		{percent(9999, 10000), ">99.9 %"},
		{percent(1, 3), "33.3 %"},
		{percent(3, 3), "100.0 %"},
		{sparkline([]int{0, 1, 50, 100}), "_.=#"},
		{sparkline([]int{0, 0}), "__"},
		{head("mail.example.org", 8), "mail.e.."},
		{tail("mail.example.org", 8), "..le.org"},
		{strings.Join(wrap("one two three", 7), "|"), "one two|three"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}
