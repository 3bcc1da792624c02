package policy

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
	"helo-milter/milter/door"
	"helo-milter/milter/gate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testZone = `
203.0.113.1       PTR   mail.example.org.
mail.example.org  A     203.0.113.1
2001:db8::1       PTR   six.example.org.
six.example.org   AAAA  2001:db8::1
203.0.113.4       TXT   "dnstest" "servfail" "PTR"
203.0.113.5       TXT   "dnstest" "drop" "PTR"
`

// events are what a server has reported.
type events struct {
	mu   sync.Mutex
	list []string
}

func (e *events) add(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, text)
}

func (e *events) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.list, " ")
}

// host is a server with its gate, and where it listens. Its events are !KIND of a violation, WANT/DID/RECIPIENTS of
// a decision, =CLASS of the end of a session, and ? of a panic.
type host struct {
	*Server
	gate   *gate.Gate
	said   events
	socket string // unix
}

// start returns a server that listens in a test's directory until the test ends.
func start(t testing.TB, limits gate.Limits, change func(*door.Config)) *host {
	t.Helper()
	h := setUp(t, limits, change)
	h.socket = filepath.Join(t.TempDir(), "sock")
	ln, err := net.Listen("unix", h.socket)
	if err != nil {
		t.Fatal(err)
	}
	h.gate.Add(ln, h)
	t.Cleanup(func() { h.stop(t) })
	return h
}

func setUp(t testing.TB, limits gate.Limits, change func(*door.Config)) *host {
	h := &host{}
	cfg := &door.Config{
		Judge: &checks.Judge{
			Policy: checks.NewPolicy(checks.Standard), Site: checks.Site{Hostname: "mx.example.net"},
			Exempt: &checks.Exemptions{Private: true, Authenticated: true},
		},
		DNS:     &checks.DNS{Resolver: checkstest.Parse(t, testZone), Timeout: time.Second},
		Header:  "X-HELO-Check",
		Log:     slog.New(slog.DiscardHandler),
		OnPanic: func(any, []byte) { h.said.add("?") },
		Ended:   func(class string) { h.said.add("=" + class) },
		Decided: func(d *checks.Decision) {
			r := d.Record(false)
			h.said.add(r.Verdict.Want + "/" + r.Verdict.Did + "/" + strings.Join(r.RcptTo, ","))
		},
	}
	cfg.Policy.Mode = checks.Enforce
	if change != nil {
		change(cfg)
	}
	limits.OnViolation = func(_ net.Addr, kind string) { h.said.add("!" + kind) }
	h.gate = gate.New(limits)
	h.Server = NewServer(cfg, h.gate)
	return h
}

func (h *host) stop(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := errors.Join(h.gate.Close(), h.Shutdown(ctx)); err != nil {
		t.Error(err)
	}
}

// requestText is a request in short: STATE NAME=VALUE...; what it does not say is as in a good session. A name
// is that
// of the attribute, or its first letters.
func requestText(short string) string {
	words := strings.Fields(short)
	state := words[0]
	r := map[string]string{
		"request": "smtpd_access_policy", "protocol_state": state, "protocol_name": "ESMTP",
		"client_address": "203.0.113.1", "client_port": "4711", "client_name": "unknown",
		"helo_name": "mail.example.org", "sender": "a@example.org", "recipient": "", "queue_id": "",
		"instance": "1", "sasl_method": "", "sasl_username": "", "server_address": "192.0.2.25",
	}
	switch state {
	case "CONNECT":
		r["helo_name"], r["sender"], r["instance"] = "", "", ""
	case "EHLO", "HELO":
		r["sender"], r["instance"] = "", ""
	case "MAIL":
		r["instance"] = ""
	case "RCPT":
		r["recipient"] = "b@example.net"
	}
	for _, word := range words[1:] {
		short, value, _ := strings.Cut(word, "=")
		names := slices.Sorted(maps.Keys(r))
		i := slices.IndexFunc(names, func(name string) bool { return strings.HasPrefix(name, short) })
		r[cmp.Or(map[bool]string{true: short}[i < 0], names[max(i, 0)])] = value
	}
	text := ""
	for name, value := range r {
		text += name + "=" + value + "\n"
	}
	return text + "\n"
}

var (
	prepended = regexp.MustCompile(`^PREPEND X-[\w-]+: (\w+); client=\S+; helo=(\S*); .*; rules=(\S+); ` +
		`unsure=(\S+); id=\w{26}$`)
	refused = regexp.MustCompile(`^(\d{3}|DEFER_IF_PERMIT) ([45]\.\d\.\d+) [ -~]* Rule: (\S+)( .*)?$`)
)

// shortAction is an action in short: "-" for DUNNO, "+WANT,HELO,RULES" for a header, CODE,RULE for a refusal.
func shortAction(action string) string {
	if action == dunno {
		return "-"
	}
	if m := prepended.FindStringSubmatch(action); m != nil {
		return "+" + m[1] + "," + m[2] + "," + m[3]
	}
	if m := refused.FindStringSubmatch(action); m != nil {
		return m[1] + "," + m[2] + "," + m[3]
	}
	return fmt.Sprintf("%q", action)
}

// ask sends a request and returns the action in short.
func ask(conn net.Conn, text string) (string, error) {
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(conn, text); err != nil {
		return "", err
	}
	answers := bufio.NewReader(conn)
	line, err := answers.ReadString('\n')
	if err != nil {
		return "", err
	}
	end, err := answers.ReadString('\n')
	action, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "action=")
	if !ok || end != "\n" || answers.Buffered() > 0 {
		return "", fmt.Errorf("%q, %q", line, end)
	}
	return shortAction(action), err
}

// play sends requests (see requestText), separated by |, on a connection, and returns the answers. "^" begins with
// another one, which goes first from then on; "^^" closes the one before.
func play(t testing.TB, h *host, script string) string {
	t.Helper()
	var conn net.Conn
	var all []net.Conn
	dial := func() {
		t.Helper()
		var err error
		if conn, err = net.Dial("unix", h.socket); err != nil {
			t.Fatal(err)
		}
		all = append(all, conn)
	}
	dial()
	var got []string
	for step := range strings.SplitSeq(script, "|") {
		step = strings.TrimSpace(step)
		rest := strings.TrimLeft(step, "^ ")
		if strings.HasPrefix(step, "^^") {
			conn.Close()
		}
		if rest != step {
			dial()
		}
		if rest == "" {
			continue
		}
		answer, err := ask(conn, requestText(rest))
		if err != nil {
			answer = "closed"
		}
		got = append(got, answer)
	}
	for _, c := range all {
		c.Close()
	}
	return strings.Join(got, " ")
}

func TestSession(t *testing.T) {
	const (
		good = "+accept,mail.example.org,none"
		bare = "+accept,example.net,helo-unresolvable,helo-ptr-mismatch,helo-bare-domain,helo-unverified"
	)
	observe := func(c *door.Config) { c.Policy.Mode = checks.Observe }
	rcptDomain := func(c *door.Config) { c.Policy.Actions[checks.Index("helo-rcpt-domain")] = checks.Reject }
	tempFail := func(c *door.Config) { c.Policy.Actions[checks.Index("helo-numeric")] = checks.TempFail }
	atMail := func(c *door.Config) { c.ReplyAt = door.AtMail }
	for _, tt := range []struct {
		story        string
		change       func(*door.Config)
		script, want string
		events       string // at the end, those of violations apart
	}{
		{
			"good mail", nil, "RCPT|DATA queue=A|END-OF-MESSAGE queue=A", "- " + good + " -",
			"accept/accept/b@example.net =judged",
		},
		{
			"all states", nil, "CONNECT|EHLO|MAIL|RCPT|DATA|END-OF-MESSAGE", "- - - - " + good + " -",
			"accept/accept/b@example.net =judged",
		},
		{
			"a refusal", nil, "CONNECT|EHLO helo=0x7f000001|MAIL helo=0x7f000001|RCPT helo=0x7f000001",
			"- - - 504,5.5.2,helo-numeric", "reject/reject/b@example.net =judged",
		},
		{
			"without anything before", nil, "RCPT helo=0x7f000001", "504,5.5.2,helo-numeric",
			"reject/reject/b@example.net =judged",
		},
		{
			"a temporary refusal", tempFail, "RCPT helo=0x7f000001", "DEFER_IF_PERMIT,4.5.2,helo-numeric",
			"tempfail/tempfail/b@example.net =judged",
		},
		{
			"each recipient is answered", rcptDomain,
			"RCPT helo=example.net|RCPT helo=example.net rec=c@example.com",
			"550,5.7.1,helo-rcpt-domain -", "reject/reject/b@example.net,c@example.com =judged",
		},
		{
			"the same recipient, asked about in two lists", nil, "RCPT helo=0x7f000001|RCPT helo=0x7f000001",
			"504,5.5.2,helo-numeric 504,5.5.2,helo-numeric", "reject/reject/b@example.net =judged",
		},
		{
			"the header goes to those that passed, once", rcptDomain,
			"RCPT helo=example.net|RCPT helo=example.net rec=c@example.com|DATA helo=example.net|DATA helo=example.net",
			"550,5.7.1,helo-rcpt-domain - " + bare + " -", "",
		},
		{
			"refused, and it comes nevertheless (warn_if_reject)", nil,
			"RCPT helo=0x7f000001|DATA helo=0x7f000001",
			"504,5.5.2,helo-numeric +reject,0x7f000001,helo-numeric", "reject/reject/b@example.net =judged",
		},
		{"nobody asked at RCPT", nil, "DATA", good, "accept/accept/ =judged"},
		{
			"the header at RCPT", nil,
			"RCPT policy_context=header|RCPT rec=c@example.net policy_context=header|DATA", good + " - -",
			"accept/accept/b@example.net,c@example.net =judged",
		},
		{
			"the header at RCPT, not for one that is refused", rcptDomain,
			"RCPT helo=example.net policy_context=header|RCPT helo=example.net policy_context=header rec=c@example.com",
			"550,5.7.1,helo-rcpt-domain " + bare, "",
		},
		{
			"a host that is silent at DATA", nil, "RCPT|RCPT instance=2|DATA instance=2", "- - " + good,
			"accept/accept/b@example.net accept/accept/b@example.net =judged",
		},
		{
			"two messages", nil, "RCPT|DATA|RCPT instance=2|DATA instance=2", "- " + good + " - " + good,
			"accept/accept/b@example.net accept/accept/b@example.net =judged",
		},
		{
			"two messages of one instance", nil, "RCPT|DATA|RCPT|DATA", "- " + good + " - " + good,
			"accept/accept/b@example.net accept/accept/b@example.net =judged",
		},
		{
			"two senders of one instance", nil, "RCPT|RCPT sender=|DATA sender=", "- - " + good,
			"accept/accept/b@example.net accept/accept/b@example.net =judged",
		},
		{
			"DATA refused by another, then one more recipient", nil,
			"RCPT queue=A|DATA queue=A|RCPT queue=A rec=c@example.net|DATA queue=A",
			"- " + good + " - -", "accept/accept/b@example.net accept/accept/c@example.net =judged",
		},
		{
			"a second greeting is no way around", nil, "EHLO helo=0x7f000001|EHLO|RCPT",
			"- - 504,5.5.2,helo-numeric", "reject/reject/b@example.net =judged",
		},
		{
			"nor is one after a refusal", nil, "RCPT helo=0x7f000001|RCPT instance=2",
			"504,5.5.2,helo-numeric 504,5.5.2,helo-numeric",
			"reject/reject/b@example.net reject/reject/b@example.net =judged",
		},
		{
			"nor on another connection", nil, "RCPT helo=0x7f000001|^RCPT instance=2",
			"504,5.5.2,helo-numeric 504,5.5.2,helo-numeric", "",
		},
		{
			"nor without a port", nil, "EHLO helo=0x7f000001 client_port= inst=7|^^RCPT inst=7 client_port=",
			"- 504,5.5.2,helo-numeric", "",
		},
		{
			"without a port, another instance is another session", nil,
			"RCPT helo=0x7f000001 client_port=|RCPT inst=2 client_port=unknown", "504,5.5.2,helo-numeric -",
			"",
		},
		{
			"another port is another session", nil, "RCPT helo=0x7f000001|RCPT inst=2 client_port=4712",
			"504,5.5.2,helo-numeric -",
			"reject/reject/b@example.net =judged accept/accept/b@example.net =judged",
		},
		{
			"CONNECT begins another one", nil, "RCPT helo=0x7f000001|CONNECT|EHLO|RCPT inst=2",
			"504,5.5.2,helo-numeric - - -",
			"reject/reject/b@example.net =judged accept/accept/b@example.net =judged",
		},
		{
			"a greeting that Postfix changes once it has asked about it", nil,
			"EHLO helo=mail;<b>\xff|RCPT helo=mail??b??",
			"- 501,5.5.2,helo-malformed", "",
		},
		{"a server that forgets the greeting", nil, "EHLO|RCPT helo=|DATA helo=", "- - " + good, ""},
		{"no greeting", nil, "RCPT helo=", "503,5.5.1,helo-missing", "reject/reject/b@example.net =judged"},
		{"our name", nil, "RCPT helo=mx.example.net", "550,5.7.1,helo-own-name", ""},
		{"our address", nil, "RCPT helo=[192.0.2.25]", "550,5.7.1,helo-own-address", ""},
		{
			"our name is the server's", func(c *door.Config) { c.Site.Hostname = "" },
			"RCPT helo=mx9.example.net server_name=mx9.example.net", "550,5.7.1,helo-own-name", "",
		},
		{"QUIT", nil, "CONNECT|QUIT|QUIT|RCPT", "- - - -", "=none accept/accept/b@example.net =judged"},
		{
			"IPv6", nil,
			"RCPT client_address=2001:db8::1 helo=six.example.org|DATA client_address=2001:db8::1 helo=six.example.org",
			"- +accept,six.example.org,none", "",
		},
		{
			"a private client", nil,
			"RCPT helo=0x7f000001 client_address=192.168.7.7|DATA helo=0x7f000001 client_address=192.168.7.7",
			"- +exempt,0x7f000001,none", "exempt/accept/b@example.net =private",
		},
		{
			"no address", nil, "RCPT helo=0x7f000001 client_address=unknown", "-",
			"exempt/accept/b@example.net =no-address",
		},
		{
			"authenticated", nil, "RCPT helo=0x7f000001 sasl_u=joe", "-",
			"exempt/accept/b@example.net =authenticated",
		},
		{
			"authenticated, without a name", nil, "RCPT helo=0x7f000001 sasl_m=EXTERNAL", "-",
			"exempt/accept/b@example.net =authenticated",
		},
		{
			"not for the next message", nil, "RCPT helo=0x7f000001 sasl_u=joe|RCPT inst=2 helo=0x7f000001",
			"- 504,5.5.2,helo-numeric", "",
		},
		{
			"observed", observe, "RCPT helo=0x7f000001|DATA helo=0x7f000001",
			"- +reject,0x7f000001,helo-numeric", "reject/accept/b@example.net =judged",
		},
		{
			"no header wanted", func(c *door.Config) { c.Header = "" }, "RCPT|DATA", "- -",
			"accept/accept/b@example.net =judged",
		},
		{"another name", func(c *door.Config) { c.Header = "X-Other" }, "RCPT|DATA", "- " + good, ""},
		{
			"the verdict at MAIL", atMail, "CONNECT|EHLO helo=0x7f000001|MAIL helo=0x7f000001",
			"- - 504,5.5.2,helo-numeric", "reject/reject/ =judged",
		},
		{
			"MAIL, asked about in two lists", atMail, "MAIL|MAIL|RCPT|DATA", "- - - " + good,
			"accept/accept/b@example.net =judged",
		},
		{
			"MAIL begins another message", nil, "MAIL|RCPT|MAIL|RCPT inst=2", "- - - -",
			"accept/accept/b@example.net accept/accept/b@example.net =judged",
		},
		{"the DNS fails", nil, "RCPT client_address=203.0.113.4 helo=mail.example.net", "-", ""},
		{
			"the DNS is silent", nil, "RCPT client_address=203.0.113.5|DATA client_address=203.0.113.5",
			"- +accept,mail.example.org,helo-ip-mismatch", "",
		},
		{"what is about no mail", nil, "VRFY|ETRN|FOO", "- - -", ""},
		{"the end of a message that nobody knows", nil, "END-OF-MESSAGE", "-", "=none"},
		{"the end of another message", nil, "RCPT|END-OF-MESSAGE inst=2", "- -", ""},
	} {
		t.Run(tt.story, func(t *testing.T) {
			t.Parallel()
			h := setUp(t, gate.Limits{}, tt.change)
			h.socket = filepath.Join(t.TempDir(), "sock")
			ln, err := net.Listen("unix", h.socket)
			if err != nil {
				t.Fatal(err)
			}
			h.gate.Add(ln, h)
			got := play(t, h, tt.script)
			h.stop(t)
			if got != tt.want {
				t.Errorf("%s\n got %s\nwant %s", tt.script, got, tt.want)
			}
			if got := h.said.String(); tt.events != "" && got != tt.events {
				t.Errorf("%s\n got %s\nwant %s", tt.script, got, tt.events)
			}
		})
	}
}
