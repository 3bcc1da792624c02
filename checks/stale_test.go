package checks_test

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
)

// staleWorld is a DNS that is down, and what is still remembered of it.
const staleWorld = `
203.0.113.1        PTR  mail.example.org.
203.0.113.1        TXT  "dnstest" "stale" "PTR"
mail.example.org   A    203.0.113.1
mail.example.org   TXT  "dnstest" "stale" "A"
203.0.113.2        PTR  pc.example.org.
203.0.113.2        TXT  "dnstest" "stale" "PTR"
pc.example.org     A    203.0.113.99
pc.example.org     TXT  "dnstest" "stale" "A"
inside.example.com A    10.0.0.1
inside.example.com TXT  "dnstest" "stale" "A"
other.example.org  A    203.0.113.77
other.example.org  TXT  "dnstest" "stale" "A"
spf.example.org    TXT  "v=spf1 -all"
spf.example.org    TXT  "dnstest" "stale" "TXT"
stalemx.example.org TXT "v=spf1 mx -all"
stalemx.example.org MX  10 mx9.example.org.
stalemx.example.org TXT "dnstest" "stale" "MX"
mx9.example.org    A    203.0.113.9
qq.com             TXT  "v=spf1 ip4:203.0.113.9 -all"
qq.com             TXT  "dnstest" "stale" "TXT"
203.0.113.3        PTR  203-0-113-3.dsl.example.org.
203.0.113.3        TXT  "dnstest" "stale" "PTR"
example.com.dbl.example A 127.0.0.2
example.com.dbl.example TXT "dnstest" "stale" "A"
`

// found is the outcome of the strict profile in one line, with a DNS that is degraded or not.
func found(t *testing.T, world, client, helo string, degraded bool) string {
	t.Helper()
	dns := &checks.DNS{
		Resolver: checkstest.Parse(t, world), Timeout: time.Second, Lists: []string{"dbl.example"},
		Degraded: func() bool { return degraded },
	}
	f := checks.Lookup(t.Context(), dns, netip.MustParseAddr(client), checks.Site{}, checks.ParseHelo(helo))
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var facts checks.Facts // what a decision log keeps of it
	if err := json.Unmarshal(text, &facts); err != nil {
		t.Fatal(err)
	}
	verdict := checks.NewPolicy(checks.Strict).Decide(checks.Evaluate(&facts, nil, ""))
	return strings.Join([]string{verdict.Want(), facts.Iprev(), verdict.Failed(), verdict.Unsure()}, " ")
}

// A rule may pass on a stale answer and never fail.
func TestStale(t *testing.T) {
	for _, tt := range []struct{ client, helo, want string }{
		{"203.0.113.1", "mail.example.org", "accept pass none none"}, // it was so, and that is good enough
		{"203.0.113.1", "[203.0.113.1]", "accept pass helo-literal none"},
		{"203.0.113.1", "localhost", "reject pass helo-localhost none"}, // no DNS in it
		{
			"203.0.113.1", "inside.example.com",
			"accept pass none helo-listed,helo-bogus-address,helo-ip-mismatch,helo-ptr-mismatch,helo-unverified",
		},
		{"203.0.113.1", "other.example.org", "accept pass none helo-ip-mismatch"},
		{
			"203.0.113.2", "pc.example.org",
			"accept temperror none helo-ip-mismatch,helo-ptr-mismatch,helo-unverified,ptr-unconfirmed",
		},
		{"203.0.113.1", "spf.example.org", "reject pass helo-unresolvable none"},
		{"203.0.113.9", "spf.example.org", "reject permerror helo-unresolvable,helo-ptr-mismatch,helo-unverified,ptr-missing helo-spf"},
		{ // a stale MX says that it is fine, as it was
			"203.0.113.9", "stalemx.example.org",
			"reject permerror helo-ptr-mismatch,helo-unverified,ptr-missing none",
		},
		{ // and nothing against another client
			"203.0.113.8", "stalemx.example.org",
			"reject permerror helo-ptr-mismatch,helo-unverified,ptr-missing helo-spf",
		},
		{ // a stale SPF record of a brand vouches for its relay
			"203.0.113.9", "relay.qq.com",
			"reject permerror helo-unresolvable,helo-ptr-mismatch,helo-unverified,ptr-missing none",
		},
		{
			"203.0.113.8", "relay.qq.com",
			"reject permerror helo-unresolvable,helo-ptr-mismatch,helo-unverified,ptr-missing helo-brand-no-ptr",
		},
		{
			"203.0.113.1", "mail.example.com",
			"reject pass helo-unresolvable helo-listed,helo-ptr-mismatch,helo-unverified",
		},
		{
			"203.0.113.3", "[203.0.113.3]",
			"accept temperror helo-literal ptr-unconfirmed,ptr-generic,ptr-dynamic",
		},
	} {
		if got := found(t, staleWorld, tt.client, tt.helo, false); got != tt.want {
			t.Errorf("%s HELO %s\n got %s\nwant %s", tt.client, tt.helo, got, tt.want)
		}
	}
}

// While the DNS fails more often than not, what was answered keeps its weight, and what failed is unsure as ever.
func TestDegraded(t *testing.T) {
	for _, tt := range []struct{ client, helo, want string }{
		{"203.0.113.1", "mail.example.org", "accept pass none none"},
		{"203.0.113.1", "localhost", "reject pass helo-localhost none"},
		{"203.0.113.9", "[203.0.113.9]", "reject permerror helo-literal,ptr-missing none"},
		{"203.0.113.4", "[203.0.113.4]", "accept temperror helo-literal ptr-missing,ptr-unconfirmed," +
			"ptr-malformed,ptr-reserved,ptr-generic,ptr-dynamic,ptr-many"},
		{"203.0.113.9", "bob.microsoft.com", "reject permerror helo-unresolvable,helo-ptr-mismatch," +
			"helo-unverified,helo-brand-no-ptr,ptr-missing none"},
	} {
		for _, degraded := range []bool{false, true} {
			if got := found(t, world, tt.client, tt.helo, degraded); got != tt.want {
				t.Errorf("%s HELO %s, degraded %v\n got %s\nwant %s", tt.client, tt.helo, degraded, got, tt.want)
			}
		}
	}
}
