package milter

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
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

func (p *pipes) dial() net.Conn {
	theirs, ours := net.Pipe()
	p.results <- ours
	return theirs
}

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
			ln := Guard(inner, Limits{})
			go func() {
				for word := range strings.FieldsSeq(tt.script) {
					if err := failures[word]; err != nil {
						inner.results <- err
					} else {
						_ = inner.dial()
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

// Connections come (a letter), negotiate (capital) and go (a minus); at most two
// have a place. The result: which are open at the end, and what was said.
func TestGuardPlaces(t *testing.T) {
	for _, tt := range []struct{ script, open, want string }{
		{"a b", "ab", ""},
		{"a b c", "bc", "!evicted"},   // the oldest makes room
		{"a b A c", "ac", "!evicted"}, // the oldest that has not negotiated
		{"a A b B c", "ab", "!full"},  // those at work stay
		{"a A b B c d e", "ab", "!full !full !full"},
		{"a A b B -a c C d", "bc", "!full"}, // a place is free again
		{"a -a b -b c d", "cd", ""},         // no place is lost
		{"a b -a c C d", "cd", "!evicted"},
		{"a b c -c d D e", "de", "!evicted !evicted"}, // nor given back twice: a's session ended, too
	} {
		synctest.Test(t, func(t *testing.T) {
			var log transcript
			ln := newPipes()
			serve(t, Guard(ln, Limits{Connections: 2, OnViolation: log.violation}), witness{transcript: &log})
			conns := map[string]net.Conn{}
			for word := range strings.FieldsSeq(tt.script) {
				name := strings.ToLower(strings.TrimPrefix(word, "-"))
				switch {
				case word[0] == '-':
					_ = conns[name].Close()
					delete(conns, name)
				case word != name:
					speak(conns[name], "O6")
				default:
					conns[name] = ln.dial()
					go func() { _, _ = io.Copy(io.Discard, conns[name]) }()
				}
				synctest.Wait()
			}
			open := ""
			for _, name := range []string{"a", "b", "c", "d", "e"} {
				if conn := conns[name]; conn != nil {
					if _, err := conn.Write([]byte{0}); err == nil { // the first byte of a length
						open += name
					}
					_ = conn.Close()
				}
			}
			if got := strings.Join(log.take(), " "); open != tt.open || !strings.HasPrefix(got, tt.want) {
				t.Errorf("%s: open %s, want %s; said %q, want %q", tt.script, open, tt.open, got, tt.want)
			}
		})
	}
}
