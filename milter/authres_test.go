package milter

import (
	"fmt"
	"strings"
	"testing"

	gomilter "github.com/d--j/go-milter"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
	"helo-milter/milter/door"
)

// results is testServer with Authentication-Results.
func results(t *testing.T, change func(*door.Config)) (address string) {
	t.Helper()
	return testServer(t, func(c *door.Config) {
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
		change func(*door.Config)
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
			func(c *door.Config) {
				zone := c.DNS.Resolver.(checkstest.Zone)
				zone.Set("203.0.113.1", "PTR", `a)\;b`)
				zone.Set(`a)\;b`, "A", "203.0.113.1")
			},
			"C 203.0.113.1 | H [203.0.113.1] | M | R | X Subject: a message",
			ours + "pass policy.iprev=203.0.113.1" + accept,
		},
		{
			"our name is configured", func(c *door.Config) { c.Site.Hostname = "example.net" },
			hello + " | X Authentication-Results: example.net; x=y | X Authentication-Results: mx.example.net; x=y",
			fmt.Sprintf(gone, 1) + strings.Replace(passes, "mx.", "", 1) + accept,
		},
		{
			"our name does not fit", func(c *door.Config) { c.Site.Hostname = "mx;x=y" },
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
			"an internal error", func(c *door.Config) { c.Exempt = nil },
			hello + " | X Authentication-Results: mx.example.net; iprev=pass",
			fmt.Sprintf(gone, 1) + "X-HELO-Check 0 accept",
		},
		{
			"no other header", func(c *door.Config) { c.Header = "" },
			hello + " | X Authentication-Results: mx.example.net; x=y | X X-HELO-Check: x",
			fmt.Sprintf(gone, 1) + passes,
		},
		{
			"not wanted", func(c *door.Config) { c.AuthResults = false },
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
