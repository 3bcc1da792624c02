package milter

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	gomilter "github.com/d--j/go-milter"
	"github.com/emersion/go-msgauth/authres"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
)

// results is testServer with Authentication-Results.
func results(t *testing.T, change func(*Config)) (address string) {
	t.Helper()
	return testServer(t, func(c *Config) {
		c.AuthResults = true
		if change != nil {
			change(c)
		}
	})
}

// end ends a message and returns what was done to its header, in the order in which it was.
func (m *mta) end() string {
	m.t.Helper()
	var done []string
	if _, err := m.HeaderEnd(); err != nil {
		m.t.Fatal(err)
	}
	if _, err := m.BodyChunk([]byte("body")); err != nil {
		m.t.Fatal(err)
	}
	mods, _, err := m.End()
	if err != nil {
		m.t.Fatal(err)
	}
	for _, mod := range mods {
		what, value := "deleted", mod.HeaderValue
		if value != "" {
			what, _, _ = strings.Cut(value, "; client=") // of X-HELO-Check
		}
		done = append(done, fmt.Sprintf("%s %d %s", mod.HeaderName, mod.HeaderIndex, what))
	}
	return strings.Join(done, " | ")
}

func TestAuthResults(t *testing.T) {
	const (
		hello  = "C 203.0.113.1 | H mail.example.org | M | R"
		ours   = "Authentication-Results 0 mx.example.net;\n\tiprev="
		passes = ours + "pass policy.iprev=203.0.113.1 (mail.example.org)"
		accept = " | X-HELO-Check 0 accept"
		gone   = "Authentication-Results %d deleted | "
	)
	for _, tt := range []struct {
		story  string
		change func(*Config)
		script string
		want   string
	}{
		{"a message", nil, hello + " | X Subject: a message", passes + accept},
		{
			"IPv6", nil, "C 2001:db8::1 | H six.example.org | M | R | X Subject: a message",
			ours + `pass policy.iprev="2001:db8::1" (six.example.org)` + accept,
		},
		{
			"no PTR", nil, "C 203.0.113.9 | H [203.0.113.9] | M | R | X Subject: a message",
			ours + "permerror policy.iprev=203.0.113.9" + accept,
		},
		{
			"the DNS fails", nil, "C 203.0.113.4 | H [203.0.113.4] | M | R | X Subject: a message",
			ours + "temperror policy.iprev=203.0.113.4" + accept,
		},
		{
			"a name that does not fit",
			func(c *Config) {
				zone := c.DNS.Resolver.(checkstest.Zone)
				zone.Set("203.0.113.1", "PTR", `a)\;b`)
				zone.Set(`a)\;b`, "A", "203.0.113.1")
			},
			"C 203.0.113.1 | H [203.0.113.1] | M | R | X Subject: a message",
			ours + "pass policy.iprev=203.0.113.1" + accept,
		},
		{
			"our name is configured", func(c *Config) { c.Site.Hostname = "example.net" },
			hello + " | X Authentication-Results: example.net; x=y | X Authentication-Results: mx.example.net; x=y",
			fmt.Sprintf(gone, 1) + strings.Replace(passes, "mx.", "", 1) + accept,
		},
		{
			"our name does not fit", func(c *Config) { c.Site.Hostname = "mx;x=y" },
			hello + " | X Authentication-Results: mx; x=y", "X-HELO-Check 0 accept",
		},
		{
			"some are ours", nil,
			hello + " | X Authentication-Results: mx.example.net; x=y | X Authentication-Results: example.org; x=y | " +
				"X AUTHENTICATION-results: MX.example.net.; x=y | X X-HELO-Check: accept | X Subject: mx.example.net; | " +
				"X Authentication-Results: example.org; x=y | X Authentication-Results: mx.example.net 1; x=y",
			"X-HELO-Check 1 deleted | " + fmt.Sprintf(gone+gone+gone, 5, 3, 1) + passes + accept,
		},
		{
			"exempt: a forged one goes, and there is nothing to say", nil,
			"C 192.168.1.1 | H x | M | R | X Authentication-Results: mx.example.net; iprev=pass",
			fmt.Sprintf(gone, 1) + "X-HELO-Check 0 exempt",
		},
		{
			"an internal error", func(c *Config) { c.Exempt = nil },
			hello + " | X Authentication-Results: mx.example.net; iprev=pass",
			fmt.Sprintf(gone, 1) + "X-HELO-Check 0 accept",
		},
		{
			"no other header", func(c *Config) { c.Header = "" },
			hello + " | X Authentication-Results: mx.example.net; x=y | X X-HELO-Check: x",
			fmt.Sprintf(gone, 1) + passes,
		},
		{
			"not wanted", func(c *Config) { c.AuthResults = false },
			hello + " | X Authentication-Results: mx.example.net; x=y", "X-HELO-Check 0 accept",
		},
	} {
		m := connect(t, results(t, tt.change), nil)
		m.play(tt.script)
		if got := m.end(); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.story, got, tt.want)
		}
		m.Close()
	}
}

// More fields than anybody has: what is kept of them is bounded, and the surplus goes.
func TestManyResults(t *testing.T) {
	m := connect(t, results(t, nil), nil)
	m.play("C 203.0.113.1 | H mail.example.org | M | R" +
		strings.Repeat(" | X Authentication-Results: example.org; x=y", maxKept+2))
	got := m.end()
	const gone = "Authentication-Results %d deleted | "
	want := fmt.Sprintf(gone+gone, maxKept+2, maxKept+1)
	if !strings.HasPrefix(got, want) || strings.Count(got, "deleted") != 2 {
		t.Errorf("got %s", got)
	}
	m.Close()
}

// What we write is read back as it was meant.
func TestAuthResultsText(t *testing.T) {
	for _, addr := range []string{"203.0.113.9", "2001:db8::9"} {
		client := netip.MustParseAddr(addr)
		name := checks.Host{Name: "mail.example.org", Addrs: checks.Answer[netip.Addr]{Values: []netip.Addr{client}}}
		ptr := checks.Answer[checks.Host]{Status: checks.Found, Values: []checks.Host{name}}
		id, list, err := authres.Parse(authResults("mx.example.net", &checks.Facts{Client: client, PTR: ptr}))
		if err != nil || id != "mx.example.net" || len(list) != 1 {
			t.Fatalf("%s: %s, %v, %v", addr, id, list, err)
		}
		r, ok := list[0].(*authres.IPRevResult)
		if !ok || r.Value != authres.ResultPass || strings.Trim(r.IP, `"`) != addr {
			t.Errorf("%s: %+v", addr, list[0])
		}
	}
}

// Whose a field is. The name is always mx.example.net.
func TestClaims(t *testing.T) {
	for _, tt := range []struct {
		ours  bool
		value string
	}{
		{true, "mx.example.net; iprev=pass"},
		{true, "mx.example.net"},
		{true, "  MX.Example.NET. ;none"},
		{true, "mx.example.net 1; spf=pass"},
		{true, "mx.example.net 2; spf=pass"}, // a version that nobody knows: RFC 8601 §2.2
		{true, "\n\tmx.example.net\n\t;\n\tspf=pass"},
		{true, "(a) (b(c;d)\\)) mx.example.net (e)1(f);spf=pass"},
		{true, `"mx.example.net"; spf=pass`},
		{true, `"mx.e\xample.net" 1; spf=pass`},
		{true, "mx.example.net; spf=pass (no end"}, // what follows the name does not matter
		{true, "mx.example.net;;;="},

		{false, "example.org; spf=pass smtp.helo=mx.example.net"},
		{false, "example.org (seen by mx.example.net;); spf=pass"},
		{false, "example.org 1; spf=pass (mx.example.net"},
		{false, "mx.example.net.example.org; spf=pass"},
		{false, "a.mx.example.net; spf=pass"},
		{false, "example.net; spf=pass"},
		{false, "bücher.example; spf=pass smtp.helo=mx.example.net"}, // RFC 8601 §5 has no ASCII only
		{false, `"a@example.org"; spf=pass smtp.helo=mx.example.net`},
		{false, "example.org; x=y" + strings.Repeat("(", 60_000)},
		{false, ""},
		{false, "; none"},

		// Nothing by the RFC: without our name it is nobody's, with it somebody may read it so.
		{false, "example.org spf=pass"},
		{false, "(no end example.org; spf=pass"},
		{true, "(mx.example.net; spf=pass"},
		{true, "(mx.example.net; spf=pass)"},
		{true, `"mx.example.net; spf=pass`},
		{true, "mx.example.net spf=pass; dkim=pass"},
		{true, "mx.example.net, spf=pass"},
		{true, "<mx.example.net>; spf=pass"},
		{true, "mx.example.net/1; spf=pass"},
		{true, "; mx.example.net; spf=pass"},
		{true, "\u200bmx.example.net; spf=pass"},
		{true, "MX.exam\u00adple.net; spf=pass"},
		{true, "mx.example.net\xf9; spf=pass"},
		{true, "\"mx.example.net\x7f\"; spf=pass"},
		{true, "\u00a0mx.example.net; spf=pass"}, // a space to package authres
		{true, "=?utf-8?q?mx=2eexample?=.net; spf=pass"},
		{true, "=?utf-8?b?bXguZXhhbXBsZS5uZXQ7IHNwZj1wYXNz?="},
		{true, "=?utf-7?q?mx.ex?= =?utf-7?q?ample.net?=; spf=pass"}, // who knows what that is
	} {
		if got := claims(tt.value, "mx.example.net"); got != tt.ours {
			t.Errorf("%.80q: %v", tt.value, got)
		}
	}
	if claims("; none", "") || claims("(x", "") {
		t.Error("who has no name has no fields")
	}
}

// Whatever a field holds, the library reads it as ours only where we do, comments do not hide a name, and
// what comes behind a foreign one does not make it ours.
func FuzzAuthres(f *testing.F) {
	for _, seed := range []string{
		"mx.example.net; iprev=pass", "mx.example.net 1;", `"mx.example.net";`, "(a) mx.example.net (b",
		"\u00a0mx.example.net;", "=?utf-8?q?mx.example.net?=;", "example.org 1; x=y", `(\)"`, "\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		const host = "mx.example.net"
		ours := claims(text, host)
		if id, _, _ := authres.Parse(text); checks.Canonical(id) == host && !ours {
			t.Errorf("%q is ours to the library", text)
		}
		if ours && !claims("(c) "+text, host) {
			t.Errorf("a comment hides %q", text)
		}
		if !claims(host+";"+text, host) || claims("example.org;"+text, host) {
			t.Errorf("%q changes whose it is", text)
		}
		hidden := strings.NewReplacer("(", "", ")", "", `\`, "").Replace(text)
		if !claims("("+hidden+")"+host+"("+hidden+");", host) {
			t.Errorf("%q hides the name", hidden)
		}
	})
}

// What the MTA thinks is in the record where it is not what we found, and decides nothing.
func TestMTAResolve(t *testing.T) {
	for _, tt := range []struct{ client, resolve, want string }{
		{"203.0.113.1", "OK", ""},
		{"203.0.113.1", "FORGED", "FORGED pass accept"},
		{"203.0.113.1", "TEMP", "TEMP pass accept"},
		{"203.0.113.9", "FAIL", ""},
		{"203.0.113.9", "OK", "OK permerror accept"},
		{"203.0.113.4", "TEMP", ""},
		{"203.0.113.4", "FORGED", "FORGED temperror accept"}, // Sendmail
		{"203.0.113.1", "", ""},
		{"203.0.113.1", "MAYBE", ""},
		{"192.168.1.1", "FORGED", ""}, // nobody has looked
	} {
		address, records := decided(t, nil)
		m := connect(t, address, map[string]string{
			"{client_resolve}": tt.resolve, gomilter.MacroClientName: "name.example.org",
			gomilter.MacroClientPTR: strings.Repeat("p", 999) + "\xff",
		})
		m.play("C " + tt.client + " | H mail.example.org | M | R | .")
		r := <-records
		m.Close()
		got, mta := "", r.Facts.MTAResolve
		if mta != (checks.MTAResolve{}) {
			got = mta.Resolve + " " + r.Iprev + " " + r.Verdict.Did
		}
		if got != tt.want || got != "" && (mta.Name != "name.example.org" || len(mta.PTR) != maxMacro) {
			t.Errorf("%s %s: got %q %+v, want %q", tt.client, tt.resolve, got, mta, tt.want)
		}
		if (got != "") != strings.Contains(r.String(), `"mta_resolve":{"resolve":"`+tt.resolve+`"`) {
			t.Errorf("%s %s: in the record %s", tt.client, tt.resolve, r)
		}
	}
}
