package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/clean"
	"helo-milter/cmd/helo-milter/internal/explain"
	"helo-milter/dnscache"
)

// listen accepts SMTP connections until one sends HELO, and judges that as check does: for the peer's address,
// or where that is private, for the addresses that mail is sent from.
func (c *selftestCmd) listen(p *program, q *inquiry, clients []netip.Addr) (good bool, err error) {
	address := c.ListenFor
	if !strings.Contains(address, ":") {
		address = ":" + address
	}
	listener, err := new(net.ListenConfig).Listen(p.ctx, "tcp", address)
	if err != nil {
		return false, exitError{exitUsage, fmt.Errorf("--listen-for: %w", err)}
	}
	fmt.Fprintf(p.stdout, "waiting %v for an SMTP connection to %s\n\n", c.Wait, listener.Addr())
	heard, err := hear(p.ctx, p.stdout, listener, c.Wait)
	if err != nil {
		return false, err
	}
	peer, helos := heard.peer, heard.helos
	if len(clients) == 0 && checks.Public(peer) {
		clients = []netip.Addr{peer}
	} else if len(clients) == 0 {
		if clients, err = ownAddrs(); err != nil {
			return false, err
		}
	}
	if len(clients) == 0 {
		return q.spelling(p, peer, helos), nil
	}
	good = true
	for i, client := range clients {
		if i > 0 {
			fmt.Fprintln(p.stdout)
		}
		var traces traces
		record := q.record(dnscache.WithTrace(p.ctx, traces.add), client, nil, helos...)
		explain.Record(coloured(p.stdout), record, q.advice(p.ctx, record), q.cfg.Header.Name, traces.explain)
		good = good && len(record.Findings) == 0
	}
	return good, nil
}

// spelling judges a HELO by its spelling alone. All lookups count as failed, which is held against no client.
func (q *inquiry) spelling(p *program, peer netip.Addr, helos []string) bool {
	f := &checks.Facts{PTR: failed[checks.Host](), Site: q.Site}
	for _, said := range helos {
		h := checks.ParseHelo(said)
		f.Greetings = append(f.Greetings, checks.Greeting{
			Helo: h, A: failed[netip.Addr](), AAAA: failed[netip.Addr](), MX: failed[string](),
			SPF: failed[string](),
		})
		if h.Form == checks.FormLiteral {
			f.Client = h.Addr // the best guess there is
		}
	}
	d := &checks.Decision{
		ID: "check", Facts: f, Time: time.Now(), Verdict: q.Policy.Decide(checks.Evaluate(f, q.Deny, "")),
	}
	record := d.Record(false)
	record.Findings = slices.DeleteFunc(record.Findings,
		func(found checks.RuleFinding) bool { return found.Result != checks.Fail })
	explain.Paragraph(p.stdout, "client   ", peer.String()+", which is not public: its greeting is judged without "+
		"the DNS. Give the public address to judge the rest.", explain.Wide)
	explain.Paragraph(p.stdout, "HELO     ", clean.Quoted(record.Helo.Raw, explain.WholeHelo), explain.Wide)
	explain.Rules(coloured(p.stdout), record)
	if a := checks.Advise(record, nil); len(a.Steps) > 0 {
		fmt.Fprintln(p.stdout, "\nWhat must be changed")
		explain.Steps(p.stdout, &a, explain.Wide)
	}
	return len(record.Findings) == 0
}

func failed[T any]() checks.Answer[T] {
	return checks.Answer[T]{Status: checks.Failed, Err: "not asked"}
}

// sessionTime is how long one session may take.
const sessionTime = time.Minute

// session is what a client sent. came is what came first, in words.
type session struct {
	peer  netip.Addr
	helos []string
	came  string
}

// hear waits for a client that sends HELO or EHLO, and returns its session. Others, such as port scanners, are
// reported to out and block nobody. It closes the listener.
func hear(ctx context.Context, out io.Writer, l net.Listener, wait time.Duration) (*session, error) {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	context.AfterFunc(waiting, func() { _ = l.Close() })
	talking, end := context.WithCancel(ctx)
	heard := attendAll(talking, l)
	defer func() {
		end()
		_ = l.Close()
		for range heard { // the remaining sessions end
		}
	}()
	somebody := false
	for s := range heard {
		if len(s.helos) > 0 {
			return s, nil
		}
		somebody = true
		fmt.Fprintf(out, "%s sent neither HELO nor EHLO, but %s\n", s.peer, s.came)
	}
	switch {
	case ctx.Err() != nil:
		return nil, errors.New("interrupted")
	case somebody:
		return nil, fmt.Errorf("no client that connected within %v sent HELO or EHLO", wait)
	default:
		return nil, fmt.Errorf("no client connected within %v", wait)
	}
}

// attendAll serves every client that connects until the listener is closed, all at the same time. The channel
// is closed after the last session.
func attendAll(ctx context.Context, l net.Listener) <-chan *session {
	heard := make(chan *session)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				s := attend(ctx, conn)
				select {
				case heard <- s:
				case <-ctx.Done():
				}
			})
		}
	})
	go func() {
		running.Wait()
		close(heard)
	}()
	return heard
}

// attend serves one session, and ends it with the context or after sessionTime.
func attend(ctx context.Context, conn net.Conn) *session {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_ = conn.SetDeadline(time.Now().Add(sessionTime))
	addr, _ := netip.ParseAddrPort(conn.RemoteAddr().String())
	helos, came := converse(conn)
	return &session{addr.Addr().Unmap(), helos, came}
}

// converse is as much of an SMTP server as it takes to hear HELO. Mail is deferred, so that none is lost that a
// temporary relayhost sent here. The server's name belongs to nobody: Postfix and Sendmail take a server with
// their own name for a loop. came is what came first, in words.
func converse(conn net.Conn) (helos []string, came string) {
	const host = "selftest.invalid"
	in := bufio.NewReaderSize(conn, 1024) // a command has at most 512 bytes: RFC 5321 §4.5.3.1.4
	reply := "220 " + host + " ESMTP HELO test"
	came = "nothing"
	for range 50 {
		if _, err := fmt.Fprintf(conn, "%s\r\n", reply); err != nil || strings.HasPrefix(reply, "221") {
			return helos, came
		}
		if first, _ := in.Peek(1); len(first) == 1 && first[0] == 0x16 { // its record type: RFC 8446 §5.1
			return helos, "what looks like a TLS handshake; SMTP must begin without TLS here"
		}
		line, err := in.ReadSlice('\n')
		if came == "nothing" && len(line) > 0 {
			came = clean.Quoted(strings.TrimSpace(string(line)), 40)
		}
		if err != nil {
			return helos, came
		}
		verb, arg, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		switch strings.ToUpper(verb) {
		case "HELO", "EHLO":
			helos = append(helos, strings.TrimSpace(arg))
			reply = "250 " + host
		case "QUIT":
			reply = "221 2.0.0 Bye"
		case "RSET", "NOOP":
			reply = "250 2.0.0 Ok"
		case "MAIL":
			reply = "450 4.3.2 This host only tests the HELO name; deliver the message elsewhere"
		default:
			reply = "502 5.5.1 Only HELO and EHLO are tested here"
		}
	}
	return helos, came
}
