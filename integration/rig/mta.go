package rig

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// MTA is a mail server of the rig: mx.example.net, which relays mail for example.net and example.com to a
// sink.
type MTA interface {
	// Endpoint returns HOST:PORT for a client of the address's family.
	Endpoint(client netip.Addr) string
	// Addresses returns the addresses that it listens at.
	Addresses() (v4, v6 netip.Addr)
	// Log returns the mail log since the last ResetLog.
	Log() string
	// ResetLog makes Log start at the current end of the log, for another session.
	ResetLog()
	// Session waits until a client has disconnected and returns the log.
	Session(t T) string
	// Sendmail returns the command of sendmail(1), with what makes it that of this instance.
	Sendmail() []string
	// Submit submits a message with sendmail(1), as local programs do.
	Submit(t T, from, to, message string)
	// Refusals counts the refusals by a milter at an SMTP command in a log.
	Refusals(log, at string) int
	// Refusal returns a regular expression for the log entry of such a refusal.
	Refusal(at string, client netip.Addr, code int, helo string) string
}

// MTAs are the mail servers with milters, and Hosts are all: the names that Start accepts.
var (
	MTAs  = []string{"Postfix", "Sendmail"}
	Hosts = append(MTAs[:2:2], "Exim", "Postfix policy", "OpenSMTPD")
)

// Start starts an MTA with the milter at a socket, or without one for "". For Exim and "Postfix policy" that
// is a socket of the policy service. needs are what the MTA must offer, STARTTLS, AUTH, SMTPUTF8 or
// "submission" (port 587), or lines of its configuration.
func Start(t T, program string, sink *Sink, socket string, needs ...string) MTA {
	t.Helper()
	offer, filter := postfixOffer, PostfixMilter
	switch program {
	case "Sendmail":
		offer, filter = sendmailOffer, SendmailMilter
	case "Exim":
		offer, filter = eximOffer, EximPolicy
	case "OpenSMTPD":
		offer, filter = opensmtpdOffer, OpenSMTPDFilter
	case "Postfix policy":
		filter = func(socket string, _ ...string) string {
			return PolicyService(t, socket, "policy.cf", "policy-early.cf")
		}
	}
	var lines []string
	if socket != "" {
		lines = append(lines, filter(socket))
	}
	for _, need := range needs {
		lines = append(lines, offer(t, need)...)
	}
	switch program {
	case "Sendmail":
		return StartSendmail(t, sink, lines...)
	case "Exim":
		return StartExim(t, sink, lines...)
	case "OpenSMTPD":
		return StartOpenSMTPD(t, sink, lines...)
	case "Postfix policy":
		return startPolicyPostfix(t, sink, lines...)
	}
	return StartPostfix(t, sink, lines...)
}

// Submission returns the endpoint for message submission (RFC 6409).
func Submission(endpoint string) string { return strings.TrimSuffix(endpoint, ":25") + ":587" }

// server is what the MTAs have in common.
type server struct {
	Addr  netip.Addr // it listens on port 25 of both
	Addr6 netip.Addr
	dir   string
	proc  *process
	mark  int // the offset at which Log starts
}

// hostNumbers are the last bytes of the addresses that no instance uses, the longest unused first.
var hostNumbers = func() chan byte {
	const most = 128
	numbers := make(chan byte, most)
	for n := range byte(most) {
		numbers <- n
	}
	return numbers
}()

func newServer(t T, name string) server {
	t.Helper()
	n := <-hostNumbers
	t.Cleanup(func() { hostNumbers <- n })
	return server{
		Addr:  netip.AddrFrom4([4]byte{198, 51, 100, 100 + n}),
		Addr6: netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 2: 0x0d, 3: 0xb8, 5: 25, 15: n}),
		dir:   workDir(t, name),
	}
}

// Addresses returns the addresses that it listens at.
func (s *server) Addresses() (v4, v6 netip.Addr) { return s.Addr, s.Addr6 }

// Endpoint returns HOST:PORT for a client of the address's family.
func (s *server) Endpoint(client netip.Addr) string {
	if client.Is6() {
		return net.JoinHostPort(s.Addr6.String(), "25")
	}
	return net.JoinHostPort(s.Addr.String(), "25")
}

// Log returns the mail log since the last ResetLog.
func (s *server) Log() string {
	text, _ := os.ReadFile(filepath.Join(s.dir, "mail.log"))
	return string(text[min(s.mark, len(text)):])
}

// ResetLog makes Log start at the current end of the log, for another session.
func (s *server) ResetLog() { s.mark += len(s.Log()) }

// WaitLog waits until the mail log has a text, and returns the log.
func (s *server) WaitLog(t T, text string) string {
	t.Helper()
	err := within(func() error {
		if !strings.Contains(s.Log(), text) {
			return fmt.Errorf("the mail log lacks %q:\n%s", text, s.Log())
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return s.Log()
}

func (s *server) submit(t T, message string, command ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), WaitTimeout)
	defer cancel()
	sendmail := exec.CommandContext(ctx, command[0], command[1:]...)
	sendmail.Stdin = strings.NewReader(message)
	if out, err := sendmail.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s%s", command[0], err, out, s.Log())
	}
}
