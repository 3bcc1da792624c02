package checks_test

import (
	"maps"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
)

// patient is a client that something is wrong with.
type patient struct {
	client netip.Addr
	helos  []string
	rcpt   string
	zone   checkstest.Zone
	deny   *checks.DenyList
}

// examine judges it as the strict profile does.
func (p *patient) examine(t *testing.T) *checks.Record {
	t.Helper()
	site := checks.Site{
		Hostname: "mx.example.net", Names: []string{".example.net"},
		Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.25")},
	}
	resolver := &checks.DNS{
		Resolver: p.zone, Timeout: time.Second, Lists: []string{"dbl.example"}, Hosts: p.deny.Hosts(),
	}
	var helos []checks.Helo
	for _, helo := range p.helos {
		helos = append(helos, checks.ParseHelo(helo))
	}
	f := checks.Lookup(t.Context(), resolver, p.client, site, helos...)
	d := &checks.Decision{Facts: f, RcptTo: []string{"reader@" + p.rcpt}}
	d.Verdict = checks.NewPolicy(checks.Strict).Decide(checks.Evaluate(f, p.deny, p.rcpt))
	return d.Record(false)
}

// advise returns the advice for it, and what it is based on.
func (p *patient) advise(t *testing.T) (checks.Advice, *checks.Record) {
	t.Helper()
	record := p.examine(t)
	return checks.Advise(record, func(helo string) *checks.Record {
		other := *p
		other.helos = []string{helo}
		return other.examine(t)
	}), record
}

// obey does what the steps say, to the letter.
func (p *patient) obey(t *testing.T, steps []checks.Step) {
	t.Helper()
	reverse, _ := dns.ReverseAddr(p.client.String())
	for _, step := range steps {
		for _, record := range step.Records {
			f := strings.Fields(record)
			switch {
			case len(f) == 3 && f[1] == "PTR" && strings.HasPrefix(reverse, f[0]+"."),
				len(f) == 3 && f[1] == "PTR" && f[0] == reverse:
				p.zone.Set(reverse, f[1], f[2]) // there is one only
			case len(f) == 3 && (f[1] == "A" || f[1] == "AAAA"):
				p.zone.Add(t, record)
			case len(f) == 1:
				_, name, _ := strings.Cut(step.Text, "SPF record of ")
				name, _, _ = strings.Cut(name, ":")
				spf := p.zone["TXT "+name+"."][0]
				p.zone.Set(name, "TXT", strings.Replace(spf, "v=spf1", "v=spf1 "+f[0], 1))
			default:
				t.Errorf("nobody can do that: %s", record)
			}
		}
		if name := regexp.MustCompile(`[Ss]et the mail server's HELO name to ([a-z0-9.-]*[a-z])`).
			FindStringSubmatch(step.Text); name != nil {
			p.helos = name[1:]
		}
		if strings.Contains(step.Text, "deny list") {
			p.deny = nil
		}
		if strings.Contains(step.Text, "block list") {
			listed := func(key string, _ []string) bool { return strings.HasSuffix(key, ".dbl.example.") }
			maps.DeleteFunc(p.zone, listed)
		}
	}
}

// summary is the kind of each step, in order, and the name.
func summary(a checks.Advice) string {
	words := []string{a.Name}
	if a.Example {
		words[0] = "example"
	}
	for _, step := range a.Steps {
		for _, kind := range []string{"HELO name", "PTR record", "Publish", "SPF", "deny list", "block list"} {
			if strings.Contains(step.Text, kind) {
				words = append(words, strings.Fields(kind)[0])
			}
		}
	}
	return strings.Join(words, " ")
}

const sick = world + `
203.0.113.20        PTR  out.example.org.
out.example.org     A    203.0.113.20
spf.example.org     A    203.0.113.21
spf.example.org     TXT  "v=spf1 -all"
203.0.113.21        PTR  spf.example.org.
spf9.example.org    TXT  "v=spf1 a:out.example.org -all"
203.0.113.22        PTR  203-0-113-22.dsl.example.org.
203-0-113-22.dsl.example.org A 203.0.113.22
home.example.org    A    203.0.113.22
203.0.113.23        PTR  pc.lan.
203.0.113.23        PTR  real.example.org.
real.example.org    A    203.0.113.23
203.0.113.24        PTR  mail.listed.org.
mail.listed.org     A    203.0.113.24
listed.org.dbl.example A 127.0.1.2
bare.example        MX   10 bare.example.
203.0.113.25        PTR  first.example.com.
203.0.113.25        PTR  second.example.org.
first.example.com   A    203.0.113.25
second.example.org  A    203.0.113.25
203.0.113.29        PTR  shunned.example.org.
shunned.example.org A    203.0.113.29
203.0.113.26        PTR  mail.google.com.          ; which nobody there knows
203.0.113.27        PTR  evil\".example.org.
evil\".example.org   A    203.0.113.27
203.0.113.28        PTR  many00.example.org.
203.0.113.28        PTR  many01.example.org.
203.0.113.28        PTR  many02.example.org.
203.0.113.28        PTR  many03.example.org.
203.0.113.28        PTR  many04.example.org.
203.0.113.28        PTR  many05.example.org.
203.0.113.28        PTR  many06.example.org.
203.0.113.28        PTR  many07.example.org.
203.0.113.28        PTR  many08.example.org.
203.0.113.28        PTR  many09.example.org.
203.0.113.28        PTR  many10.example.org.
many00.example.org  A    203.0.113.28
203.0.113.30        PTR  spf30.example.org.
spf30.example.org   A    203.0.113.30
spf30.example.org   TXT  "v=spf1 -all"
203.0.113.31        PTR  new.listed.org.           ; which leads nowhere, like those that follow
203.0.113.33        PTR  gone33.example.org.
203.0.113.34        PTR  startup.org.
203.0.113.40        PTR  mail40.example.org.113.0.203.in-addr.arpa.   ; the final dot is missing
mail40.example.org  A    203.0.113.40
203.0.113.41        PTR  mail41.example.org.0/25.113.0.203.in-addr.arpa.
203.0.113.42        PTR  mail42.example.org.0.203.in-addr.arpa.
mail42.example.org  A    198.51.100.42
2001:db8::43        PTR  mail43.example.org.8.b.d.0.1.0.0.2.ip6.arpa.
mail43.example.org  AAAA 2001:db8::43
203.0.113.32        PTR  denied.example.org.
denied.example.org  A    203.0.113.32
`

// Whoever takes the advice literally has nothing failing any more, whatever was wrong: the strictest profile
// accepts. Every rule is among what was wrong.
func TestAdviceCures(t *testing.T) {
	seen := map[string]bool{}
	for _, tt := range []struct{ client, helos, rcpt, advice string }{
		// The DNS confirms a name: to say it is all.
		{"203.0.113.11", "notes1.acme.private", "", "notes.example.com HELO"},
		{"203.0.113.11", "NOTES1/ACME", "", "notes.example.com HELO"},
		{"203.0.113.1", "-", "", "mail.example.org HELO"},
		{"203.0.113.1", "mail_1.example.org", "", "mail.example.org HELO"},
		{"203.0.113.1", "203.0.113.1", "", "mail.example.org HELO"},
		{"2001:db8::1", "2001:db8::1", "", "mail.example.org HELO"},
		{"203.0.113.1", "0x7f", "", "mail.example.org HELO"},
		{"203.0.113.1", "[203.0.113]", "", "mail.example.org HELO"},
		{"203.0.113.1", "[203.0.113.1]", "", "mail.example.org HELO"}, // the strict profile marks it
		{"203.0.113.1", "[203.0.113.11]", "", "mail.example.org HELO"},
		{"203.0.113.1", "[192.0.2.25]", "", "mail.example.org HELO"},
		{"203.0.113.1", "localhost", "", "mail.example.org HELO"},
		{"203.0.113.1", "friend", "", "mail.example.org HELO"},
		{"203.0.113.1", "rad.internal", "", "mail.example.org HELO"},
		{"203.0.113.1", "mail.nosuchtld", "", "mail.example.org HELO"},
		{"203.0.113.1", "co.uk", "", "mail.example.org HELO"},
		{"203.0.113.1", "mx.example.net", "", "mail.example.org HELO"},
		{"203.0.113.1", "example.com", "example.com", "mail.example.org HELO"},
		{"203.0.113.1", "nothing.example.org", "", "mail.example.org HELO"},
		{"203.0.113.1", "inside.example.com", "", "mail.example.org HELO"},
		{"203.0.113.1", "forbids.example.com", "", "mail.example.org HELO"},
		{"203.0.113.2", "mail.example.org", "", "out7.example.org HELO"},
		{"203.0.113.12", "mail.two.co.uk", "", "out.one.co.uk HELO"},
		{"206.125.175.2", "bob.microsoft.com", "", "s1.xnnd.com HELO"},
		{"203.0.113.1", "203-0-113-1.dsl.example.org", "", "mail.example.org HELO"},
		{"203.0.113.1", "mail.example.org|localhost", "", "mail.example.org HELO"},
		{"203.0.113.1", "localhost|mail.example.org", "", "mail.example.org HELO"},
		{"203.0.113.20", "spf.example.org", "", "out.example.org HELO"}, // its SPF is about others
		// The nearest of two.
		{"203.0.113.25", "localhost", "", "first.example.com HELO"},
		{"203.0.113.25", "nothing.example.org", "", "second.example.org HELO"},

		// What was not known of that name before it is said.
		{"203.0.113.30", "localhost", "", "spf30.example.org SPF HELO"},
		{"203.0.113.31", "localhost", "", "new.listed.org Publish block HELO"},
		{"203.0.113.32", "localhost", "", "denied.example.org deny HELO"},

		// The HELO name leads to the client, and the PTR record has to follow.
		{"203.0.113.22", "home.example.org", "", "home.example.org PTR"},
		{"203.0.113.21", "spf.example.org", "", "spf.example.org SPF"},
		{"203.0.113.9", "spf9.example.org", "", "spf9.example.org Publish PTR SPF"},
		{"2001:db8::9", "spf9.example.org", "", "spf9.example.org Publish PTR SPF"},

		// A PTR name that leads nowhere, and a HELO name that does.
		{"203.0.113.33", "localhost", "", "gone33.example.org Publish HELO"},
		{"203.0.113.33", "notes1.acme.private", "", "gone33.example.org Publish HELO"},
		{"203.0.113.33", "gone33.example.org", "", "gone33.example.org Publish"},
		{"203.0.113.9", "new.example.org", "", "new.example.org Publish PTR"},
		{"2001:db8::9", "new.example.org", "", "new.example.org Publish PTR"},
		{"203.0.113.5", "new.example.org", "", "new.example.org Publish PTR"},
		{"203.0.113.34", "new.example.org", "", "new.example.org Publish PTR"},

		// A PTR name that is in use elsewhere, or may be: a whole domain's.
		{"203.0.113.5", "localhost", "", "example Publish PTR HELO"},
		{"203.0.113.5", "forged.example.org", "", "example Publish PTR HELO"},
		{"203.0.113.34", "localhost", "", "example Publish PTR HELO"},

		// A PTR record without its final dot, the name of which may have its address or not.
		{"203.0.113.40", "mail40.example.org", "", "mail40.example.org PTR"},
		{"203.0.113.40", "localhost", "", "mail40.example.org PTR HELO"},
		{"203.0.113.40", "mail40.example.org.113.0.203.in-addr.arpa", "", "mail40.example.org PTR HELO"},
		{"203.0.113.41", "localhost", "", "mail41.example.org PTR Publish HELO"},
		{"203.0.113.42", "localhost", "", "mail42.example.org PTR Publish HELO"},
		{"2001:db8::43", "localhost", "", "mail43.example.org PTR HELO"},
		{"203.0.113.42", "mail42.example.org", "", "example Publish PTR HELO"}, // it is in use elsewhere
		{"203.0.113.40", "real40.example.org", "", "mail40.example.org PTR HELO"},

		// Nothing that could be its name.
		{"203.0.113.9", "localhost", "", "example Publish PTR HELO"},
		{"203.0.113.9", "[203.0.113.9]", "", "example Publish PTR HELO"},
		{"203.0.113.9", "smtp.gmail.com", "", "example Publish PTR HELO"},
		{"203.0.113.9", "smtp.example.net", "", "example Publish PTR HELO"}, // ours
		{"203.0.113.9", "smtp.aol.com", "", "example Publish PTR HELO"},
		{"203.0.113.9", "newcompany.org", "newcompany.org", "example Publish PTR HELO"},
		{"203.0.113.9", "out7.example.org", "", "example Publish PTR HELO"}, // it is in use
		{"203.0.113.9", "mail.example.org", "", "example Publish PTR HELO"}, // copied from an example
		{"203.0.113.26", "mail.google.com", "", "example Publish PTR HELO"},
		{"203.0.113.27", "localhost", "", "example Publish PTR HELO"},
		{"203.0.113.22", "203-0-113-22.dsl.example.org", "", "example Publish PTR HELO"},
		{"203.0.113.7", "localhost", "", "example Publish PTR HELO"},
		{"203.0.113.8", "localhost", "", "example Publish PTR HELO"},

		// Too many names.
		{"203.0.113.23", "real.example.org", "", "real.example.org PTR"},
		{"203.0.113.23", "localhost", "", "real.example.org HELO PTR"},
		{"203.0.113.28", "many00.example.org", "", "many00.example.org PTR"},

		// What others have against it.
		{"203.0.113.24", "mail.listed.org", "", "mail.listed.org block"},
		{"203.0.113.1", "mail.listed.org", "", "mail.example.org HELO"}, // the listed domain is not its own
		{"203.0.113.1", "denied.example.org", "", "mail.example.org HELO deny"},
		{"203.0.113.99", "[203.0.113.99]", "", "example Publish PTR HELO deny"},
		{"203.0.113.29", "shunned.example.org", "", "shunned.example.org deny"},
	} {
		p := &patient{
			netip.MustParseAddr(tt.client), strings.Split(tt.helos, "|"), tt.rcpt,
			checkstest.Parse(t, sick), denials(t),
		}
		if tt.helos == "-" {
			p.helos = nil
		}
		advice, before := p.advise(t)
		for _, f := range before.Findings {
			seen[f.Rule] = seen[f.Rule] || f.Result == checks.Fail
		}
		if got := summary(advice); got != tt.advice {
			t.Errorf("%s HELO %s: the advice is %s, want %s", tt.client, tt.helos, got, tt.advice)
		}
		p.obey(t, advice.Steps)
		again, after := p.advise(t)
		if after.Verdict.Want != "accept" || len(after.Findings) > 0 {
			t.Errorf("%s HELO %s: afterwards %s, %+v\nafter %+v", tt.client, tt.helos, after.Verdict.Want,
				after.Findings, advice.Steps)
		}
		if len(again.Steps) > 0 {
			t.Errorf("%s HELO %s: there is more to do: %+v", tt.client, tt.helos, again.Steps)
		}
	}
	for _, rule := range checks.All {
		if rule.Reads&(checks.SeenNetworks|checks.SeenNames) != 0 {
			continue // what was seen is not forgotten at once
		}
		if !seen[rule.Name] {
			t.Errorf("no case has %s", rule.Name)
		}
	}
}

func denials(t *testing.T) *checks.DenyList {
	t.Helper()
	list := &checks.DenyList{}
	for _, entry := range []struct{ field, text string }{
		{"helo", "denied.example.org"}, {"network", "203.0.113.99/32"}, {"ptr", "shunned.example.org"},
	} {
		var d checks.Deny
		var err error
		switch entry.field {
		case "network":
			d.Network = netip.MustParsePrefix(entry.text)
		case "ptr":
			err = d.PTR.UnmarshalText([]byte(entry.text))
		default:
			err = d.Helo.UnmarshalText([]byte(entry.text))
		}
		if err != nil {
			t.Fatal(err)
		}
		list.Add(d)
	}
	return list
}
