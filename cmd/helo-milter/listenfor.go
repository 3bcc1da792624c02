package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"helo-milter/checks"
	"helo-milter/dnscache"
)

// listen takes one SMTP connection and judges its greeting as check does: that of the peer, or where nobody
// else can see the peer's address, of those that mail is sent from.
func (c *selftestCmd) listen(p *program, q *inquiry, clients []netip.Addr) (good bool, err error) {
	address := c.ListenFor
	if !strings.Contains(address, ":") {
		address = ":" + address
	}
	listener, err := new(net.ListenConfig).Listen(p.ctx, "tcp", address)
	if err != nil {
		return false, exitError{exitUsage, fmt.Errorf("--listen-for: %w", err)}
	}
	fmt.Fprintf(p.stdout, "waits %v for an SMTP connection to %s\n\n", c.Wait, listener.Addr())
	peer, helos, err := hear(p.ctx, listener, c.Wait)
	if err != nil {
		return false, err
	}
	if len(helos) == 0 {
		return false, fmt.Errorf("%s said neither HELO nor EHLO", peer)
	}
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
	for _, client := range clients {
		var traces traces
		ctx := dnscache.WithTrace(p.ctx, traces.add)
		record := q.Policy.Record(q.judge(ctx, client, nil, helos...), false)
		explain(p.stdout, record, q.cfg.Header.Name, traces.sorted())
		good = good && len(record.Findings) == 0
	}
	return good, nil
}

// spelling judges what a greeting is by itself. All else counts as a failed lookup, which accuses nobody.
func (q *inquiry) spelling(p *program, peer netip.Addr, helos []string) bool {
	f := &checks.Facts{PTR: failed[checks.Host](), Site: q.Site}
	for _, said := range helos {
		h := checks.ParseHelo(said)
		f.Greetings = append(f.Greetings, checks.Greeting{
			Helo: h, A: failed[netip.Addr](), AAAA: failed[netip.Addr](), MX: failed[string](), SPF: failed[string](),
		})
		if h.Form == checks.FormLiteral {
			f.Client = h.Addr // nobody here can know better
		}
	}
	d := &checks.Decision{ID: "check", Facts: f, Time: time.Now()}
	q.Decide(d, "")
	record := q.Policy.Record(d, false)
	record.Findings = slices.DeleteFunc(record.Findings,
		func(found checks.RuleFinding) bool { return found.Result != checks.Fail })
	paragraph(p.stdout, "client   ", peer.String()+", which is not public: its greeting is judged without the "+
		"DNS. Give the public address for the rest.", wide)
	paragraph(p.stdout, "HELO     ", fmt.Sprintf("%.255q", record.Helo.Raw), wide)
	explainRules(p.stdout, record, colourOf(p.stdout))
	if a := checks.Advise(record); len(a.Steps) > 0 {
		fmt.Fprintln(p.stdout, "\nWhat has to be changed")
		advise(p.stdout, &a, wide)
	}
	return len(record.Findings) == 0
}

func failed[T any]() checks.Answer[T] {
	return checks.Answer[T]{Status: checks.Failed, Err: "not asked"}
}

// sessionTime is how long the one session may take.
const sessionTime = time.Minute

// hear waits for one connection, closes the listener and returns what the peer says in HELO and EHLO.
func hear(
	ctx context.Context, l net.Listener, wait time.Duration,
) (peer netip.Addr, helos []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	context.AfterFunc(ctx, func() { _ = l.Close() })
	conn, err := l.Accept()
	_ = l.Close()
	switch {
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return netip.Addr{}, nil, fmt.Errorf("nobody connected in %v", wait)
	case err != nil:
		return netip.Addr{}, nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_ = conn.SetDeadline(time.Now().Add(sessionTime))
	addr, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	return addr.Addr().Unmap(), converse(conn), err
}

// converse is as much of an SMTP server as it takes to hear the greetings. Mail is told to come again, so
// that none is lost that was sent here by a relayhost of the moment. The name is nobody's: Postfix and
// Sendmail take a server with their own name for a loop.
func converse(conn net.Conn) (helos []string) {
	const host = "selftest.invalid"
	in := bufio.NewReaderSize(conn, 1024) // a command has at most 512 bytes: RFC 5321 §4.5.3.1.4
	reply := "220 " + host + " ESMTP listens for a greeting"
	for range 50 {
		if _, err := fmt.Fprintf(conn, "%s\r\n", reply); err != nil || strings.HasPrefix(reply, "221") {
			return helos
		}
		line, err := in.ReadSlice('\n')
		if err != nil {
			return helos
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
			reply = "450 4.3.2 This is a test of the greeting, and nothing is delivered here; send it elsewhere"
		default:
			reply = "502 5.5.1 Only the greeting is tested here"
		}
	}
	return helos
}
