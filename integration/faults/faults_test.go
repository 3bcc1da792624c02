package faults

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gomilter "github.com/d--j/go-milter"

	"helo-milter/integration/rig"
)

func TestMain(m *testing.M) { rig.Main(m, "-race") }

// soak makes the tests of what lasts longer: integration/run soak.
var soak = flag.Int("soak", 1, "how many times as long the tests of what lasts are to be")

const header = "X-HELO-Check"

// awaitLog waits until the milter has said a text so many times.
func awaitLog(t *testing.T, m *rig.Milter, text string, times int) {
	t.Helper()
	rig.Eventually(t, func() error {
		if log := m.Log(); strings.Count(log, text) < times {
			return fmt.Errorf("the milter did not say %q %d times:\n%s", text, times, log)
		}
		return nil
	})
}

// session is an MTA's with the milter. Its client is 203.0.113.10, which is mail.example.org.
type session struct{ *gomilter.ClientSession }

// begin holds a session up to the HELO, at a socket in the notation of Postfix.
func begin(socket, helo string) (session, error) { return beginFrom("", socket, helo) }

// beginFrom is begin of an MTA with that address.
func beginFrom(peer, socket, helo string) (session, error) {
	dialer := &net.Dialer{Timeout: rig.Patience}
	if peer != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(peer)}
	}
	macros := gomilter.NewMacroBag()
	macros.Set(gomilter.MacroMTAFQDN, "mx.example.net")
	network, address := endpoint(socket)
	mta := gomilter.NewClient(network, address, gomilter.WithDialer(dialer), gomilter.WithReadTimeout(rig.Patience))
	s, err := mta.Session(macros)
	if err != nil {
		return session{}, err
	}
	_, connErr := s.Conn("mail.example.org", gomilter.FamilyInet, 4711, "203.0.113.10")
	_, heloErr := s.Helo(helo)
	return session{s}, errors.Join(connErr, heloErr)
}

// endpoint is what package net dials for a socket.
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

// rcpt begins a message and returns what its recipient gets: "accept", the refusal, or an error.
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

// finish ends a message that was accepted: it has to get its header.
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

// message is a whole one.
func (s session) message(from string) error {
	if got := s.rcpt(from); got != "accept" {
		return errors.New(got)
	}
	return s.finish()
}

// verdict is what a new session's recipient gets.
func verdict(socket, helo string) string {
	s, err := begin(socket, helo)
	if err != nil {
		return fmt.Sprintf("error: %v", err)
	}
	defer s.Close()
	return s.rcpt("sender@example.org")
}

// serves checks that the milter takes a session at a socket.
func serves(t *testing.T, socket string) {
	t.Helper()
	if got := verdict(socket, "mail.example.org"); got != "accept" {
		t.Errorf("%s: %s", socket, got)
	}
}

// client is mail.example.org in an SMTP session with a Postfix, as fast or as slow as a test wants.
type client struct{ *textproto.Conn }

// dialSMTP connects and hears the banner.
func dialSMTP(server string) (client, error) {
	dialer := net.Dialer{Timeout: rig.Patience, LocalAddr: &net.TCPAddr{IP: net.IPv4(203, 0, 113, 10)}}
	conn, err := dialer.Dial("tcp", server)
	if err != nil {
		return client{}, err
	}
	_ = conn.SetDeadline(time.Now().Add(2 * rig.Patience))
	c := client{textproto.NewConn(conn)}
	_, _, err = c.ReadResponse(220)
	return c, err
}

// say sends lines until one is not answered well, and returns the last answer's code; 0: the server hung up.
func (c client) say(lines ...string) (code int) {
	for _, line := range lines {
		if err := c.PrintfLine("%s", line); err != nil {
			return 0
		}
		if code, _, _ = c.ReadResponse(0); code/100 != 2 && code != 354 {
			break
		}
	}
	return code
}

// body is what DATA is followed by.
const body = "Subject: a message\r\n\r\nHello.\r\n."

// deliver sends one message and returns the code that decided on it.
func deliver(server, from string) int {
	c, err := dialSMTP(server)
	if err != nil {
		return 0
	}
	defer c.Close()
	code := c.say("EHLO mail.example.org", "MAIL FROM:<"+from+">", "RCPT TO:<reader@example.net>", "DATA", body)
	_ = c.say("QUIT")
	return code
}

// burst delivers n messages to the servers in turn, twenty at a time, as mail servers do: what gets a 4xx
// comes again. Four times in between it hits. In the end all are in the sink, once, and none had a 5xx.
func burst(t *testing.T, n int, sink *rig.Sink, hit func(), servers ...string) {
	t.Helper()
	next, codes := make(chan int, n), make(chan int, n)
	var again atomic.Int64
	var running sync.WaitGroup
	for range 20 {
		running.Go(func() {
			for i := range next {
				server, from := servers[i%len(servers)], fmt.Sprintf("sender%d@example.org", i)
				code, deadline := deliver(server, from), time.Now().Add(rig.Patience)
				for ; code/100 == 4 && time.Now().Before(deadline); code = deliver(server, from) {
					again.Add(1)
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
			hit()
		}
		if code := <-codes; code != 250 {
			t.Errorf("a message got %d", code)
		}
	}
	running.Wait()
	t.Logf("%d messages, %d times a 4xx", n, again.Load())
	arrived(t, sink, n)
}

// arrived checks that n messages, each of another sender, are in the sink once.
func arrived(t *testing.T, sink *rig.Sink, n int) {
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

// judged tells whether the milter put its header into a message.
func judged(mail rig.Mail) bool {
	for _, h := range mail.Headers() {
		if h.Name == header {
			return true
		}
	}
	return false
}
