package help

import (
	"bytes"
	"flag"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
)

var update = flag.Bool("update", false, "write the expected pages")

// day is when everything in these tests happens.
var day = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// visit is a client's way to a page: a greeting that is judged by a zone, a test by another zone, and a
// greeting that comes after it. The greeting "-" is none, and that of a test is the one that was said last.
type visit struct {
	name          string
	golden        bool // the whole page stands in testdata
	client        string
	profile       checks.Profile
	zone, helo    string
	test          string // the zone; "" is not tested
	next          string // "" is none yet
	change        func(*State)
	title, states string // of the banner; the colours of banner, DNS and greeting, "" is not said here
}

const (
	mended = `
203.0.113.9       PTR  mail.example.org.
mail.example.org  A    203.0.113.9
`
	broken = `
203.0.113.9       TXT  "dnstest" "servfail"
mail.example.org  TXT  "dnstest" "servfail"
`
	rented = `
203.0.113.9                  PTR  203-0-113-9.static.example.net.
203-0-113-9.static.example.net A  203.0.113.9
mail.example.org             A    203.0.113.9
`
	dotless = `
203.0.113.40        PTR  mail40.example.org.113.0.203.in-addr.arpa.   ; the final dot is missing
mail40.example.org  A    203.0.113.40
`
	microsoft = `
40.107.22.9  PTR  mail-am0eur02on2009.outbound.protection.outlook.com.
mail-am0eur02on2009.outbound.protection.outlook.com A 40.107.22.9
`
	unresolving = `
203.0.113.9       PTR  mail.example.org.
mail.example.org  TXT  "dnstest" "servfail"
`
	none = " " // a zone without a record
)

var visits = []visit{
	{
		name: "first", golden: true, client: "203.0.113.9", zone: none, helo: "203.0.113.9",
		title: "This is wrong", states: "red grey grey",
	},
	{
		name: "named", client: "203.0.113.9", zone: mended, helo: "localhost", profile: checks.Strict,
		title: "This is wrong", states: "red grey grey",
	},
	{
		name: "dns-wrong", golden: true, client: "203.0.113.9", zone: none,
		helo: "mail.example.org", profile: checks.Strict, test: none,
		change: func(s *State) { s.Wait = 7400 * time.Millisecond },
		title:  "Still wrong", states: "red red green",
	},
	{
		name: "dns-good", golden: true, client: "203.0.113.9", zone: none,
		helo: "203.0.113.9", profile: checks.Strict, test: mended,
		title: "The DNS is right. Now the greeting", states: "grey green grey",
	},
	{
		name: "all-good", golden: true, client: "203.0.113.9", zone: none,
		helo: "203.0.113.9", profile: checks.Strict, test: mended,
		next:  "mail.example.org",
		title: "All good", states: "green green green",
	},
	{
		name: "good-by-test", client: "203.0.113.9", zone: none, helo: "mail.example.org",
		profile: checks.Strict,
		test:    mended, title: "All good", states: "green green green",
	},
	{
		name: "greeting-wrong", client: "203.0.113.9", zone: none, helo: "203.0.113.9",
		profile: checks.Strict,
		test:    mended, next: "localhost",
		title: "Still wrong", states: "red green red",
	},
	{
		name: "not-asked", golden: true, client: "203.0.113.9", zone: none,
		helo: "mail.example.org", profile: checks.Strict,
		test: broken, change: func(s *State) { s.Busy = true },
		title: "The DNS could not be asked", states: "amber amber green",
	},
	{
		name: "noted", golden: true, client: "203.0.113.9", zone: rented, helo: "203.0.113.9",
		test: rented, next: "mail.example.org",
		title: "Accepted here", states: "blue blue green",
	},
	{
		name: "deferred", client: "203.0.113.9", zone: broken, helo: "mail.example.org",
		profile: checks.Strict,
		change:  func(s *State) { s.Ticket.Unsure = true },
		title:   "The DNS could not be asked", states: "amber grey green",
	},
	{
		name: "silent", client: "203.0.113.9", zone: mended, helo: "-",
		title: "This is wrong", states: "red grey grey",
	},
	{
		name: "dotless", client: "203.0.113.40", zone: dotless, helo: "mail40.example.org",
		profile: checks.Strict,
		test:    dotless, title: "Still wrong", states: "red red green",
	},
	{
		name: "microsoft", golden: true, client: "40.107.22.9", zone: microsoft,
		helo:    "EUR02-AM0-obe.outbound.protection.outlook.com",
		profile: checks.Strict, test: microsoft, title: "Still wrong", states: "red red green",
	},
	{
		name: "ipv6", client: "2001:db8::9", zone: none, helo: "[IPv6:2001:db8::9]",
		profile: checks.Strict, test: none,
		title: "Still wrong", states: "red red grey",
	},
	{
		name: "exempt", client: "203.0.113.9", zone: none, helo: "203.0.113.9", next: "203.0.113.9",
		change: func(s *State) { s.Next.Exempt = checks.AllowList },
		title:  "Accepted", states: "green grey grey",
	},
	{
		name: "nothing", client: "203.0.113.9", zone: mended, helo: "mail.example.org",
		profile: checks.Strict,
		title:   "Nothing was wrong", states: "green grey green",
	},
	{
		// The score refuses, so that what is noted counts, too.
		name: "score", client: "203.0.113.9", zone: none, helo: "localhost", test: none,
		next:   "localhost",
		change: func(s *State) { s.Next.Verdict = checks.RecordVerdict{Want: "reject", Rule: "helo-localhost"} },
		title:  "Still wrong", states: "red red red",
	},
	{
		// What is noted is no reason while a failed lookup defers the mail.
		name: "deferred-again", client: "203.0.113.9", zone: none, helo: "localhost",
		test: unresolving, next: "localhost",
		change: func(s *State) {
			s.Next.Verdict = checks.RecordVerdict{Want: "tempfail", Rule: "ptr-unconfirmed"}
		},
		title: "The DNS could not be asked", states: "amber amber blue",
	},
	{
		// A test has no recipient; the rule is that of the greeting.
		name: "rcpt", client: "203.0.113.9", zone: none, helo: "example.net",
		profile: checks.Strict, test: none,
		title: "Still wrong", states: "red red grey",
	},
	{
		name: "rcpt-good", client: "203.0.113.9", zone: none, helo: "example.net", profile: checks.Strict,
		test:  "203.0.113.9 PTR mail.example.net.\nmail.example.net A 203.0.113.9\nexample.net A 203.0.113.9\n",
		title: "All good", states: "green green green",
	},
	{
		// Of a greeting that was cut, the DNS is not asked.
		name: "cut", client: "203.0.113.9", zone: none,
		helo:    strings.Repeat("a", 60) + ".example.org.more.and.more.example.org",
		profile: checks.Strict, test: mended, change: func(s *State) {
			s.Test.Facts.Unheard, s.Test.Facts.Greetings = true, nil
			s.Test.Helo, s.Test.Findings = s.Test.Facts.LastHelo(), nil
		},
		title: "The DNS is right. Now the greeting", states: "grey green grey",
	},
	{
		name: "error-of-ours", client: "203.0.113.9", zone: none, helo: "localhost",
		profile: checks.Strict, test: none,
		change: func(s *State) {
			s.Test.Findings = []checks.RuleFinding{{Rule: checks.Internal, Result: checks.Unsure}}
		},
		title: "The DNS could not be asked", states: "amber amber grey",
	},
	{
		name: "hostile", golden: true, client: "203.0.113.9", zone: none,
		profile: checks.Strict, test: none,
		helo: `"><img src=x onerror=alert(1)>`, next: "<script>\u202ealert(1)</script>\x00\x1b[2J{{.Token}}",
		change: func(s *State) {
			for _, r := range []*checks.Record{s.Test, s.Next} {
				evil := `"><svg/onload=alert(1)>.` + "\u202eexample.org"
				r.Facts.PTR = checks.Answer[checks.Host]{Status: checks.Found, Values: []checks.Host{{Name: evil}}}
			}
			s.Ticket.PTR = Said{Status: checks.Found, Value: `<a href="javascript:alert(1)">`, More: 2}
		},
		states: "red red red",
	},
}

// state is what the page gets.
func (v *visit) state(t *testing.T) *State {
	t.Helper()
	s := &State{Token: "mfzwizltoq"}
	_, s.Ticket = v.judge(t, v.zone, v.helo, day)
	last := v.helo
	if v.next != "" {
		last = v.next
		zone := v.test
		if zone == "" {
			zone = v.zone
		}
		s.Next, _ = v.judge(t, zone, v.next, day.Add(2*time.Hour))
	}
	if v.test != "" {
		s.Test, _ = v.judge(t, v.test, last, day.Add(time.Hour))
	}
	if v.change != nil {
		v.change(s)
	}
	return s
}

// judge is a session of the client.
func (v *visit) judge(t *testing.T, zone, helo string, at time.Time) (*checks.Record, *Ticket) {
	t.Helper()
	var helos []checks.Helo
	if helo != "-" {
		helos = append(helos, checks.ParseHelo(helo))
	}
	dns := &checks.DNS{Resolver: checkstest.Parse(t, zone), Timeout: time.Second}
	site := checks.Site{Hostname: "mx.example.net"}
	f := checks.Lookup(t.Context(), dns, netip.MustParseAddr(v.client), site, helos...)
	d := &checks.Decision{
		Facts: f, Time: at, ID: "session", QueueID: "4Xyz", MailFrom: "sender@example.org",
		RcptTo: []string{"reader@example.net"},
	}
	d.Verdict = checks.NewPolicy(v.profile).Decide(checks.Evaluate(f, nil, "example.net"))
	return d.Record(false), NewTicket(at, f, &d.Verdict)
}

// render returns what a function writes.
func render(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPage(t *testing.T) {
	for _, v := range visits {
		t.Run(v.name, func(t *testing.T) {
			s := v.state(t)
			seen := s.see()
			var states []string
			for _, b := range []badge{seen.Banner().Badge, badges[seen.DNS.Colour], badges[seen.Helo.Colour]} {
				states = append(states, b.Name)
			}
			if got := strings.Join(states, " "); v.states != "" && got != v.states {
				t.Errorf("the states are %s, want %s", got, v.states)
			}
			if got := seen.Banner().Title; v.title != "" && got != v.title {
				t.Errorf("the title is %s, want %s", got, v.title)
			}
			page := render(t, func(w io.Writer) error { return renderPage(w, s) })
			live := render(t, func(w io.Writer) error { return renderLive(w, s) })
			if !strings.Contains(page, `<div id="live">`+live+"\n</div>") {
				t.Error("what is live is not in the page as it is sent")
			}
			if v.golden {
				golden(t, v.name+".html", page)
			}
		})
	}
}

func TestFixedPages(t *testing.T) {
	golden(t, "rules.html", render(t, renderRules))
	golden(t, "gone.html", render(t, renderGone))
	for i := range checks.All {
		rule := &checks.All[i]
		page := render(t, func(w io.Writer) error { return renderRule(w, rule) })
		if !strings.Contains(page, rule.Name) || !strings.HasSuffix(page, "</html>\n") {
			t.Errorf("%s: %s", rule.Name, page)
		}
		if rule.Name == "helo-bare-ip" {
			golden(t, "rule.html", page)
		}
	}
}

// golden compares a page with a file, or writes it.
func golden(t *testing.T, name, page string) {
	t.Helper()
	file := filepath.Join("testdata", "page", name)
	if *update {
		if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || page != string(want) {
		t.Errorf("%s (%v) is not what is written now: run with -update, and read the difference", file, err)
	}
}

// Nothing comes from another host, or from within a page, as the policy for contents demands.
func TestNothingFromElsewhere(t *testing.T) {
	page := render(t, func(w io.Writer) error { return renderPage(w, visits[0].state(t)) })
	for name, text := range map[string]string{
		"page": page, "rules": render(t, renderRules), "gone": render(t, renderGone), "style": stylesheet,
	} {
		for _, bad := range []string{"http:", "https:", `"//`, "url(", "@import", "<style", " style=", " onclick"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s has %q", name, bad)
			}
		}
	}
	for _, bad := range []string{"http", "eval", "Function", "import"} {
		if strings.Contains(script, bad) {
			t.Errorf("the script has %q", bad)
		}
	}
}
