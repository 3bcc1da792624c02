package checks_test

import (
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
)

// listWorld is a zone with block lists, SPF records and denied hosts.
const listWorld = `
203.0.113.1        PTR  mail.example.org.
mail.example.org   A    203.0.113.1
203.0.113.2        PTR  a.example.com.
203.0.113.2        PTR  liar.example.net.
a.example.com      A    203.0.113.2
liar.example.net   A    203.0.113.99
203.0.113.3        TXT  "dnstest" "servfail" "PTR"
example.com.dbl.example  A 127.0.1.2
example.net.dbl.example  A 127.0.1.2
example.co.uk.dbl.example A 127.255.255.254        ; the list answers no public resolver
gone.co.uk.dbl.example   TXT "dnstest" "servfail" "A"
ours.co.uk.dbl.example   A 192.0.2.1               ; a list that ended, and its domain was sold
free.co.uk.dbl.example   A 127.0.0.1               ; RFC 5782 §5: never listed
both.co.uk.dbl.example   TXT "dnstest" "servfail" "A"
both.co.uk.uri.example   A 127.0.0.4

spf.example.org     TXT  "v=spf1 ip4:203.0.113.1 -all"
soft.example.org    TXT  "v=spf1 ~all"
void.example.org    TXT  "v=spf1 include:dead.example.org -all"
dead.example.org    TXT  "dnstest" "servfail" "TXT"
broken.example.org  TXT  "v=spf1 ipv4:203.0.113.1 -all"
text.example.org    TXT  "not about SPF"
a4.example.org      TXT  "v=spf1 a:mail.example.org -all"
there.example.org   TXT  "v=spf1 exists:mail.example.org -all"
half6.example.org   TXT  "v=spf1 a:h6.example.org -all"
h6.example.org      AAAA 2001:db8::1
h6.example.org      TXT  "dnstest" "servfail" "A"
blocked.example.org TXT  "v=spf1 a:ad.example.org -all"
blocked2.example.org TXT "v=spf1 mx:ad.example.org -all"
ad.example.org      A    0.0.0.0                   ; a resolver that filters
ad.example.org      MX   10 ad.example.org.
localhost           TXT  "v=spf1 -all"
microsoft.com       TXT  "v=spf1 ip4:203.0.113.1 ~all"

host.example.org    A    198.51.100.7
mx.example.org      MX   10 in.bad.example.
in.bad.example      A    192.0.2.7
example.org         NS   ns1.example.net.
example.org         NS   ns2.example.net.
sub.example.org     NS   ns.nasty.example.
ns.nasty.example    A    192.0.2.99
shut.example.org    TXT  "dnstest" "servfail" "NS"
`

// listed is the outcome under a deny list of "helo TEXT", "ptr TEXT" and "network TEXT" entries.
func listed(t *testing.T, client, helo string, deny ...string) (line string, trouble []string) {
	t.Helper()
	list := &checks.DenyList{}
	for _, entry := range deny {
		list.Add(denyEntry(t, entry))
	}
	var lock sync.Mutex
	dns := &checks.DNS{
		Resolver: checkstest.Parse(t, listWorld), Timeout: time.Second, Hosts: list.Hosts(),
		Lists: []string{"dbl.example", "uri.example"},
		Trouble: func(list, answer string) {
			lock.Lock()
			defer lock.Unlock()
			trouble = append(trouble, list+" "+answer)
		},
	}
	f := checks.Lookup(t.Context(), dns, netip.MustParseAddr(client), checks.Site{}, checks.ParseHelo(helo))
	findings := checks.Evaluate(f, list, "")
	var parts []string
	for i, f := range findings {
		name := checks.All[i].Name
		if !strings.Contains(name, "denied") && !strings.Contains(name, "listed") &&
			!strings.Contains(name, "spf") && !strings.Contains(name, "brand") {
			continue
		}
		switch f.Result {
		case checks.Fail:
			parts = append(parts, name+"("+f.Problem.Detail+")")
		case checks.Unsure:
			parts = append(parts, "?"+name)
		}
	}
	return strings.Join(parts, " "), trouble
}

func denyEntry(t *testing.T, text string) checks.Deny {
	t.Helper()
	kind, value, _ := strings.Cut(text, " ")
	var d checks.Deny
	var err error
	switch kind {
	case "helo":
		err = d.Helo.UnmarshalText([]byte(value))
	case "ptr":
		err = d.PTR.UnmarshalText([]byte(value))
	case "network":
		d.Network, err = netip.ParsePrefix(value)
	default:
		t.Fatalf("what is %q?", text)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDeny(t *testing.T) {
	for _, tt := range []struct{ client, helo, deny, want string }{
		{"203.0.113.1", "YLMF-PC", "helo ylmf-pc", "helo-denied(YLMF-PC)"},
		{"203.0.113.1", "ylmf-pc.example.org", "helo ylmf-pc", ""}, // a text is the whole name
		{"203.0.113.1", "*.*", "helo *.*", "helo-denied(*.*)"},     // no name, but said
		{"203.0.113.1", "a.b.example.org", "helo .example.org", "helo-denied(a.b.example.org)"},
		{"203.0.113.1", "example.org", "helo .example.org", ""}, // not under itself
		{"203.0.113.1", "badexample.org", "helo .example.org", ""},
		{"203.0.113.1", "A.Example.ORG.", "helo .EXAMPLE.org.", "helo-denied(A.Example.ORG.)"},
		{"203.0.113.1", "pc12.example.org", `helo /^pc\d+\./`, "helo-denied(pc12.example.org)"},
		{"203.0.113.1", "PC12.example.org", `helo /^pc\d+\./`, "helo-denied(PC12.example.org)"},
		{"203.0.113.1", "mypc12.example.org", `helo /^pc\d+\./`, ""},                               // anchored by the writer
		{"203.0.113.1", "mypc12.example.org", `helo /pc\d+\./`, "helo-denied(mypc12.example.org)"}, // or not
		{"203.0.113.1", "[203.0.113.1]", "helo [203.0.113.1]", "helo-denied([203.0.113.1])"},

		// The hosts behind the name.
		{"203.0.113.1", "host.example.org", "network 198.51.100.0/24", "helo-host-denied(198.51.100.7)"},
		{"203.0.113.1", "host.example.org", "network 198.51.100.8/29", ""},
		{"203.0.113.1", "mx.example.org", "helo .bad.example", "helo-host-denied(in.bad.example)"},
		{"203.0.113.1", "mx.example.org", "network 192.0.2.7/32", "helo-host-denied(192.0.2.7)"},
		{"203.0.113.1", "host.example.org", "helo ns2.example.net", "helo-host-denied(ns2.example.net)"},
		{"203.0.113.1", "a.sub.example.org", "network 192.0.2.99/32", "helo-host-denied(192.0.2.99)"},
		{"203.0.113.1", "mail.example.org", "network 192.0.2.99/32", ""},
		{"203.0.113.1", "a.shut.example.org", "helo nobody", "?helo-host-denied"},
		{"203.0.113.1", "friend", "network 203.0.113.0/24", "helo-host-denied(203.0.113.1)"}, // the client itself
		{"203.0.113.1", "[192.0.2.7]", "network 192.0.2.0/24", "helo-host-denied(192.0.2.7)"},
		{"2001:db8::1", "friend", "network 2001:db8::/32", "helo-host-denied(2001:db8::1)"},

		// PTR names, confirmed or not.
		{"203.0.113.1", "friend", "ptr mail.example.org", "ptr-denied(mail.example.org)"},
		{
			"203.0.113.2", "friend", "ptr .example.net",
			"ptr-denied(liar.example.net) ptr-listed(a.example.com: dbl.example)",
		},
		{"203.0.113.1", "friend", "helo mail.example.org", ""}, // that is for HELO
		{"203.0.113.3", "friend", "ptr .example.net", "?ptr-denied"},
		{"203.0.113.3", "friend", "helo nobody", ""}, // no PTR on the list: nothing to be unsure of
	} {
		got, _ := listed(t, tt.client, tt.helo, tt.deny)
		if got != tt.want {
			t.Errorf("%s HELO %s, deny %s\n got %s\nwant %s", tt.client, tt.helo, tt.deny, got, tt.want)
		}
	}
}

func TestBadPatterns(t *testing.T) {
	for _, text := range []string{"", ".", "/", "//", "/a", "/(/", `/(?=a)/`, `/a\1/`} {
		var p checks.Pattern
		if err := p.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for a pattern", text)
		}
	}
}

func TestBlockLists(t *testing.T) {
	for _, tt := range []struct{ client, helo, want, trouble string }{
		{"203.0.113.1", "mail.example.org", "", ""},
		{"203.0.113.1", "x.y.example.com", "helo-listed(dbl.example)", ""}, // by its organisational domain
		{"203.0.113.2", "mail.example.org", "ptr-listed(a.example.com: dbl.example)", ""},
		{"203.0.113.1", "example.net", "helo-listed(dbl.example)", ""},
		{"203.0.113.1", "mail.example.co.uk", "?helo-listed", "dbl.example 127.255.255.254"},
		{"203.0.113.1", "mail.gone.co.uk", "?helo-listed", ""},
		{"203.0.113.1", "mail.ours.co.uk", "?helo-listed", "dbl.example 192.0.2.1"},
		{"203.0.113.1", "mail.free.co.uk", "?helo-listed", "dbl.example 127.0.0.1"},
		{"203.0.113.1", "mail.both.co.uk", "helo-listed(uri.example)", ""}, // one says so, whatever the other does
		{"203.0.113.1", "friend", "", ""},
		{"203.0.113.1", "[203.0.113.1]", "", ""},
		{"203.0.113.3", "friend", "", ""},
	} {
		got, trouble := listed(t, tt.client, tt.helo)
		if got != tt.want || strings.Join(trouble, " ") != tt.trouble {
			t.Errorf("%s HELO %s\n got %s, trouble %v\nwant %s, %s",
				tt.client, tt.helo, got, trouble, tt.want, tt.trouble)
		}
	}
}

func TestSPF(t *testing.T) {
	for _, tt := range []struct{ client, helo, want string }{
		{"203.0.113.1", "spf.example.org", ""},
		{"203.0.113.9", "spf.example.org", "helo-spf(spf.example.org)"},
		{"203.0.113.9", "soft.example.org", ""}, // softfail is no fail
		{"203.0.113.9", "void.example.org", "?helo-spf"},
		{"203.0.113.9", "dead.example.org", "?helo-spf"},
		{"203.0.113.9", "broken.example.org", "?helo-spf"}, // permerror
		{"203.0.113.9", "text.example.org", ""},
		{"203.0.113.1", "a4.example.org", ""},
		{"203.0.113.9", "a4.example.org", "helo-spf(a4.example.org)"},
		{"2001:db8::1", "a4.example.org", "helo-spf(a4.example.org)"},
		{"2001:db8::1", "half6.example.org", ""}, // its AAAA is the client's, and its A fails
		{"2001:db8::9", "half6.example.org", "?helo-spf"},
		{"2001:db8::1", "there.example.org", ""}, // exists asks for A whatever the client is
		{"203.0.113.9", "blocked.example.org", "?helo-spf"},
		{"2001:db8::1", "blocked.example.org", "?helo-spf"},
		{"203.0.113.9", "blocked2.example.org", "?helo-spf"},
		{"203.0.113.9", "localhost", ""}, // one label
		{"203.0.113.9", "[203.0.113.9]", ""},
		{"203.0.113.1", "microsoft.com", ""}, // SPF vouches for the client
		{"203.0.113.9", "microsoft.com", "helo-brand-no-ptr(microsoft.com)"},
	} {
		if got, _ := listed(t, tt.client, tt.helo); got != tt.want {
			t.Errorf("%s HELO %s\n got %s\nwant %s", tt.client, tt.helo, got, tt.want)
		}
	}
}

// A panic over an SPF record is no answer, and visible.
func TestSPFPanics(t *testing.T) {
	zone := checkstest.Parse(t, listWorld+`mail.example.org TXT "dnstest" "panic" "TXT"`)
	dns := &checks.DNS{Resolver: zone, Timeout: time.Second}
	client, helo := netip.MustParseAddr("203.0.113.9"), checks.ParseHelo("mail.example.org")
	f := checks.Lookup(t.Context(), dns, client, checks.Site{}, helo)
	got := checks.Evaluate(f, nil, "")[checks.Index("helo-spf")].Result
	if spf := f.Greetings[0].SPF; got != checks.Unsure || !strings.Contains(spf.Err, "TXT mail.example.org") {
		t.Errorf("helo-spf is %v, SPF %+v", got, spf)
	}
}
