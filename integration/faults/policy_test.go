package faults

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"helo-milter/integration/rig"
)

// startPolicyTest starts a policy service with the strict profile and more configuration.
func startPolicyTest(t *testing.T, network, config string) *loadTest {
	t.Helper()
	return startLoadTest(t, "policy:"+network, config+"\n[site]\nhostname = \"mx.example.net\"")
}

// policyLines are those of examples/postfix/policy.cf, with a shorter timeout.
func (l *loadTest) policyLines() string {
	return strings.ReplaceAll(rig.PolicyService(l, l.milter.Socket, "policy.cf"), "timeout=10s", "timeout=1s")
}

// A policy service that is killed, that hangs, and that is stopped: mail goes on, and is judged again after that.
func TestPolicyRestarts(t *testing.T) {
	t.Parallel()
	l := startPolicyTest(t, "unix", "")
	s := l.streamBy(l.policyLines())
	s.wait(3)
	l.milter.Kill()
	s.wait(1)
	l.milter.Start(t)
	s.wait(3)
	l.milter.Signal(t, syscall.SIGSTOP)
	s.wait(1)
	l.milter.Signal(t, syscall.SIGCONT)
	s.wait(3)
	l.milter.Stop(t)
	l.milter.Start(t)
	s.wait(3)
	messages, passed := s.end()
	if passed == messages || passed < 6 {
		t.Errorf("%d of %d messages were judged", passed, messages)
	}
}

// Peers that take all places and say nothing, or half of a request, or what is none: Postfix is served as before.
func TestPolicyFlood(t *testing.T) {
	t.Parallel()
	l := startPolicyTest(t, "unix", "[limits]\nconnections = 20")
	s := l.streamBy(l.policyLines())
	s.wait(3)
	for _, says := range []string{
		"", "request=smtpd_access_policy\nclient_address=203.0.113.9\n", "GET / HTTP/1.1\r\n\r\n", rig.Optneg,
		"request=junk\n\n", strings.Repeat("x", 100_000), "request=smtpd_access_policy\nhelo_name=\x00\n\n",
	} {
		var flood []net.Conn
		for range 200 {
			conn, err := dial(strings.TrimPrefix(l.milter.Socket, "policy:"))
			if errors.Is(err, syscall.EAGAIN) { // the backlog is full
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			flood = append(flood, conn)
			_, _ = io.WriteString(conn, says)
		}
		s.wait(2)
		for _, conn := range flood {
			_ = conn.Close()
		}
	}
	if messages, passed := s.end(); passed != messages {
		t.Errorf("%d of %d messages were judged", passed, messages)
	}
	for _, kind := range []string{"evicted", "attribute", "request", "size", "truncated"} {
		if l.violations(kind) == 0 {
			t.Errorf("/metrics does not count %s", kind)
		}
	}
}

// A reload makes a policy service of a milter's socket, and a milter of it again. Who is connected goes on.
func TestPolicySockets(t *testing.T) {
	t.Parallel()
	l := startLoadTest(t, "unix", "")
	path := strings.TrimPrefix(l.milter.Socket, "unix:")
	listen := func(address string) {
		l.milter.Configure(t, fmt.Sprintf("listen = [%q]\nsocket_mode = \"0666\"\n%s", address, strict))
		l.milter.Reload(t)
	}
	milter, err := begin("unix:"+path, "mail.example.org")
	if err != nil {
		t.Fatal(err)
	}
	listen("policy:unix:" + path)
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := asks(conn); err != nil {
		t.Error(err)
	}
	if err := milter.message("sender@example.org"); err != nil {
		t.Error(err)
	}
	listen("unix:" + path)
	checkServes(t, "unix:"+path)
	if err := asks(conn); err != nil {
		t.Error(err)
	}
}

// systemd passes on a socket for the policy service, known by its name or by its address.
func TestPolicyActivation(t *testing.T) {
	for how, wrap := range map[string][]string{
		"name": {"systemd-socket-activate", "--fdname=policy", "-l"}, "address": {"systemd-socket-activate", "-l"},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			m := rig.NewMilter(t, "policy:unix", "")
			address := strings.TrimPrefix(m.Socket, "policy:unix:")
			if how == "name" {
				m.Configure(t, "")
			}
			m.Wrap = append(wrap, address)
			m.Start(t)
			for range 2 {
				conn, err := net.Dial("unix", address)
				if err != nil {
					t.Fatal(err)
				}
				if err := asks(conn); err != nil {
					t.Error(err)
				}
				_ = conn.Close()
				m.Reload(t)
			}
		})
	}
}

// asks asks a policy service about a good client, which must be accepted.
func asks(conn net.Conn) error {
	const want = "action=DUNNO\n\n"
	_, err := io.WriteString(conn, "request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address=203.0.113.10\n"+
		"helo_name=mail.example.org\nrecipient=reader@example.net\ninstance=1\n\n")
	answer := make([]byte, len(want))
	if err == nil {
		_, err = io.ReadFull(conn, answer)
	}
	if err == nil && string(answer) != want {
		err = fmt.Errorf("answered %q", answer)
	}
	return err
}
