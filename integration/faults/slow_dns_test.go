package faults

import (
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"helo-milter/dnscache/dnstest"
	"helo-milter/integration/rig"
)

// A DNS server says that its answers are too long for UDP, and over TCP sends a byte at a time, so that no
// read ever times out. The question ends all the same, with its deadline of 5 s (daemon/serving.go), its
// place is free for the next, and the mail of the client that caused it goes on unjudged by that name.
func TestSlowDNS(t *testing.T) {
	t.Parallel()
	server := startDNS(t, `
mail.example.org.    A    203.0.113.10
203.0.113.10         PTR  mail.example.org.
late.example.com.    A    203.0.113.21
203.0.113.21         PTR  late.example.com.
`)
	l := startLoadTest(t, "unix", fmt.Sprintf("timeout = \"1s\"\n[dns]\nservers = [%q]", server.addr))
	s := l.stream(accept)
	s.wait(3)
	begin := time.Now()
	script := greet("EHLO truncate.host%d.example.com", 0, 20) + "|" + envelope + "|QUIT"
	replies := rig.Talk(t, client, s.postfix.Endpoint(client), script, "")
	if code := rig.Result(replies); code != 250 {
		t.Errorf("a client with such a name got %d: %+v", code, replies[len(replies)-2])
	}
	if server.held.Load() == 0 {
		t.Error("no question went to the server over TCP")
	}
	judged := regexp.MustCompile(`helo=late\.example\.com iprev=pass .* unsure=none `)
	rig.Eventually(t, func() error { // another client of the domain is looked up
		if err := l.milter.Session("203.0.113.21", "late.example.com"); err != nil {
			t.Fatal(err)
		}
		if n := server.held.Load(); n > 0 || !judged.MatchString(l.milter.Log()) {
			return fmt.Errorf("%d questions are open\n%s", n, l.milter.Log())
		}
		return nil
	})
	if took := time.Since(begin); took > 4*5*time.Second {
		t.Errorf("the questions ended after %v", took)
	}
	if messages, passed := s.end(); passed != messages || s.slowest > 4*time.Second {
		t.Errorf("%d messages bypassed the milter, the slowest took %v", messages-passed, s.slowest)
	}
}

// greet returns a step of a script: a number of greetings, pipelined, with numbers in their names.
func greet(format string, first, number int) string {
	lines := make([]string, number)
	for i := range lines {
		lines[i] = fmt.Sprintf(format, first+i)
	}
	return strings.Join(lines, "\n")
}

// greetInTurn is greet that waits for each reply: Sendmail refuses an EHLO with more behind it.
func greetInTurn(format string, first, number int) string {
	return strings.ReplaceAll(greet(format, first, number), "\n", "|")
}

// dnsServer is a DNS server as in package dnstest that counts the queries that it gets over UDP. Over TCP it
// takes a query, and sends a byte of an answer at a time that never ends.
type dnsServer struct {
	addr    string
	queries atomic.Int64
	held    atomic.Int64 // connections over TCP
}

// startDNS starts a server for a zone of dnstest. It ends with the test.
func startDNS(t *testing.T, zone string) *dnsServer {
	t.Helper()
	s := &dnsServer{addr: fmt.Sprintf("127.0.0.1:%d", rig.FreePort())}
	udp, err := net.ListenPacket("udp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = udp.Close() })
	tcp, err := net.Listen("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tcp.Close() })
	behind := dnstest.Start(t, zone)
	server := &dns.Server{PacketConn: udp, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		s.queries.Add(1)
		behind.ServeDNS(w, query)
	})}
	go func() { _ = server.ActivateAndServe() }()
	go func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			s.held.Add(1)
			go s.drip(conn)
		}
	}()
	return s
}

// drip writes until the peer hangs up.
func (s *dnsServer) drip(conn net.Conn) {
	defer s.held.Add(-1)
	defer conn.Close()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for { // the first two bytes are the length of the answer (RFC 1035 §4.2.2)
		if _, err := conn.Write([]byte{255}); err != nil {
			return
		}
		<-tick.C
	}
}
