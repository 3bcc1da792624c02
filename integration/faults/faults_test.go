// Package faults tests the milter under faults and load: restarts, full disks, floods of connections, random
// bytes, mistakes in a reload, and what systemd expects of it.
package faults

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gomilter "github.com/d--j/go-milter"

	"helo-milter/integration/rig"
)

func TestMain(m *testing.M) { rig.Main(m, "-race") }

// soak multiplies the duration of the endurance tests, see integration/run soak.
var soak = flag.Int("soak", 1, "multiply the length of the endurance tests")

const header = "X-HELO-Check"

// awaitLog waits until the milter has logged a text a number of times.
func awaitLog(t *testing.T, m *rig.Milter, text string, times int) {
	t.Helper()
	rig.Eventually(t, func() error {
		if log := m.Log(); strings.Count(log, text) < times {
			return fmt.Errorf("the milter did not log %q %d times:\n%s", text, times, log)
		}
		return nil
	})
}

// session is an MTA's session with the milter, about the client 203.0.113.10, which is mail.example.org.
type session struct{ *gomilter.ClientSession }

// begin starts a session and sends CONNECT and HELO. The socket is in the notation of Postfix.
func begin(socket, helo string) (session, error) { return beginFrom("", socket, helo) }

// beginFrom is begin from an MTA with that address.
func beginFrom(peer, socket, helo string) (session, error) {
	dialer := &net.Dialer{Timeout: rig.WaitTimeout}
	if peer != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(peer)}
	}
	macros := gomilter.NewMacroBag()
	macros.Set(gomilter.MacroMTAFQDN, "mx.example.net")
	network, address := endpoint(socket)
	mta := gomilter.NewClient(network, address, gomilter.WithDialer(dialer),
		gomilter.WithReadTimeout(rig.WaitTimeout))
	s, err := mta.Session(macros)
	if err != nil {
		return session{}, err
	}
	_, connErr := s.Conn("mail.example.org", gomilter.FamilyInet, 4711, "203.0.113.10")
	_, heloErr := s.Helo(helo)
	return session{s}, errors.Join(connErr, heloErr)
}

// endpoint returns the arguments of net.Dial for a socket.
func endpoint(socket string) (network, address string) {
	family, address, _ := strings.Cut(socket, ":")
	if family == "unix" {
		return family, address
	}
	return "tcp", address
}

func dial(socket string) (net.Conn, error) {
	network, address := endpoint(socket)
	return net.Dial(network, address)
}

// rcpt starts a message and returns the result for its recipient: "accept", the refusal, or an error.
func (s session) rcpt(from string) string {
	_, mailErr := s.Mail(from, "")
	action, err := s.Rcpt("reader@example.net", "")
	switch {
	case mailErr != nil || err != nil:
		return fmt.Sprintf("error: %v, %v", mailErr, err)
	case action.Type == gomilter.ActionContinue:
		return "accept"
	}
	return action.SMTPReply
}

// finish sends the rest of an accepted message, which must get its header field.
func (s session) finish() error {
	_, dataErr := s.DataStart()
	_, fieldErr := s.HeaderField("Subject", "a message", nil)
	_, endErr := s.HeaderEnd()
	changes, action, err := s.BodyReadFrom(strings.NewReader("Hello.\r\n"))
	if err := errors.Join(dataErr, fieldErr, endErr, err); err != nil {
		return err
	}
	if action.Type != gomilter.ActionAccept || len(changes) != 1 || changes[0].HeaderName != header {
		return fmt.Errorf("the message gets %+v and %+v", action, changes)
	}
	return nil
}

// message sends a message, which must be accepted.
func (s session) message(from string) error {
	if got := s.rcpt(from); got != "accept" {
		return errors.New(got)
	}
	return s.finish()
}

// verdict returns the result for the recipient of a new session, see rcpt.
func verdict(socket, helo string) string {
	s, err := begin(socket, helo)
	if err != nil {
		return fmt.Sprintf("error: %v", err)
	}
	defer s.Close()
	return s.rcpt("sender@example.org")
}

// checkServes requires that the milter serves a session at a socket.
func checkServes(t *testing.T, socket string) {
	t.Helper()
	if got := verdict(socket, "mail.example.org"); got != "accept" {
		t.Errorf("%s: %s", socket, got)
	}
}

// client is mail.example.org.
var client = netip.AddrFrom4([4]byte{203, 0, 113, 10})

// deliver sends one message through an MTA and returns the code that decides on it.
func deliver(server, from string) int {
	c, err := rig.Connect(client, server)
	if err != nil {
		return 0
	}
	defer c.Close()
	const script = "EHLO mail.example.org|MAIL FROM:<%s>|RCPT TO:<reader@example.net>|DATA|QUIT"
	return rig.Result(c.Say(fmt.Sprintf(script, from), rig.Message))
}

// burst delivers n messages to the servers in turn, twenty at a time. Like a mail server, it tries again
// after a 4xx. Four times in between it calls interrupt. Every message must arrive exactly once, and none may
// get a 5xx.
func burst(t *testing.T, n int, sink *rig.Sink, interrupt func(), servers ...string) {
	t.Helper()
	next, codes := make(chan int, n), make(chan int, n)
	var retries atomic.Int64
	var running sync.WaitGroup
	for range 20 {
		running.Go(func() {
			for i := range next {
				server, from := servers[i%len(servers)], fmt.Sprintf("sender%d@example.org", i)
				code, deadline := deliver(server, from), time.Now().Add(rig.WaitTimeout)
				for ; code/100 == 4 && time.Now().Before(deadline); code = deliver(server, from) {
					retries.Add(1)
					<-time.After(50 * time.Millisecond)
				}
				codes <- code
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	for i := range n {
		if i%(n/4) == n/8 {
			interrupt()
		}
		if code := <-codes; code != 250 {
			t.Errorf("a message got %d", code)
		}
	}
	running.Wait()
	t.Logf("%d messages, %d retries after a 4xx", n, retries.Load())
	checkArrived(t, sink, n)
}

// checkArrived requires n messages of n different senders in the sink.
func checkArrived(t *testing.T, sink *rig.Sink, n int) {
	t.Helper()
	rig.Eventually(t, func() error {
		if got := len(sink.Mails()); got < n {
			return fmt.Errorf("%d of %d messages arrived", got, n)
		}
		return nil
	})
	times := map[string]int{}
	for _, mail := range sink.Mails() {
		times[mail.From]++
	}
	if len(times) != n || len(sink.Mails()) != n {
		t.Errorf("%d messages of %d senders arrived instead of %d", len(sink.Mails()), len(times), n)
	}
}

// judged reports whether a message has the milter's header field.
func judged(mail rig.Mail) bool {
	for _, h := range mail.Headers() {
		if h.Name == header {
			return true
		}
	}
	return false
}
