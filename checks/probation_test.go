package checks_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
)

const probationWorld = `
203.0.113.1         PTR  mail.partner.example.org.
mail.partner.example.org A 203.0.113.1
203.0.113.2         TXT  "dnstest" "servfail" "PTR"
198.51.100.1        PTR  mail.example.com.
mail.example.com    A    198.51.100.1
`

// probationJudge has entries that cover clients of probationWorld, one or several of them.
func probationJudge(p checks.Profile) *checks.Judge {
	judge := &checks.Judge{Exempt: &checks.Exemptions{Authenticated: true}, Policy: checks.NewPolicy(p)}
	judge.Exempt.Network(netip.MustParsePrefix("198.51.100.128/25"))
	for _, a := range []checks.Allow{
		{Network: netip.MustParsePrefix("203.0.113.0/24"), Mended: true},
		{Name: ".partner.example.org", Mended: true},
		{Name: ".partner.example.org", Network: netip.MustParsePrefix("192.0.2.0/24"), Mended: true},
		{Network: netip.MustParsePrefix("198.51.100.0/24")},
	} {
		judge.Exempt.Allow(a)
	}
	return judge
}

func probationRecord(t *testing.T, judge *checks.Judge, client string, login bool, helos ...string) *checks.Record {
	t.Helper()
	dns := &checks.DNS{Resolver: checkstest.Parse(t, probationWorld), Timeout: time.Second}
	s := judge.Open(t.Context(), dns, netip.MustParseAddr(client), checks.Site{Hostname: "mx.example.net"})
	defer s.Close()
	for _, helo := range helos {
		s.Greet(checks.ParseHelo(helo))
	}
	s.Mail(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC))
	if login {
		s.LoggedIn()
	}
	s.Rcpt("example.net")
	return s.Decision().Record(false)
}

// What a session says of which entries: nothing, where the client is exempt otherwise, or a failed lookup leaves it
// open whether it would be refused.
func TestTry(t *testing.T) {
	strict := probationJudge(checks.Strict)
	careful := probationJudge(checks.Careful)
	unsure := probationJudge(checks.Careful)
	unsure.Policy.OnDNSError = checks.TempFail
	scores := probationJudge(checks.Careful)
	scores.Policy.RejectAt = 1
	lists := probationJudge(checks.Standard)
	lists.Lists = []string{"dbl.example."}
	for _, tt := range []struct {
		judge        *checks.Judge
		client, helo string
		want         string // entries with a session, or with "-" with a fault
	}{
		{careful, "203.0.113.1", "mail.partner.example.org", "0 1"},
		{careful, "203.0.113.1", "2130706433", "-0 -1"},
		{careful, "203.0.113.1", "friend", "0 1"}, // only marked
		{scores, "203.0.113.1", "friend", "-0 -1"},
		{strict, "203.0.113.1", "friend", "-0 -1"},
		{careful, "203.0.113.1", "mail.partner.example.org 2130706433", "-0 -1"},
		{careful, "203.0.113.2", "2130706433", "-0"}, // the name is a question; the network is none
		{careful, "203.0.113.2", "gmail.com", ""},    // with a PTR name it might be right, and without it is not
		{unsure, "203.0.113.2", "gmail.com", ""},
		{careful, "203.0.113.2", "mail.example.net", "0"}, // nothing that failed would refuse it
		{careful, "203.0.113.9", "mail.example.net", "0"},
		{careful, "203.0.113.9", "login friend", ""},
		{careful, "198.51.100.1", "2130706433", ""},   // of an entry without an end
		{careful, "198.51.100.129", "2130706433", ""}, // of exempt.networks
		{careful, "10.0.0.1", "2130706433", ""},
		{careful, "2001:db8::1", "2130706433", ""},             // not on the list
		{lists, "203.0.113.1", "mail.partner.example.org", ""}, // nobody asked the block list
	} {
		judge := tt.judge
		if judge == lists {
			judge = careful
		}
		helos, login := strings.CutPrefix(tt.helo, "login ")
		r := probationRecord(t, judge, tt.client, login, strings.Fields(helos)...)
		p := checks.NewProbation(tt.judge)
		p.Count(tt.judge.Try(r))
		var got []string
		for i, c := range p.Conduct() {
			switch {
			case !c.Fault.IsZero():
				got = append(got, fmt.Sprint("-", i))
			case c.Sessions > 0:
				got = append(got, strconv.Itoa(i))
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s %s: %q, want %q", tt.client, tt.helo, got, tt.want)
		}
	}
}

// An entry is not needed any more after 14 days and 5 sessions without a fault, in whatever order they are read.
func TestProbation(t *testing.T) {
	judge := probationJudge(checks.Careful)
	records := map[byte]*checks.Record{
		'+': probationRecord(t, judge, "203.0.113.9", false, "mail.example.net"),
		'-': probationRecord(t, judge, "203.0.113.8", false, "2130706433"), // another client of the entry
		'?': probationRecord(t, judge, "203.0.113.2", false, "gmail.com"),
	}
	for _, tt := range []struct {
		sessions string // each by its day, what it was like, and its id if it shares one; after = in this order only
		want     string // days of the last fault and of the first session after it, sessions, day on which it is over
	}{
		{"", "- - 0 -"},
		{"1+ 2+ 3+ 4+", "- 1 4 -"},
		{"1+ 2+ 3+ 4+ 5+", "- 1 5 15"},
		{"1+ 2+ 3+ 4+ 5+ 60+", "- 1 6 15"},
		{"1+ 2+ 3+ 4+ 5+ 13-", "13 - 0 -"},
		{"1- 2+ 3+ 4+ 5+ 6+", "1 2 5 16"},
		{"1+ 2+ 3+ 4- 5+ 6+ 7+ 8+ 9+", "4 5 5 19"},
		{"1- 2? 3? 4? 5? 6? 7? 20?", "1 - 0 -"},
		{"1+ 2+ 3+ 4? 5+ 6? 7+", "- 1 5 15"},
		{"= 1+a 1+a 1+a 1+a 1+b", "- 1 2 -"}, // messages of two sessions
		{"= 1+a 2+b 3-c 3.4+c", "3 - 0 -"},   // a session that had a fault
	} {
		var all []*checks.Record
		sessions, ordered := strings.CutPrefix(tt.sessions, "= ")
		for i, word := range strings.Fields(sessions) {
			at := strings.IndexAny(word, "+-?")
			day, _ := strconv.ParseFloat(word[:at], 64)
			r := *records[word[at]]
			r.ID = word[at+1:]
			if r.ID == "" {
				r.ID = fmt.Sprint("session", i)
			}
			r.Time = time.Unix(0, 0).Add(time.Duration(day * 24 * float64(time.Hour))).UTC()
			all = append(all, &r)
		}
		for order := range 4 {
			p, q := checks.NewProbation(judge), checks.NewProbation(judge)
			for i, r := range all {
				if order >= 2 && i >= len(all)/2 { // two that are joined
					q.Count(judge.Try(r))
				} else {
					p.Count(judge.Try(r))
				}
			}
			if slices.Reverse(all); order == 3 {
				p, q = q, p
			}
			if p.Join(q); ordered && order > 0 {
				break
			}
			if got := conduct(p.Conduct()[0]); got != tt.want {
				t.Errorf("%s (%d): %s, want %s", tt.sessions, order, got, tt.want)
			}
		}
	}
}

func conduct(c checks.Conduct) string {
	day := func(at time.Time) string {
		if at.IsZero() {
			return "-"
		}
		return fmt.Sprint(at.Unix() / 86400)
	}
	over := "-"
	if until := c.Since.Add(checks.ProbationTime); c.Mended(until) && !c.Mended(until.Add(-1)) {
		over = day(until)
	}
	return fmt.Sprint(day(c.Fault), " ", day(c.Since), " ", c.Sessions, " ", over)
}

// However many clients an entry covers, and for however long, what is kept of it is bounded; and a fault of long ago that is
// read last is not forgotten.
func TestProbationBounded(t *testing.T) {
	judge := probationJudge(checks.Careful)
	good := probationRecord(t, judge, "203.0.113.9", false, "mail.example.net")
	bad := probationRecord(t, judge, "203.0.113.9", false, "2130706433")
	p := checks.NewProbation(judge)
	first := good.Time
	add := func(r *checks.Record, day int) {
		r.Time, r.ID = first.AddDate(0, 0, day), strings.Repeat("x", 1<<10)+strconv.Itoa(day)
		r.Client = netip.AddrFrom4([4]byte{203, 0, 113, byte(day)})
		r.Facts.Client = r.Client
		p.Count(judge.Try(r))
	}
	for day := range 1000 {
		add(good, day)
	}
	if c := p.Conduct()[0]; c.Sessions != 1000 || !c.Since.Equal(first) {
		t.Errorf("%+v", c)
	}
	add(bad, 10) // 926 days became one span, of whose sessions only the last is known to be later
	if c := p.Conduct()[0]; c.Sessions != 64 || c.Since.Before(bad.Time) || !c.Mended(first.AddDate(0, 0, 1000)) {
		t.Errorf("%+v", c)
	}
}
