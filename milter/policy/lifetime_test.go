package policy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
	"helo-milter/milter/door"
	"helo-milter/milter/gate"
)

type limits = gate.Limits

// piped serves one end of a pipe.
func (h *host) piped() net.Conn {
	theirs, ours := net.Pipe()
	go h.Enter(ours)
	return theirs
}

// What a peer does in time, of a connection without violation and of those with one.
func TestTimes(t *testing.T) {
	const half = head + "protocol_state=VRFY\n"
	for _, tt := range []struct {
		story, script, want string // pauses, and bytes; DUNNO for each answer, when it closed, and the violation
	}{
		{"silent", "", "10s !silent"},
		{"slow", half + "|9s|" + "a=b\n|9s|a=b\n", "10s !slow"},
		{"slow to begin", "9s|" + half + "\n", "- 1h10m9s !idle"},
		{"idle", half + "\n|69m|" + half + "\n", "- - 2h19m0s !idle"},
		{"slow in a later one", half + "\n|69m|" + half + "|11s", "- 1h9m10s !slow"},
		{"one byte a second", strings.Repeat("r|1s|", 20), "10s !slow"},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := setUp(t, limits{}, nil)
			conn := h.piped()
			begin := time.Now()
			var got []string
			done := make(chan time.Duration, 1)
			go func() {
				defer func() { done <- time.Since(begin) }()
				buf := make([]byte, len(answer))
				for {
					if _, err := io.ReadFull(conn, buf); err != nil {
						return
					}
					got = append(got, "-")
				}
			}()
			for step := range strings.SplitSeq(tt.script, "|") {
				if d, err := time.ParseDuration(step); err == nil {
					time.Sleep(d)
				} else if _, err := io.WriteString(conn, step); err != nil {
					break
				}
			}
			after := <-done
			got = append(got, after.String(), h.said.String())
			h.stop(t)
			if got := strings.Join(got, " "); got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.story, got, tt.want)
			}
		})
	}
}

// A session is remembered for sessionLife after its last request, and its decision is made then at the latest.
func TestSessionLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := setUp(t, limits{}, nil)
		begin := time.Now()
		say := func(short string) string { return h.answer(&conn{server: h.Server}, parse(t, short)) }
		say("RCPT helo=0x7f000001")
		time.Sleep(sessionLife - time.Second)
		if got := say("RCPT inst=2"); !strings.HasPrefix(got, "504") {
			t.Errorf("forgotten before its time: %s", got)
		}
		say("RCPT inst=3 client_port=4712")
		time.Sleep(2 * time.Second)
		say("RCPT inst=4")
		time.Sleep(sessionLife - time.Second) // the second one is over, and the first is not
		synctest.Wait()
		const first = "reject/reject/b@example.net reject/reject/b@example.net"
		if got := h.said.String(); got != first+" accept/accept/b@example.net =judged" {
			t.Errorf("said %s", got)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := h.said.String(); !strings.HasSuffix(got, " =judged reject/reject/b@example.net =judged") {
			t.Errorf("said %s after %v", got, time.Since(begin))
		}
		if got := say("RCPT inst=5"); got != dunno {
			t.Errorf("remembered too long: %s", got)
		}
		h.stop(t)
	})
}

func parse(t testing.TB, short string) *request {
	t.Helper()
	r, err := read(newReader(strings.NewReader(requestText(short))), func() {})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Of many sessions those that were silent longest end, with their decisions.
func TestMaxSessions(t *testing.T) {
	h := setUp(t, limits{}, nil)
	ended := 0
	h.config.Load().Ended = func(string) { ended++ }
	const more = 3
	for i := range maxSessions + more {
		h.answer(&conn{server: h.Server}, &request{state: "RCPT", client: "192.168.7.7", instance: fmt.Sprint(i)})
	}
	if n := h.sessions.recent.Len(); n != maxSessions || len(h.sessions.known) != n || ended != more {
		t.Errorf("%d sessions, %d ended", n, ended)
	}
	if n := h.Transactions(); n != maxSessions {
		t.Errorf("%d transactions", n)
	}
	h.stop(t)
	if n := h.Transactions(); n != 0 || ended != maxSessions+more {
		t.Errorf("%d transactions left, %d ended", n, ended)
	}
}

// An smtpd process that goes on with another client has done with the one before; one that closes has come to the
// end of its message. Who asks once for each request, as Exim does, may go on.
func TestWhenConnectionsEnd(t *testing.T) {
	const message = "accept/accept/b@example.net"
	for _, tt := range []struct{ story, script, want, then, said string }{
		{
			"another client", "RCPT|RCPT client_port=4712|DATA client_port=4712",
			message + " =judged " + message, "", "",
		},
		{"it closes, and the client goes on", "EHLO|RCPT", message, "DATA", message + " accept/accept/"},
		{
			"one request a connection", "RCPT|^^RCPT rec=c@example.net|^^DATA", message + ",c@example.net", "",
			"",
		},
	} {
		h := start(t, limits{}, nil)
		said := func(want string) {
			wait(t, func() error {
				if got := h.said.String(); got != want {
					return fmt.Errorf("%s: said %s, want %s", tt.story, got, want)
				}
				return nil
			})
		}
		play(t, h, tt.script)
		said(tt.want)
		if tt.then != "" {
			play(t, h, tt.then)
			said(tt.said)
		}
	}
}

func wait(t testing.TB, ready func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if err = ready(); err == nil {
			return
		}
	}
	t.Error(err)
}

// What is asked is answered before the end, and nothing is read any more.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := setUp(t, limits{}, func(c *door.Config) { c.DNS.Timeout = 5 * time.Second })
		idle, busy := h.piped(), h.piped()
		if _, err := ask(idle, requestText("VRFY")); err != nil {
			t.Fatal(err)
		}
		answered := make(chan string)
		go func() {
			got, err := ask(busy, requestText("RCPT client_address=203.0.113.5")) // the DNS is silent
			answered <- fmt.Sprint(got, err)
		}()
		synctest.Wait()
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := errors.Join(h.gate.Close(), h.Shutdown(ctx)); err != nil {
			t.Error(err)
		}
		if got := <-answered; got != "-<nil>" || time.Since(begin) != 5*time.Second {
			t.Errorf("%s after %v", got, time.Since(begin))
		}
		if _, err := idle.Read(make([]byte, 1)); err == nil {
			t.Error("the idle connection is open")
		}
		if got := h.said.String(); got != "accept/accept/b@example.net =judged" || h.gate.Connections() > 0 {
			t.Errorf("said %s, %d connections", got, h.gate.Connections())
		}
		late := h.piped()
		if _, err := late.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("served after the end: %v", err)
		}
	})
}

// Whatever panics, the mail goes on.
func TestPanic(t *testing.T) {
	fails := func(question string) func(*door.Config) {
		return func(c *door.Config) {
			qtype, owner, _ := strings.Cut(question, " ")
			c.DNS.Resolver.(checkstest.Zone).Set(owner, "dnstest", "panic "+qtype)
		}
	}
	const good = "+accept,mail.example.org,none"
	for _, tt := range []struct {
		story  string
		change func(*door.Config)
		script string
		want   string
		said   string
	}{
		{
			"a lookup", fails("PTR 203.0.113.1"), "CONNECT|EHLO|RCPT|DATA", "- - - " + good,
			"? accept/accept/b@example.net =none",
		},
		{
			"the judgement", func(c *door.Config) { c.Policy.Actions = nil }, "RCPT|DATA|RCPT inst=2",
			"- " + good + " -", "? accept/accept/b@example.net ? accept/accept/b@example.net =none",
		},
		{"CONNECT", func(c *door.Config) { c.Exempt = nil }, "CONNECT|RCPT", "- -", ""},
		{
			"MAIL", func(c *door.Config) { c.Policy.Actions, c.ReplyAt = nil, door.AtMail }, "MAIL|RCPT|DATA",
			"- - " + good, "",
		},
		{
			"the record", func(c *door.Config) { c.Decided = func(*checks.Decision) { panic("x") } },
			"RCPT|DATA", "- " + good, "? =judged",
		},
	} {
		h := start(t, limits{}, tt.change)
		got := play(t, h, tt.script)
		h.stop(t)
		said := h.said.String()
		if got != tt.want || tt.said != "" && said != tt.said || !strings.Contains(said, "?") {
			t.Errorf("%s\n got %s, said %s\nwant %s, %s", tt.story, got, said, tt.want, tt.said)
		}
	}
}

// Whatever a client and its DNS say, an answer is one line of printable ASCII, and short enough for SMTP.
func TestHostile(t *testing.T) {
	for name, text := range checkstest.Hostile(t) {
		text = strings.NewReplacer("\n", "", "\x00", "").Replace(text)
		text = text[:min(len(text), maxLine-100)]
		h := setUp(t, limits{}, func(c *door.Config) {
			c.DNS.Resolver.(checkstest.Zone).Set("203.0.113.9", "PTR", text)
			c.Policy = checks.NewPolicy(checks.Strict)
			c.Policy.Mode = checks.Enforce
		})
		for _, state := range []string{"RCPT", "DATA"} {
			r := parse(t, state+" client_address=203.0.113.9")
			for _, field := range []*string{&r.helo, &r.sender, &r.recipient, &r.queueID, &r.clientName, &r.reverseName} {
				*field = text
			}
			got := h.answer(&conn{server: h.Server}, r)
			room := max(minText, maxReply-len(around)-len(r.recipient)) + len("DEFER_IF_PERMIT 5.7.25 ")
			if !isAction(got) || state == "RCPT" && len(got) > room {
				t.Errorf("%s %s: answered %q", name, state, got)
			}
		}
		h.stop(t)
	}
}

// Listeners of both doors, and probes of them.
func TestSpeak(t *testing.T) {
	h := start(t, limits{Connections: 1}, nil)
	if err := h.gate.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	conn, err := net.Dial("unix", h.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := ask(conn, requestText("VRFY")); err != nil {
		t.Fatal(err)
	}
	if err := h.gate.Probe(t.Context()); err != nil || h.gate.Connections() != 1 {
		t.Errorf("with all places taken: %v, %d connections", err, h.gate.Connections())
	}
	other, err := net.Dial("unix", h.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	_, err = other.Read(make([]byte, 1))
	for end := time.Now().Add(time.Minute); h.said.String() != "!full" && time.Now().Before(end); { // after the Close
		time.Sleep(time.Millisecond)
	}
	if err == nil || h.said.String() != "!full" {
		t.Errorf("%v, said %s", err, h.said.String())
	}
}
