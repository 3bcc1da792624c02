package milter

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"helo-milter/milter/gate"
)

// pipes is a listener whose connections are net.Pipes, for synctest.
type pipes struct {
	results chan any // net.Conn or error
	closed  chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan any), make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case <-p.closed:
		return nil, net.ErrClosed
	case result := <-p.results:
		if err, ok := result.(error); ok {
			return nil, err
		}
		return result.(net.Conn), nil
	}
}

// dial connects from 192.0.2.LAST, or from nowhere in particular.
func (p *pipes) dial(last string) net.Conn {
	theirs, ours := net.Pipe()
	if last == "" {
		p.results <- ours
	} else {
		addr := netip.MustParseAddr("192.0.2." + last)
		p.results <- addressed{ours, net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 25))}
	}
	return theirs
}

// addressed is a connection from an address.
type addressed struct {
	net.Conn
	remote net.Addr
}

func (a addressed) RemoteAddr() net.Addr { return a.remote }

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// What Accept meets, one after the other, until it is closed; what it gives, and
// when.
func TestGuardAccept(t *testing.T) {
	failures := map[string]error{
		"EMFILE":  &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)},
		"ENFILE":  syscall.ENFILE,
		"ENOBUFS": syscall.ENOBUFS,
		"ENOMEM":  syscall.ENOMEM,
		"ABORTED": syscall.ECONNABORTED,
		"timeout": os.ErrDeadlineExceeded,
		"broken":  syscall.EINVAL,
	}
	for _, tt := range []struct{ script, want string }{
		{"", "closed 0s"},
		{"conn", "conn 0s closed 0s"},
		{"EMFILE", "closed 0s"}, // out of the pause
		{"EMFILE conn", "conn 5ms closed 5ms"},
		{"EMFILE ENFILE ENOBUFS ENOMEM ABORTED timeout conn", "conn 315ms closed 315ms"}, // 5 10 20 40 80 160
		{strings.Repeat("EMFILE ", 10) + "conn", "conn 3.275s closed 3.275s"},            // … 640 1000 1000
		{strings.Repeat("EMFILE ", 9), "closed 1.275s"},                                  // out of one of 1 s
		{"EMFILE EMFILE conn EMFILE conn", "conn 15ms conn 20ms closed 20ms"},            // each time from 5 ms
		{"broken", "broken 0s"}, // the daemon had better say so
	} {
		synctest.Test(t, func(t *testing.T) {
			inner := newPipes()
			ln := guarded(inner, gate.Limits{})
			go func() {
				for word := range strings.FieldsSeq(tt.script) {
					if err := failures[word]; err != nil {
						inner.results <- err
					} else {
						_ = inner.dial("")
					}
				}
				synctest.Wait()
				_ = ln.Close()
			}()
			begin := time.Now()
			var got []string
			for open := true; open; {
				conn, err := ln.Accept()
				word := "conn"
				switch {
				case conn != nil:
					_ = conn.Close()
				case errors.Is(err, net.ErrClosed):
					word, open = "closed", false
				default:
					word, open = "broken", false
				}
				got = append(got, word, time.Since(begin).String())
			}
			if got := strings.Join(got, " "); got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.script, got, tt.want)
			}
		})
	}
}

// Connections come (a letter, and the last byte of a TCP peer's address), negotiate (capital) and go (a
// minus); at most two have a place. The result: which are open at the end, and what was said.
func TestGuardPlaces(t *testing.T) {
	two := gate.Limits{Connections: 2}
	one := gate.Limits{Connections: 2, PerPeer: 1}
	some := gate.Limits{Connections: 2, Peers: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/30")}}
	for _, tt := range []struct {
		limits             gate.Limits
		script, open, want string
	}{
		{two, "a b", "ab", ""},
		{two, "a b c", "bc", "!evicted"},   // the oldest makes room
		{two, "a b A c", "ac", "!evicted"}, // the oldest that has not negotiated
		{two, "a A b B c", "ab", "!full"},  // those at work stay
		{two, "a A b B c d e", "ab", "!full !full !full"},
		{two, "a A b B -a c C d", "bc", "!full"}, // a place is free again
		{two, "a -a b -b c d", "cd", ""},         // no place is lost
		{two, "a b -a c C d", "cd", "!evicted"},
		{two, "a b c -c d D e", "de", "!evicted !evicted"}, // nor given back twice: a's session ended, too
		{one, "a1 b1", "b1", "!evicted"},
		{one, "a1 A1 b1 c2", "a1c2", "!per-peer"},           // one peer is not in the way of another
		{one, "a1 A1 b2 c1", "a1b2", "!per-peer"},           // whose place is not taken for it
		{one, "a1 A1 -a1 b1", "b1", ""},                     // its place is free again
		{one, "a A b B", "ab", ""},                          // a unix socket has no peers
		{two, "a1 A1 b1 B1 c2 C2", "a1c2", "!per-peer"},     // half of them without a word
		{some, "a1 a4 b2", "a1b2", "!peer"},                 // who is no peer is not let in
		{some, "a4 a5 b", "b", "!peer !peer"},               // and takes no place
		{gate.Limits{Connections: 1}, "a1 A1", "a1", ""},    // half of one is one
		{gate.Limits{PerPeer: 9}, "a1 b1 c2", "a1b1c2", ""}, // of a thousand
		{gate.Limits{}, "a1 A1 b1 B1 c2 -c2", "a1b1", ""},   // as are five hundred
		{one, "a1 b2 c3", "b2c3", "!evicted"},               // all places taken: the oldest of all
		{one, "a1 A1 b2 B2 c3 -a1 d3", "b2d3", "!full"},     // and nobody's when they are at work
		{one, "a1 A1 b2 B2 -b2 b1 c2", "a1c2", "!per-peer"}, // the count is kept by peer
	} {
		synctest.Test(t, func(t *testing.T) { testPlaces(t, tt.limits, tt.script, tt.open, tt.want) })
	}
}

func testPlaces(t *testing.T, limits gate.Limits, script, open, want string) {
	var log transcript
	limits.OnViolation = log.violation
	ln := newPipes()
	serve(t, guarded(ln, limits), witness{transcript: &log})
	conns := map[string]net.Conn{}
	var names []string
	for word := range strings.FieldsSeq(script) {
		name := strings.ToLower(strings.TrimPrefix(word, "-"))
		switch {
		case word[0] == '-':
			_ = conns[name].Close()
			delete(conns, name)
		case word != name:
			speak(conns[name], "O6")
		default:
			conns[name] = ln.dial(name[1:])
			names = append(names, name)
			go func() { _, _ = io.Copy(io.Discard, conns[name]) }()
		}
		synctest.Wait()
	}
	got := ""
	for _, name := range names {
		if conn := conns[name]; conn != nil {
			if _, err := conn.Write([]byte{0}); err == nil { // the first byte of a length
				got += name
			}
			_ = conn.Close()
		}
	}
	if said := strings.Join(log.take(), " "); got != open || !strings.HasPrefix(said, want) {
		t.Errorf("%s: open %s, want %s; said %q, want %q", script, got, open, said, want)
	}
}

// Several listeners are one; one that is removed leaves its connections alone.
func TestGuardListeners(t *testing.T) {
	var log transcript
	one, two := listen(t, "tcp"), listen(t, "unix")
	guard := guarded(one, gate.Limits{})
	guard.Add(two)
	serve(t, guard, witness{transcript: &log})
	first, second := dial(t, one), dial(t, two)
	begin(t, first)
	begin(t, second)
	if n := guard.Connections(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
	if err := guard.Remove(one); err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", one.Addr().String()); err == nil {
		_ = conn.Close()
		t.Error("a removed listener still listens")
	}
	speak(first, "Hfirst~ | Q")
	if _, err := io.ReadAll(first); err != nil {
		t.Error(err)
	}
	if got := strings.Join(log.take(), " "); got != "helo(first)" {
		t.Errorf("got %s", got)
	}
}

// begin plays the beginning of an MTA and waits for the answer.
func begin(t *testing.T, conn net.Conn) {
	t.Helper()
	speak(conn, "O6")
	if _, err := io.ReadFull(conn, make([]byte, 4+13)); err != nil {
		t.Fatal(err)
	}
}

// What is asked before is answered; nothing is read any more.
func TestGuardDrain(t *testing.T) {
	var log transcript
	ln := listen(t, "unix")
	guard := guarded(ln, gate.Limits{OnViolation: log.violation})
	serve(t, guard, witness{transcript: &log})
	idle, busy := dial(t, ln), dial(t, ln)
	begin(t, idle)
	begin(t, busy)
	speak(busy, "Hone~")
	if _, err := io.ReadFull(busy, make([]byte, 5)); err != nil {
		t.Error(err)
	}
	guard.Drain()
	for _, conn := range []net.Conn{idle, busy} {
		if rest, err := io.ReadAll(conn); err != nil || len(rest) > 0 {
			t.Errorf("%q, %v", rest, err)
		}
	}
	if got := strings.Join(log.take(), " "); got != "helo(one)" {
		t.Errorf("got %s", got)
	}
}

// A probe gets through although all places are taken and its address is not allowed; it fails when nothing
// serves.
func TestProbe(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		var log transcript
		ln := listen(t, network)
		peers := []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}
		guard := guarded(ln, gate.Limits{Connections: 1, Peers: peers, OnViolation: log.violation})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := guard.Probe(ctx); err == nil {
			t.Errorf("%s: well without a server", network)
		}
		cancel()
		serve(t, guard, witness{transcript: &log})
		if network == "unix" {
			begin(t, dial(t, ln))
		}
		if err := guard.Probe(t.Context()); err != nil {
			t.Errorf("%s: %v", network, err)
		}
		if said := log.take(); len(said) > 0 {
			t.Errorf("%s: said %s", network, said)
		}
	}
}
