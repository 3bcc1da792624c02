package milter

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	gomilter "github.com/d--j/go-milter"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
	"helo-milter/milter/door"
)

func TestSession(t *testing.T) {
	const good = "accept,mail.example.org,none"
	for _, tt := range []struct{ story, script, want string }{
		{"good mail", "C 203.0.113.1 | H mail.example.org | M | R | .", "0:" + good},
		{
			"a reject is said at RCPT", "C 203.0.113.1 | H 0x7f000001 | M | R",
			"504 5.5.2 helo-numeric",
		},
		{
			"IPv6", "C 2001:db8::1 | H six.example.org | M | R | .",
			"0:accept,six.example.org,none",
		},
		{
			"our name is the MTA's j", "C 203.0.113.1 | H mx.example.net | M | R",
			"550 5.7.1 helo-own-name",
		},
		{
			"our address is the MTA's", "C 203.0.113.1 | H [192.0.2.25] | M | R",
			"550 5.7.1 helo-own-address",
		},
		{
			"each recipient is told", "C 203.0.113.1 | H 0x7f000001 | M | R | R c@example.net",
			"504 5.5.2 helo-numeric | 504 5.5.2 helo-numeric",
		},
		{
			"EHLO twice",
			"C 203.0.113.1 | H 0x7f000001 | A | H mail.example.org | A | M | R",
			"504 5.5.2 helo-numeric",
		},
		{
			"abort keeps the HELO",
			"C 203.0.113.1 | H mail.example.org | M | A | M | R | .",
			"0:" + good,
		},
		{
			"two messages",
			"C 203.0.113.1 | H mail.example.org | M | R | . | M | R | .",
			"0:" + good + " | 0:" + good,
		},
		{
			"a refused message, then another",
			"C 203.0.113.1 | H mail.example.org | M | R b@mail.example.org | A | M | R | .",
			"0:" + good,
		},
		{
			"headers of our name go from the last on",
			"C 203.0.113.1 | H mail.example.org | M | R | X X-HELO-Check: accept | X Subject: x-helo-check | " +
				"X x-helo-CHECK: accept | .",
			"2:deleted 1:deleted 0:" + good,
		},
		{
			"and are counted for each message",
			"C 203.0.113.1 | H mail.example.org | M | R | X X-HELO-Check: x | . | M | R | .",
			"1:deleted 0:" + good + " | 0:" + good,
		},
		{
			"a private client", "C 192.168.7.7 | H 0x7f000001 | M | R | .",
			"0:exempt,0x7f000001,none",
		},
		{"an IPv4 client behind a translator", "C 64:ff9b::cb00:7101 | H mail.example.org | M | R | .", "0:" + good},
		{"no address", "C U | H 0x7f000001 | M | R | .", "0:exempt,0x7f000001,none"},
		{
			"the DNS fails", "C 203.0.113.4 | H mail.example.net | M | R | .",
			"0:accept,mail.example.net,helo-unresolvable",
		},
		{
			"header-proof", "C 203.0.113.1 | H a\r\nb;c=% | M | R",
			"501 5.5.2 helo-malformed",
		},
	} {
		address := testServer(t, nil)
		if got := play(t, address, tt.script, map[string]string{"{daemon_addr}": "192.0.2.25"}); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.story, got, tt.want)
		}
	}
}

func TestSessionConfigured(t *testing.T) {
	set := func(rule string, a checks.Action) func(*door.Config) {
		return func(c *door.Config) { c.Policy.Actions[checks.Index(rule)] = a }
	}
	const mail = "C 203.0.113.1 | H 0x7f000001 | M | R | ."
	for _, tt := range []struct {
		story  string
		change func(*door.Config)
		macros map[string]string
		script string
		want   string
	}{
		{
			"observing", func(c *door.Config) { c.Policy.Mode = checks.Observe }, nil, mail,
			"0:reject,0x7f000001,helo-numeric",
		},
		{"authenticated", nil, map[string]string{"{auth_authen}": "joe"}, mail, "0:exempt,0x7f000001,none"},
		{
			"authenticated and judged", func(c *door.Config) { c.Exempt.Authenticated = false },
			map[string]string{"{auth_authen}": "joe"},
			"C 203.0.113.1 | H 0x7f000001 | M | R", "504 5.5.2 helo-numeric",
		},
		{
			"a loopback address of the MTA's is nobody's", nil,
			map[string]string{"{daemon_addr}": "127.0.0.1"},
			"C 203.0.113.1 | H [127.0.0.1] | M | R | .", "0:accept,[127.0.0.1],helo-literal-mismatch",
		},
		{
			"reply at MAIL", func(c *door.Config) { c.ReplyAt = door.AtMail }, nil,
			"C 203.0.113.1 | H 0x7f000001 | M", "504 5.5.2 helo-numeric",
		},
		{"no header wanted", func(c *door.Config) { c.Header, c.Policy.Mode = "", checks.Observe }, nil, mail, ""},
		{
			"another header name", func(c *door.Config) { c.Header, c.Policy.Mode = "X-Other", checks.Observe }, nil,
			"C 203.0.113.1 | H 0x7f000001 | M | R | X X-HELO-Check: x | X X-OTHER: x | .",
			"1:deleted 0:reject,0x7f000001,helo-numeric",
		},
		{
			"tempfail", set("helo-numeric", checks.TempFail), nil,
			"C 203.0.113.1 | H 0x7f000001 | M | R", "450 4.5.2 helo-numeric",
		},
		{
			"help_url", func(c *door.Config) { c.Help.URL = "https://mx.example.net/helo?100%25" }, nil,
			"C 203.0.113.1 | H 0x7f000001 | M | R", "504 5.5.2 https://mx.example.net/helo?100%%25",
		}, // % for the MTA
		{
			"a question by mail, answered in two lines", func(c *door.Config) { c.Mailbox, c.Policy.Mode = "helo@example.net", checks.Observe }, nil,
			"C 203.0.113.1 | H mail.example.org | M | R HELO@example.net | R | .",
			"550-5.2.0 HELO 5.2.0 | 0:accept,mail.example.org,none",
		},
		{
			"one recipient's domain", set("helo-rcpt-domain", checks.Reject), nil,
			"C 203.0.113.1 | H example.com | M | R | R b@example.com | R c@example.net | .",
			"550 5.7.1 helo-rcpt-domain | 0:accept,example.com,helo-unresolvable,helo-ptr-mismatch," +
				"helo-bare-domain,helo-unverified",
		},
	} {
		address := testServer(t, tt.change)
		if got := play(t, address, tt.script, tt.macros); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.story, got, tt.want)
		}
	}
}

// offers are those of an old MTA: a protocol version, its options, and no choice of macros.
func offers(version uint32, options gomilter.OptProtocol) []gomilter.Option {
	return []gomilter.Option{
		gomilter.WithMaximumVersion(version), gomilter.WithProtocols(options),
		gomilter.WithoutAction(gomilter.OptSetMacros),
	}
}

// An MTA that offers less gets a session that asks for less.
func TestNegotiation(t *testing.T) {
	const mail = "C 203.0.113.1 | H mail.example.org | M | R | X X-HELO-Check: x | ."
	for _, tt := range []struct {
		story string
		opts  []gomilter.Option
		want  string
	}{
		{
			"version 2",
			offers(2, 0x7f),
			"1:deleted 0:accept,mail.example.org,none",
		},
		{
			"version 4",
			offers(4, 0x37f),
			"1:deleted 0:accept,mail.example.org,none",
		},
		{
			"nothing optional",
			offers(6, 0),
			"1:deleted 0:accept,mail.example.org,none",
		},
		{"headers may not be changed", []gomilter.Option{gomilter.WithActions(0)}, ""},
		{"nor added", []gomilter.Option{gomilter.WithActions(gomilter.OptChangeHeader)}, "1:deleted"},
		{
			"or only that",
			[]gomilter.Option{gomilter.WithActions(gomilter.OptAddHeader)},
			"0:accept,mail.example.org,none",
		},
	} {
		if got := play(t, testServer(t, nil), mail, nil, tt.opts...); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.story, got, tt.want)
		}
	}
}

// That an MTA does not let us mark its messages is logged once, and not where nothing is to be marked.
func TestUnableToMark(t *testing.T) {
	for header, want := range map[string]int{"X-HELO-Check": 1, "": 0} {
		var log bytes.Buffer
		address := testServer(t, func(c *door.Config) {
			c.Log, c.Header = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})), header
		})
		for range 2 {
			got := play(t, address, "C 203.0.113.1 | H mail.example.org | M | R | .", nil, gomilter.WithActions(0))
			if got != "" {
				t.Errorf("it did %s", got)
			}
		}
		if strings.Count(log.String(), "does not let milters") != want || strings.Count(log.String(), "\n") != want {
			t.Errorf("with header %q it logged\n%s", header, log.String())
		}
	}
}

// Each transaction is one decision, whatever ends it.
func TestDecided(t *testing.T) {
	for _, tt := range []struct{ story, script, want string }{
		{"a message", "C 203.0.113.1 | H mail.example.org | M | R | .", "accept/accept"},
		{"a refusal", "C 203.0.113.1 | H 0x7f000001 | M | R", "reject/reject"},
		{"an abort", "C 203.0.113.1 | H 0x7f000001 | M | R | A", "reject/reject"},
		{
			"two messages", "C 203.0.113.1 | H mail.example.org | M | R | . | M | R | .",
			"accept/accept accept/accept",
		},
		{"nothing judged", "C 203.0.113.1 | H 0x7f000001 | M | A", ""},
		{"exempt", "C 192.168.1.1 | H 0x7f000001 | M | R | .", "exempt/accept"},
		{"an internal error", "C 203.0.113.6 | H 0x7f000001 | M | R | .", "accept/accept?"},
	} {
		var got []string
		t.Run(tt.story, func(t *testing.T) { // ends with the server
			address := testServer(t, func(c *door.Config) {
				c.Decided = func(d *checks.Decision) { got = append(got, line(d)) }
				panicAt(c, "PTR 203.0.113.6")
			})
			play(t, address, tt.script, nil)
		})
		if got := strings.Join(got, " "); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.story, got, tt.want)
		}
	}
}

// stuck is a DNS that does not answer before its caller gives up.
const stuck = `
203.0.113.1       TXT  "dnstest" "drop"
192.168.1.1       TXT  "dnstest" "drop"
mail.example.org  TXT  "dnstest" "drop"
`

// CONNECT, HELO and MAIL never wait for the DNS, RCPT not past the timeout, and exempt clients not
// at all.
func TestSessionWaits(t *testing.T) {
	const timeout = time.Second
	dns := checkstest.Parse(t, stuck)
	address := testServer(t, func(c *door.Config) { c.DNS = &checks.DNS{Resolver: dns, Timeout: timeout} })
	run := func(script string, opts ...gomilter.Option) (string, time.Duration) {
		begin := time.Now()
		got := play(t, address, script, nil, opts...)
		return got, time.Since(begin)
	}
	// With protocol 2 the MTA waits for an answer to each of them.
	v2 := offers(2, 0)
	if _, took := run("C 203.0.113.1 | H mail.example.org | M", v2...); took >= timeout {
		t.Errorf("up to MAIL it took %v", took)
	}
	mail := " | H mail.example.org | M | R | ."
	got, took := run("C 203.0.113.1" + mail)
	if got != "0:accept,mail.example.org,none" || took < timeout || took > 4*timeout {
		t.Errorf("without an answer: %s after %v", got, took)
	}
	// Who hangs up leaves no lookup behind (goleak).
	patient := testServer(t, func(c *door.Config) { c.DNS = &checks.DNS{Resolver: dns, Timeout: time.Hour} })
	play(t, patient, "C 203.0.113.1 | H mail.example.org | M", nil)
	if got, took = run("C 192.168.1.1" + mail); got != "0:exempt,mail.example.org,none" || took >= timeout {
		t.Errorf("exempt: %s after %v", got, took)
	}
}
