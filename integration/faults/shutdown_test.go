package faults

import (
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

// mail is a milter behind two Postfixes and two Sendmails, and what they deliver.
type mail struct {
	*testing.T
	milter  *rig.Milter
	sink    *rig.Sink
	servers []string // of each MTA that accepts without the milter, that does not
}

func newMail(t *testing.T, config string) *mail {
	t.Helper()
	m := &mail{T: t, milter: rig.StartMilter(t, "unix", config), sink: rig.StartSink(t)}
	socket := m.milter.Socket
	for _, server := range []rig.MTA{
		rig.StartPostfix(t, m.sink, rig.PostfixMilter(socket, "default_action=accept")),
		rig.StartPostfix(t, m.sink, rig.PostfixMilter(socket, "default_action=tempfail")),
		rig.StartSendmail(t, m.sink, rig.SendmailMilter(socket)),
		rig.StartSendmail(t, m.sink, rig.SendmailMilter(socket, "F=T")),
	} {
		m.servers = append(m.servers, server.Endpoint(netip.IPv4Unspecified()))
	}
	return m
}

// clients speak with all of them, as far as the lines go.
func (m *mail) clients(lines ...string) (all []client) {
	m.Helper()
	for _, server := range m.servers {
		c, err := dialSMTP(server)
		if err != nil {
			m.Fatal(err)
		}
		m.Cleanup(func() { _ = c.Close() })
		if code := c.say(lines...); code != 250 {
			m.Fatalf("%d", code)
		}
		all = append(all, c)
	}
	return all
}

// refuses waits until nobody can connect.
func refuses(t *testing.T, socket string) {
	t.Helper()
	rig.Eventually(t, func() error {
		conn, err := dial(socket)
		if err != nil {
			return nil
		}
		return fmt.Errorf("%s takes connections (%v)", socket, conn.Close())
	})
}

// ended checks that the milter ended well, and returns how long ago its end was asked for.
func (m *mail) ended(asked time.Time) time.Duration {
	m.Helper()
	if code := m.milter.Exit(m); code != 0 {
		m.Errorf("exit %d\n%s", code, m.milter.Log())
	}
	return time.Since(asked)
}

// delivers waits until so many messages have arrived.
func (m *mail) delivers(want int) {
	m.Helper()
	rig.Eventually(m, func() error {
		if n := len(m.sink.Mails()); n != want {
			return fmt.Errorf("%d messages arrived, not %d", n, want)
		}
		return nil
	})
}

const from, to = "MAIL FROM:<sender@example.org>", "RCPT TO:<reader@example.net>"

// A transaction that runs when the end comes is judged to its end.
func TestStopFinishes(t *testing.T) {
	t.Parallel()
	m := newMail(t, "[limits]\nshutdown = \"60s\"")
	running := m.clients("EHLO mail.example.org", from, to)
	m.milter.Signal(t, syscall.SIGTERM)
	awaitLog(t, m.milter, "msg=stopping", 1)
	refuses(t, m.milter.Socket)
	for _, c := range running {
		if code := c.say("DATA", body); code != 250 {
			t.Errorf("the message got %d", code)
		}
	}
	m.ended(time.Now())
	m.delivers(len(running))
	for _, mail := range m.sink.Mails() {
		if !judged(mail) {
			t.Errorf("it arrived without its header: %s", mail.Text)
		}
	}
}

// Whoever is connected and has no transaction does not hold up the end, wherever in the session it is; who
// then begins a transaction gets what its MTA gives without a milter. (A client that said RSET would: Postfix
// keeps what the milter does not answer, such as that ABORT, until it has something to ask.)
func TestStopIdle(t *testing.T) {
	t.Parallel()
	m := newMail(t, "[limits]\nshutdown = \"60s\"")
	silent, err := dial(m.milter.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	greeted := m.clients("EHLO mail.example.org")
	done := m.clients("EHLO mail.example.org", "MAIL FROM:<before@example.org>", to, "DATA", body)
	m.milter.Signal(t, syscall.SIGTERM)
	m.ended(time.Now())
	for _, clients := range [][]client{greeted, done} {
		for i, want := range []int{250, 451, 250, 451} {
			if code := clients[i].say(from, to, "DATA", body); code != want {
				t.Errorf("after the end a message got %d instead of %d", code, want)
			}
		}
	}
	m.delivers(len(done) + 2 + 2)
}

// A transaction that does not end is cut off in time, which costs it a 4xx at most.
func TestStopCutsOff(t *testing.T) {
	t.Parallel()
	m := newMail(t, "[limits]\nshutdown = \"1s\"")
	running := m.clients("EHLO mail.example.org", from, to)
	begin := time.Now()
	m.milter.Signal(t, syscall.SIGTERM)
	if took := m.ended(begin); took < time.Second {
		t.Errorf("it ended after %v, and had a second", took)
	}
	for i, want := range []int{250, 451, 250, 451} {
		if code := running[i].say("DATA", body); code != want {
			t.Errorf("a message got %d instead of %d", code, want)
		}
	}
	m.delivers(2)
}

// Four times within a burst of messages the milter is killed, or stopped, and started again.
func TestBurst(t *testing.T) {
	for name, end := range map[string]func(*rig.Milter, *testing.T){
		"kill": func(m *rig.Milter, _ *testing.T) { m.Kill() },
		"stop": func(m *rig.Milter, t *testing.T) { m.Stop(t) },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMail(t, "[limits]\nshutdown = \"5s\"")
			messages := 400 * *soak
			burst(t, messages, m.sink, func() {
				end(m.milter, t)
				begin := time.Now()
				m.milter.Start(t)
				t.Logf("serving %v after its start", time.Since(begin).Round(time.Millisecond))
			}, m.servers...)
			serves(t, m.milter.Socket)
			passed := 0
			for _, mail := range m.sink.Mails() {
				if !judged(mail) {
					passed++
				}
			}
			t.Logf("%d messages went past the milter", passed)
			if passed > messages/2 {
				t.Errorf("%d messages arrived without a header: more than default_action=accept had", passed)
			}
		})
	}
}
