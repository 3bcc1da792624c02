package faults

import (
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

// mailSystem is a milter used by two Postfixes and two Sendmails, and the messages that they deliver.
type mailSystem struct {
	*testing.T
	milter  *rig.Milter
	sink    *rig.Sink
	servers []string // of each MTA one that accepts mail without the milter, and one that defers it
}

func newMailSystem(t *testing.T, config string) *mailSystem {
	t.Helper()
	m := &mailSystem{T: t, milter: rig.StartMilter(t, "unix", config), sink: rig.StartSink(t)}
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

// clients runs a script with each of the servers, and returns the open sessions.
func (m *mailSystem) clients(script string) (all []*rig.Client) {
	m.Helper()
	for _, server := range m.servers {
		c := rig.Dial(m, client, server)
		m.Cleanup(c.Close)
		if code := rig.Result(c.Say(script, rig.Message)); code != 250 {
			m.Fatalf("%s: %+v", script, c.Replies)
		}
		all = append(all, c)
	}
	return all
}

// awaitRefusal waits until connections are refused.
func awaitRefusal(t *testing.T, socket string) {
	t.Helper()
	rig.Eventually(t, func() error {
		conn, err := dial(socket)
		if err != nil {
			return nil
		}
		return fmt.Errorf("%s accepts connections (%v)", socket, conn.Close())
	})
}

// checkExit requires that the milter exits with 0, and returns the time since it was asked to stop.
func (m *mailSystem) checkExit(asked time.Time) time.Duration {
	m.Helper()
	if code := m.milter.Exit(m); code != 0 {
		m.Errorf("exit %d\n%s", code, m.milter.Log())
	}
	return time.Since(asked)
}

// awaitDelivery waits until that many messages have arrived.
func (m *mailSystem) awaitDelivery(want int) {
	m.Helper()
	rig.Eventually(m, func() error {
		if n := len(m.sink.Mails()); n != want {
			return fmt.Errorf("%d messages arrived, not %d", n, want)
		}
		return nil
	})
}

const (
	greeting = "EHLO mail.example.org"
	envelope = "MAIL FROM:<sender@example.org>|RCPT TO:<reader@example.net>"
)

// A transaction that is open when the milter is asked to stop is judged.
func TestShutdownFinishesTransactions(t *testing.T) {
	t.Parallel()
	m := newMailSystem(t, "[limits]\nshutdown = \"60s\"")
	running := m.clients(greeting + "|" + envelope)
	m.milter.Signal(t, syscall.SIGTERM)
	awaitLog(t, m.milter, "msg=stopping", 1)
	awaitRefusal(t, m.milter.Socket)
	for _, c := range running {
		if code := rig.Result(c.Say("DATA", rig.Message)); code != 250 {
			t.Errorf("the message got %d", code)
		}
	}
	m.checkExit(time.Now())
	m.awaitDelivery(len(running))
	for _, mail := range m.sink.Mails() {
		if !judged(mail) {
			t.Errorf("it arrived without its header: %s", mail.Text)
		}
	}
}

// A session without a transaction does not delay the end, wherever it stands. A transaction that it starts
// later gets what its MTA does without a milter. (A client that sent RSET would delay the end: Postfix
// buffers events that the milter does not answer, such as that ABORT, until it has something to ask.)
func TestShutdownWithIdleSessions(t *testing.T) {
	t.Parallel()
	m := newMailSystem(t, "[limits]\nshutdown = \"60s\"")
	silent, err := dial(m.milter.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	greeted := m.clients(greeting)
	done := m.clients(greeting + "|" + envelope + "|DATA")
	m.milter.Signal(t, syscall.SIGTERM)
	m.checkExit(time.Now())
	for _, clients := range [][]*rig.Client{greeted, done} {
		for i, want := range []int{250, 451, 250, 451} {
			if code := rig.Result(clients[i].Say(envelope+"|DATA", rig.Message)); code != want {
				t.Errorf("after the milter's end a message got %d instead of %d", code, want)
			}
		}
	}
	m.awaitDelivery(len(done) + 2 + 2)
}

// A transaction that does not end is cut off after limits.shutdown, and gets a 4xx at most.
func TestShutdownTimeout(t *testing.T) {
	t.Parallel()
	m := newMailSystem(t, "[limits]\nshutdown = \"1s\"")
	running := m.clients(greeting + "|" + envelope)
	begin := time.Now()
	m.milter.Signal(t, syscall.SIGTERM)
	if took := m.checkExit(begin); took < time.Second {
		t.Errorf("it ended after %v, before limits.shutdown", took)
	}
	for i, want := range []int{250, 451, 250, 451} {
		if code := rig.Result(running[i].Say("DATA", rig.Message)); code != want {
			t.Errorf("a message got %d instead of %d", code, want)
		}
	}
	m.awaitDelivery(2)
}

// The milter is killed or stopped, and started again, four times during a burst of messages.
func TestBurstWithRestarts(t *testing.T) {
	for name, end := range map[string]func(*rig.Milter, *testing.T){
		"kill": func(m *rig.Milter, _ *testing.T) { m.Kill() },
		"stop": func(m *rig.Milter, t *testing.T) { m.Stop(t) },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMailSystem(t, "[limits]\nshutdown = \"5s\"")
			messages := 400 * *soak
			burst(t, messages, m.sink, func() {
				end(m.milter, t)
				begin := time.Now()
				m.milter.Start(t)
				t.Logf("serving %v after its start", time.Since(begin).Round(time.Millisecond))
			}, m.servers...)
			checkServes(t, m.milter.Socket)
			bypassed := 0
			for _, mail := range m.sink.Mails() {
				if !judged(mail) {
					bypassed++
				}
			}
			t.Logf("%d messages bybypassed the milter", bypassed)
			if bypassed > messages/2 {
				t.Errorf("%d messages arrived without a header: more than those of default_action=accept", bypassed)
			}
		})
	}
}
