package checks_test

import (
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
)

// memory is an attempt that has as many answers as are left.
type memory struct {
	gate
	missed bool
}

func newMemory(zone checkstest.Zone, left *int) *memory {
	m := new(memory)
	m.gate = gate{zone, func(string, string) error {
		if *left--; *left >= 0 {
			return nil
		}
		m.Miss()
		return &net.DNSError{Err: "not cached", IsTemporary: true}
	}}
	return m
}

func (m *memory) Miss() { m.missed = true }

func (m *memory) Keep() bool { return !m.missed }

// Wherever an attempt is given up, the facts, the questions that cost something and what is reported are the
// same as without one; with all answers there, no question costs anything.
func TestAttempt(t *testing.T) {
	zone := checkstest.Parse(t, listWorld)
	zone.Add(t, `
203.0.113.77          PTR blocked.example.org.
blocked.example.org   A   0.0.0.0
203.0.113.78          PTR liar.example.net.
liar.example.net      A   203.0.113.78
example.net.dbl.example A 127.255.255.254
bob.microsoft.com     TXT "v=spf1 a mx include:spf.microsoft.com -all"
spf.microsoft.com     TXT "v=spf1 ip4:198.51.100.1 ?all"
`)
	for n := range 12 {
		zone.Add(t, fmt.Sprintf("203.0.113.79 PTR host%d.example.com.\nhost%d.example.com A 203.0.113.79", n, n))
	}
	for _, tt := range []struct {
		client, helo string
		hosts        bool
	}{
		{"203.0.113.2", "mx.example.org", false},
		{"203.0.113.2", "mx.example.org", true},
		{"203.0.113.77", "blocked.example.org", false},
		{"203.0.113.78", "liar.example.net", false},
		{"203.0.113.78", "bob.microsoft.com", true},
		{"203.0.113.79", "host11.example.com", false},
		{"203.0.113.9", "none.example.org", false},
		{"203.0.113.9", "[203.0.113.9]", false},
	} {
		ask := func(answers int) (f *checks.Facts, cost, reports int32, left int) {
			var asked, reported atomic.Int32
			report := func(_, _ string) { reported.Add(1) }
			dns := &checks.DNS{
				Resolver: zone, Timeout: time.Second, Lists: []string{"dbl.example"}, Hosts: tt.hosts,
				ForClient: func(netip.Addr, *checks.Budget) checks.Resolver {
					return gate{zone, func(string, string) error {
						asked.Add(1)
						return nil
					}}
				},
				Trouble: report, Filtered: report,
			}
			left = answers
			if answers >= 0 {
				dns.Attempt = func() checks.Attempt { return newMemory(zone, &left) }
			}
			client, helo := netip.MustParseAddr(tt.client), checks.ParseHelo(tt.helo)
			f = checks.Lookup(t.Context(), dns, client, checks.Site{}, helo)
			return f, asked.Load(), reported.Load(), left
		}
		want, cost, reports, _ := ask(-1)
		for answers := 0; ; answers++ {
			f, asked, reported, left := ask(answers)
			if !reflect.DeepEqual(f, want) || asked > cost || reported != reports {
				t.Errorf("%v, %d answers: %d questions, %d reports, %+v\nwant %d, %d, %+v",
					tt, answers, asked, reported, f, cost, reports, want)
			}
			if left >= 0 { // there was nothing to miss
				if asked > 0 && reports == 0 {
					t.Errorf("%v: %d questions for what is there", tt, asked)
				}
				break
			}
		}
	}
}

// A panic of an attempt comes out as one of a lookup does, unless the attempt is given up.
func TestAttemptPanics(t *testing.T) {
	zone := checkstest.Parse(t, listWorld)
	zone.Add(t, `mail.example.org TXT "dnstest" "panic" "AAAA"`)
	judge := &checks.Judge{Exempt: &checks.Exemptions{}, Policy: checks.NewPolicy(checks.Standard)}
	for answers, want := range []string{5: "AAAA mail.example.org", 3: ""} {
		left := answers
		dns := &checks.DNS{
			Resolver: checkstest.Parse(t, listWorld), Timeout: time.Second,
			Attempt: func() checks.Attempt { return newMemory(zone, &left) },
		}
		s := judge.Open(t.Context(), dns, netip.MustParseAddr("203.0.113.1"), checks.Site{})
		s.Greet(checks.ParseHelo("mail.example.org"))
		s.Mail(time.Time{})
		if got := caught(t, func() { s.Rcpt("") }); got != want {
			t.Errorf("%d answers: Rcpt panics with %q, want %q", answers, got, want)
		}
		if got := caught(t, s.Close); got != "" {
			t.Errorf("%d answers: Close says again %q", answers, got)
		}
	}
}
