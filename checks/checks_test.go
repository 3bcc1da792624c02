package checks_test

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const world = `
206.125.175.2      PTR  s1.xnnd.com.              ; the good case of old
s1.xnnd.com        A    206.125.175.2
203.0.113.1        PTR  mail.example.org.
mail.example.org   A    203.0.113.1
mail.example.org   AAAA 2001:db8::1
2001:db8::1        PTR  mail.example.org.
203.0.113.2        PTR  out7.example.org.         ; says HELO mail.example.org
out7.example.org   A    203.0.113.2
203.0.113.3        PTR  a.example.org.
203.0.113.3        PTR  b.example.org.
a.example.org      TXT  "dnstest" "servfail" "A"
b.example.org      A    203.0.113.3
203.0.113.4        TXT  "dnstest" "servfail" "PTR"
203.0.113.5        PTR  forged.example.org.       ; whose address is another
forged.example.org A    203.0.113.50
203.0.113.6        PTR  dead.example.org.
dead.example.org   TXT  "dnstest" "servfail" "A"
dead.example.org   AAAA 2001:db8::6
203.0.113.7        PTR  localhost.
203.0.113.8        PTR  203.0.113.8.
203.0.113.8        PTR  8.example-.org.
203.0.113.10       PTR  a1.example.org.
203.0.113.10       PTR  a2.example.org.
203.0.113.10       PTR  a3.example.org.
203.0.113.10       PTR  a4.example.org.
203.0.113.10       PTR  a5.example.org.
203.0.113.10       PTR  a6.example.org.
203.0.113.10       PTR  a7.example.org.
203.0.113.10       PTR  a8.example.org.
203.0.113.10       PTR  a9.example.org.
203.0.113.10       PTR  b.example.org.
203.0.113.10       PTR  mail.example.org.         ; the eleventh
203.0.113.11       PTR  notes.example.com.        ; a Notes server that says its inside name
notes.example.com  A    203.0.113.11
203.0.113.12       PTR  out.one.co.uk.
out.one.co.uk      A    203.0.113.12
mail.two.co.uk     A    203.0.113.12
203.0.113.13       PTR  mail-a.google.com.
mail-a.google.com  A    203.0.113.13
private.example.org A   10.0.0.1
inside.example.com A    10.0.0.1
203.0.113.14       PTR  new.gone.example.com.
new.gone.example.com TXT "dnstest" "servfail" "A"
web.example.net    A    203.0.113.120              ; ours: our own web server
203.0.113.120       PTR  web.example.net.
203.0.113.121       PTR  out.example.net.          ; ours: a second MX that says its service name
out.example.net    A    203.0.113.121
news.example.net   A    203.0.113.122              ; ours: a newsletter host of others
203.0.113.122       PTR  vm22.example.com.
vm22.example.com   A    203.0.113.122
off.example.net    TXT  "dnstest" "servfail" "A"
203.0.113.123       PTR  pc.example.net.
pc.example.net     TXT  "dnstest" "servfail" "A"
203.0.113.124       PTR  vm24.example.com.         ; whose owner breaks his own zone
vm24.example.com   TXT  "dnstest" "servfail" "A"
203.0.113.125       PTR  mail-pool25.outbound.protection.outlook.com.
mail-pool25.outbound.protection.outlook.com A 203.0.113.125
eur-obe.outbound.protection.outlook.com TXT "v=spf1 -all"
qq.com             TXT  "v=spf1 ip4:203.0.113.84 -all"
aol.com            TXT  "v=spf1 ip4:203.0.113.84 ?all"
wp.pl              TXT  "dnstest" "servfail" "TXT"
forbids.example.com A   203.0.113.98
forbids.example.com TXT "v=spf1 -all"
byptr.example.org  TXT  "v=spf1 ptr:example.com -all"
mixed.example.org  A    10.0.0.1
mixed.example.org  A    203.0.113.99
alias.example.org  MX   10 mail.example.org.
half.example.org   TXT  "dnstest" "servfail" "A"
half.example.org   AAAA 2001:db8::77
gone.example.org   TXT  "dnstest" "servfail" "A"
gone.example.org   TXT  "dnstest" "servfail" "AAAA"
gone.example.org   TXT  "dnstest" "servfail" "MX"
null.example.org   MX   0 .
203.0.113.73       PTR  news.example.org.         ; a resolver that filters
news.example.org   A    0.0.0.0
news.example.org   AAAA ::
203.0.113.74       PTR  some.example.org.
some.example.org   A    0.0.0.0
some.example.org   A    203.0.113.74
one.example.org    A    203.0.113.99
one.example.org    AAAA ::
page.example.org   A    146.112.61.106            ; OpenDNS's block page
page.example.org   AAAA ::ffff:146.112.61.106
203.0.113.16       PTR  .                         ; the root: nobody's name
203.0.113.17       PTR  .
203.0.113.17       PTR  many.example.org.
many.example.org   A    203.0.113.17
root.example.org   MX   10 .
root.example.org   MX   20 .
203.0.113.15       PTR  host.newtld.
host.newtld        A    203.0.113.15
fresh.newtld       A    203.0.113.1               ; a TLD younger than our list
cetus.uberspace.de A    203.0.113.1               ; a real mail host under a private suffix
evilyahoo.com      A    203.0.113.1
relay.hotmail.com  A    203.0.113.1
`

// judged is the outcome of a session in one line: what the standard profile wants, the rules that fail
// and are not off, and those that are unsure, each with a question mark.
func judged(t *testing.T, client, helos, rcpt string) string {
	t.Helper()
	site := checks.Site{
		Hostname:  "mx.example.net",
		Names:     []string{"example.net", ".example.net"},
		Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.25"), netip.MustParseAddr("2001:db8::25")},
	}
	dns := &checks.DNS{Resolver: checkstest.Parse(t, world), Timeout: time.Second}
	judge := &checks.Judge{Exempt: &checks.Exemptions{}, Policy: checks.NewPolicy(checks.Standard)}
	s := judge.Open(t.Context(), dns, netip.MustParseAddr(client), site)
	defer s.Close()
	for helo := range strings.SplitSeq(helos, "|") {
		if helo != "-" {
			s.Greet(checks.ParseHelo(helo))
		}
	}
	s.Mail(time.Time{})
	verdict := s.Rcpt(rcpt)
	line := verdict.Want()
	if names := verdict.Failed(); names != "none" {
		line += " " + strings.ReplaceAll(names, ",", " ")
	}
	if names := verdict.Unsure(); names != "none" {
		line += " ?" + strings.ReplaceAll(names, ",", " ?")
	}
	return line
}

func TestJudge(t *testing.T) {
	const (
		noPTR   = " ptr-missing"
		unknown = "accept helo-ip-mismatch helo-ptr-mismatch helo-unverified ptr-missing"
		ptrFail = " ?ptr-missing ?ptr-unconfirmed ?ptr-malformed ?ptr-reserved ?ptr-generic ?ptr-dynamic ?ptr-many"
	)
	for _, tt := range []struct{ client, helos, rcpt, want string }{
		// HELO, PTR and address agree, or nearly.
		{"206.125.175.2", "s1.xnnd.com", "", "accept"},
		{"203.0.113.1", "mail.example.org", "", "accept"},
		{"203.0.113.1", "MAIL.Example.ORG.", "", "accept"}, // case and the trailing dot mean nothing
		{"2001:db8::1", "mail.example.org", "", "accept"},
		{"::ffff:203.0.113.1", "mail.example.org", "", "accept"}, // a v6 socket's client is IPv4
		// So is one behind a translator, in RFC 6052's prefix; a private address is not translated.
		{"64:ff9b::203.0.113.1", "mail.example.org", "", "accept"},
		{"64:ff9b::203.0.113.1", "[203.0.113.1]", "", "accept"},
		{"64:ff9b::192.168.7.7", "mail.example.org", "", unknown},
		{"64:ff9b:1::203.0.113.1", "mail.example.org", "", unknown},
		// 6to4 and Teredo: the IPv4 address in them is another host's.
		{"2002:cb00:7101::1", "mail.example.org", "", unknown},
		{"2001:0:cb00:7101::1", "mail.example.org", "", unknown},
		{"203.0.113.16", "mail.example.org", "", unknown},
		{"203.0.113.17", "many.example.org", "", "accept"},
		{"203.0.113.2", "mail.example.org", "", "accept helo-ip-mismatch"},
		{"203.0.113.3", "b.example.org", "", "accept"}, // one of two PTR names confirms, the other fails
		{"203.0.113.1", "cetus.uberspace.de", "", "accept helo-ptr-mismatch"},

		// Bogus HELO, kind one: the client's own address without brackets.
		{"203.0.113.1", "203.0.113.1", "", "reject helo-bare-ip"},
		{"2001:db8::1", "2001:db8::1", "", "reject helo-bare-ip"},
		// Kind two: our address.
		{"203.0.113.1", "192.0.2.25", "", "reject helo-bare-ip helo-own-address"},
		{"203.0.113.1", "[192.0.2.25]", "", "reject helo-literal-mismatch helo-own-address"},
		{"203.0.113.1", "[IPv6:2001:db8::25]", "", "reject helo-literal-mismatch helo-own-address"},
		{"192.0.2.25", "[192.0.2.25]", "", "accept ptr-missing"}, // from ourselves it is true
		{"192.0.2.25", "[IPv6:2001:db8::25]", "", "accept helo-literal-mismatch ptr-missing"},
		{
			"192.0.2.25", "mx.example.net", "",
			"accept helo-unresolvable helo-ptr-mismatch helo-unverified ptr-missing",
		},
		// Kind three: our name, our domain, the recipient's domain.
		{
			"203.0.113.1", "mx.example.net", "",
			"reject helo-own-name helo-unresolvable helo-ptr-mismatch helo-unverified",
		},
		{
			"203.0.113.1", "example.net", "",
			"reject helo-own-name helo-unresolvable helo-ptr-mismatch helo-bare-domain helo-unverified",
		},
		{
			"203.0.113.1", "a.b.example.net", "",
			"reject helo-own-name helo-unresolvable helo-ptr-mismatch helo-unverified",
		},
		// What the DNS has proven clears, and a lookup that could prove it and failed leaves it open.
		{"203.0.113.120", "web.example.net", "example.net", "accept"},
		{"203.0.113.120", "example.net", "example.net", "accept helo-unresolvable"},
		{"203.0.113.121", "smtp.example.net", "", "accept helo-unresolvable"},
		{"203.0.113.122", "news.example.net", "", "accept helo-ptr-mismatch"},
		{"203.0.113.9", "web.example.net", "", "reject helo-own-name helo-ip-mismatch helo-ptr-mismatch " +
			"helo-unverified ptr-missing"},
		{"203.0.113.122", "off.example.net", "", "accept helo-ptr-mismatch ?helo-own-name ?helo-unresolvable " +
			"?helo-bogus-address ?helo-ip-mismatch ?helo-unverified"},
		{"2001:db8::1", "off.example.net", "", "reject helo-own-name helo-ptr-mismatch helo-unverified " +
			"?helo-unresolvable ?helo-bogus-address ?helo-ip-mismatch"}, // an A record proves nothing of an IPv6 client
		{"203.0.113.123", "mx.example.net", "", "accept helo-unresolvable ?helo-own-name ?helo-ptr-mismatch " +
			"?helo-unverified ?ptr-unconfirmed"},
		{"203.0.113.124", "mx.example.net", "", "reject helo-own-name helo-unresolvable helo-unverified " +
			"?helo-ptr-mismatch ?ptr-unconfirmed"}, // what failed proves nothing about our name
		{"203.0.113.4", "mx.example.net", "", "accept helo-unresolvable ?helo-own-name ?helo-ptr-mismatch " +
			"?helo-unverified" + ptrFail},
		{"203.0.113.1", "mail", "", "accept helo-not-fqdn"},
		{"203.0.113.1", "example.org", "example.org", "accept helo-unresolvable"}, // it is in that domain
		{
			"203.0.113.1", "example.com", "example.com",
			"accept helo-rcpt-domain helo-unresolvable helo-ptr-mismatch helo-bare-domain helo-unverified",
		},
		{"203.0.113.1", "mail.example.org", "example.org", "accept"}, // a host in it is not the domain

		// No name at all, or none that can be.
		{"203.0.113.1", "-", "", "reject helo-missing"},
		{"203.0.113.1", "", "", "reject helo-malformed"},
		{"203.0.113.1", "foo bar", "", "reject helo-malformed"},
		{"203.0.113.1", "mail_1.example.org", "", "reject helo-underscore helo-unresolvable"},
		{"203.0.113.1", "2130706433", "", "reject helo-numeric"},
		{"203.0.113.1", "localhost", "", "accept helo-localhost"},
		{"203.0.113.1", "localhost.localdomain", "", "accept helo-localhost"},
		{"203.0.113.1", "friend", "", "accept helo-not-fqdn"},
		{"203.0.113.9", "friend", "", "accept helo-not-fqdn ptr-missing"}, // the contract's example
		{"203.0.113.1", "rad.internal", "", "accept helo-reserved-tld helo-ptr-mismatch helo-unverified"},
		{"203.0.113.11", "notes1.corp", "", "accept helo-private-tld helo-ptr-mismatch helo-unverified"},
		{"203.0.113.1", "mail.nosuchtld", "", "accept helo-unknown-tld helo-ptr-mismatch helo-unverified"},
		{"203.0.113.1", "fresh.newtld", "", "accept helo-ptr-mismatch"}, // it resolves: the list is old
		{
			"203.0.113.1", "co.uk", "",
			"accept helo-public-suffix helo-unresolvable helo-ptr-mismatch helo-unverified",
		},

		// Literals: compared as addresses, never as text, and the legal one is no fault in standard.
		{"203.0.113.1", "[203.0.113.1]", "", "accept"},
		{"203.0.113.1", "[203.0.113.11]", "", "accept helo-literal-mismatch"},
		{"203.0.113.11", "[203.0.113.1]", "", "accept helo-literal-mismatch"},
		{"2001:db8::1", "[IPv6:2001:DB8:0:0:0:0:0:1]", "", "accept"},
		{"203.0.113.1", "[IPv6:::ffff:203.0.113.1]", "", "accept"},
		{"2001:db8::1", "[2001:db8::1]", "", "accept helo-literal-malformed"},

		// The name in the DNS.
		{"203.0.113.1", "nothing.example.org", "", "accept helo-unresolvable"},
		{"203.0.113.1", "root.example.org", "", "accept helo-unresolvable"},
		{"203.0.113.1", "null.example.org", "", "accept helo-unresolvable"},   // the null MX is no MX
		{"203.0.113.1", "alias.example.org", "", "accept"},                    // an MX is enough
		{"203.0.113.1", "private.example.org", "", "accept helo-ip-mismatch"}, // its inside name, but its own
		{
			"203.0.113.1", "inside.example.com", "",
			"reject helo-bogus-address helo-ip-mismatch helo-ptr-mismatch helo-unverified",
		},
		{"203.0.113.1", "forbids.example.com", "", "reject helo-ip-mismatch helo-ptr-mismatch helo-unverified helo-spf"},
		{
			"203.0.113.14", "forbids.example.com", "",
			"accept helo-ip-mismatch ?helo-ptr-mismatch ?helo-unverified ?helo-spf ?ptr-unconfirmed",
		},
		{ // RFC 7208 §5.5 has it no match, and "fail", when the lookup of a PTR name failed
			"203.0.113.124", "byptr.example.org", "",
			"accept helo-unresolvable helo-unverified ?helo-ptr-mismatch ?helo-spf ?ptr-unconfirmed",
		},
		{"203.0.113.12", "byptr.example.org", "", "reject helo-unresolvable helo-ptr-mismatch helo-unverified helo-spf"},
		{"203.0.113.1", "mixed.example.org", "", "accept helo-ip-mismatch"},
		{"203.0.113.12", "mail.two.co.uk", "", "accept helo-ptr-mismatch"}, // co.uk is no organisation
		{"203.0.113.12", "mail.three.co.uk", "", "accept helo-unresolvable helo-ptr-mismatch helo-unverified"},

		// Somebody else's well-known name.
		{
			"206.125.175.2", "bob.microsoft.com", "",
			"reject helo-unresolvable helo-ptr-mismatch helo-unverified helo-forged-brand",
		},
		{
			"203.0.113.9", "mail.yahoo.com", "",
			"reject helo-unresolvable helo-ptr-mismatch helo-unverified helo-brand-no-ptr" + noPTR,
		},
		{"203.0.113.13", "mail-a.google.com", "", "accept"},
		{ // Google's host
			"203.0.113.13", "smtp.gmail.com", "", "accept helo-unresolvable helo-ptr-mismatch helo-unverified",
		},
		{"203.0.113.1", "evilyahoo.com", "", "accept helo-ptr-mismatch"},
		{"203.0.113.125", "eur-obe.outbound.protection.outlook.com", "", "accept helo-unresolvable"},
		{"203.0.113.84", "xmbghk7.mail.qq.com", "", "accept helo-unresolvable helo-ptr-mismatch helo-unverified ptr-missing"},
		{"203.0.113.9", "xmbghk7.mail.qq.com", "", "reject helo-unresolvable helo-ptr-mismatch helo-unverified " +
			"helo-brand-no-ptr ptr-missing"},
		{"203.0.113.9", "xmbghk7.mail.aol.com", "", "accept helo-unresolvable helo-ptr-mismatch helo-unverified " +
			"helo-brand-host-no-ptr ptr-missing"}, // that brand's record leaves it open
		{"203.0.113.9", "mx1.wp.pl", "", "accept helo-unresolvable helo-ptr-mismatch helo-unverified " +
			"ptr-missing ?helo-brand-no-ptr"},
		{"203.0.113.1", "relay.hotmail.com", "", "accept helo-ptr-mismatch"}, // the address vouches

		// Two greetings: the worst counts, and a change is told.
		{"203.0.113.1", "mail.example.org|mail.example.org", "", "accept"},
		{"203.0.113.1", "mail.example.org|0x7f", "", "reject helo-numeric helo-changed"},
		{"203.0.113.1", "0x7f|mail.example.org", "", "reject helo-numeric helo-changed"},

		// The client's reverse DNS.
		{
			"203.0.113.9", "mail.example.org", "",
			"accept helo-ip-mismatch helo-ptr-mismatch helo-unverified" + noPTR,
		},
		{
			"203.0.113.5", "forged.example.org", "",
			"accept helo-ip-mismatch helo-ptr-mismatch helo-unverified ptr-unconfirmed",
		},
		{"203.0.113.7", "[203.0.113.7]", "", "accept ptr-unconfirmed ptr-reserved"},
		{"203.0.113.8", "[203.0.113.8]", "", "accept ptr-unconfirmed ptr-malformed"},
		{"203.0.113.15", "[203.0.113.15]", "", "accept"}, // a TLD younger than our list, and it resolves
		{"203.0.113.10", "[203.0.113.10]", "", "accept ptr-unconfirmed ptr-many"},

		// The DNS fails: unsure, never fail, and what needs no DNS is judged all the same.
		{"203.0.113.4", "[203.0.113.4]", "", "accept" + ptrFail},
		{"203.0.113.4", "0x7f", "", "reject helo-numeric" + ptrFail},
		{
			"203.0.113.4", "mail.example.org", "",
			"accept helo-ip-mismatch ?helo-ptr-mismatch ?helo-unverified" + ptrFail,
		},
		{
			"203.0.113.4", "bob.microsoft.com", "",
			"accept helo-unresolvable ?helo-ptr-mismatch ?helo-unverified ?helo-forged-brand" + ptrFail,
		},
		{"203.0.113.6", "[203.0.113.6]", "", "accept ?ptr-unconfirmed"},
		{"203.0.113.1", "half.example.org", "", "accept ?helo-ip-mismatch"},
		{"203.0.113.1", "gone.example.org", "", "accept ?helo-unresolvable ?helo-ip-mismatch"},
	} {
		if got := judged(t, tt.client, tt.helos, tt.rcpt); got != tt.want {
			t.Errorf("%s HELO %s for %q\n got %s\nwant %s", tt.client, tt.helos, tt.rcpt, got, tt.want)
		}
	}
}

// The HELO is the last one that was said, new or not.
func TestLastHelo(t *testing.T) {
	for helos, want := range map[string]string{
		"mail.example.org friend":                  "friend",
		"mail.example.org friend mail.example.org": "mail.example.org",
		"friend a b FRIEND.":                       "friend",
	} {
		if got := factsOf(t, "203.0.113.1", strings.Fields(helos)...).LastHelo().Name; got != want {
			t.Errorf("after %s it is %s", helos, got)
		}
	}
}

// A client cannot fill memory with greetings; the last one is always among those that are kept.
func TestManyGreetings(t *testing.T) {
	client := netip.MustParseAddr("203.0.113.1")
	dns := &checks.DNS{Resolver: checkstest.Parse(t, world), Timeout: time.Second}
	var helos []checks.Helo
	for i := range 1000 {
		helos = append(helos, checks.ParseHelo(fmt.Sprintf("pc%d.example.org", i)))
	}
	f := checks.Lookup(t.Context(), dns, client, checks.Site{}, helos...)
	if n, last := len(f.Greetings), f.LastHelo().Name; n != 20 || last != "pc999.example.org" {
		t.Errorf("%d greetings, the last is %s", n, last)
	}
}

// Filtered is called with the name, and what a filter makes up is a failed lookup.
func TestFiltered(t *testing.T) {
	const unsure = " ?helo-unresolvable ?helo-bogus-address ?helo-ip-mismatch"
	// AdGuardSDNSFilter issue 571, hblock issue 190. Beside what is made up, an address is one.
	for _, tt := range []struct{ client, helo, want string }{
		{
			"203.0.113.73", "news.example.org",
			"accept" + unsure + " ?helo-ptr-mismatch ?helo-unverified ?ptr-unconfirmed",
		},
		{"203.0.113.11", "news.example.org", "accept helo-ptr-mismatch" + unsure + " ?helo-unverified"},
		{"203.0.113.11", "page.example.org", "accept helo-ptr-mismatch" + unsure + " ?helo-unverified"},
		{"203.0.113.74", "some.example.org", "accept"},
		{"203.0.113.1", "one.example.org", "accept ?helo-ip-mismatch"},
	} {
		if got := judged(t, tt.client, tt.helo, ""); got != tt.want {
			t.Errorf("%s HELO %s\n got %s\nwant %s", tt.client, tt.helo, got, tt.want)
		}
	}
	var lock sync.Mutex
	told := map[string]bool{}
	dns := &checks.DNS{
		Resolver: checkstest.Parse(t, world), Timeout: time.Second,
		Filtered: func(name, answer string) {
			lock.Lock()
			defer lock.Unlock()
			told[name+" "+answer] = true
		},
	}
	client := netip.MustParseAddr("203.0.113.73")
	f := checks.Lookup(t.Context(), dns, client, checks.Site{}, checks.ParseHelo("news.example.org"))
	if a := f.Greetings[0].A; a.Status != checks.Failed || a.Err != "filtered: the resolver answers 0.0.0.0" {
		t.Errorf("A is %+v", a)
	}
	if !told["news.example.org 0.0.0.0"] || !told["news.example.org ::"] || f.Iprev() != "temperror" {
		t.Errorf("told of %v, iprev is %s", told, f.Iprev())
	}
}
