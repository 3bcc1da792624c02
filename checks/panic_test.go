package checks_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
)

// caught does something and returns what it panics with, or "".
func caught(t *testing.T, do func()) (question string) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			found := p.(*checks.Panic)
			question = found.Value.(string)
			if !strings.Contains(string(found.Stack), "checkstest.Zone.Lookup") {
				t.Errorf("%s: not the stack of the panic:\n%s", question, found.Stack)
			}
		}
	}()
	do()
	return ""
}

// A panic in a lookup comes out where its facts are waited for, each time, or else at the end, once.
func TestLookupPanics(t *testing.T) {
	for _, question := range []string{
		"PTR 203.0.113.2",
		"A a.example.com",           // of a PTR name
		"A mx.example.org",          // of the HELO name
		"AAAA mx.example.org",       // the same
		"MX mx.example.org",         // in a lookup's own lookup
		"NS mx.example.org",         // the same
		"A in.bad.example",          // of one of these hosts
		"TXT mx.example.org",        // but for SPF
		"A example.org.dbl.example", // a list
		"A example.com.dbl.example", // the same of a PTR name
	} {
		zone := checkstest.Parse(t, listWorld)
		qtype, owner, _ := strings.Cut(question, " ")
		zone.Set(owner, "dnstest", "panic "+qtype)
		dns := &checks.DNS{
			Resolver: zone, Timeout: time.Second, Hosts: true, Lists: []string{"dbl.example"},
		}
		judge := &checks.Judge{Exempt: &checks.Exemptions{}, Policy: checks.NewPolicy(checks.Standard)}
		begin := func() *checks.Session {
			s := judge.Open(t.Context(), dns, netip.MustParseAddr("203.0.113.2"), checks.Site{})
			s.Greet(checks.ParseHelo("mx.example.org"))
			s.Mail(time.Time{})
			return s
		}
		want := question
		if strings.HasPrefix(question, "TXT") {
			want = "" // whoever writes the record would decide that he is not judged
		}
		s := begin()
		for range 2 {
			if got := caught(t, func() { s.Rcpt("") }); got != want {
				t.Errorf("%s: Rcpt panics with %q", question, got)
			}
		}
		if got := caught(t, s.Close); got != "" {
			t.Errorf("%s: Close says again %q", question, got)
		}
		if got := caught(t, begin().Close); got != want {
			t.Errorf("%s: nobody waits, and Close panics with %q", question, got)
		}
	}
}

// However much the owner of a name publishes, little of it is kept, and that is enough.
func TestManyValues(t *testing.T) {
	var zone strings.Builder
	zone.WriteString("203.0.113.9 PTR many.example.org.\n")
	for n := range 4000 {
		addr := netip.AddrFrom4([4]byte{198, 51, byte(n >> 8), byte(n)})
		zone.WriteString("many.example.org A " + addr.String() + "\n")
		zone.WriteString("many.example.org MX 10 mx." + addr.String() + ".example.org.\n")
		zone.WriteString("many.example.org NS ns." + addr.String() + ".example.org.\n")
	}
	zone.WriteString("many.example.org A 203.0.113.9\n")
	dns := &checks.DNS{Resolver: checkstest.Parse(t, zone.String()), Timeout: time.Second, Hosts: true}
	client, helo := netip.MustParseAddr("203.0.113.9"), checks.ParseHelo("many.example.org")
	f := checks.Lookup(t.Context(), dns, client, checks.Site{}, helo)
	g := f.Greetings[0]
	for what, n := range map[string]int{
		"A": len(g.A.Values), "PTR's A": len(f.PTR.Values[0].Addrs.Values),
		"MX": len(g.MX.Values), "NS": len(g.NS.Values),
	} {
		if n == 0 || n > 50 {
			t.Errorf("%d values of %s", n, what)
		}
	}
	findings := checks.Evaluate(f, nil, "")
	for _, rule := range []string{"helo-ip-mismatch", "ptr-unconfirmed"} {
		if got := findings[checks.Index(rule)].Result; got != checks.Pass {
			t.Errorf("%s is %v for the client's own name", rule, got)
		}
	}
}
