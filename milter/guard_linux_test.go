package milter

import (
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	gomilter "github.com/d--j/go-milter"

	"helo-milter/milter/gate"
)

// The kernel leaves quick acknowledgements by itself; a read through the guard
// that has to wait brings them back, unless a reply has just gone out.
func TestGuardQuickAck(t *testing.T) {
	ln := listen(t, "tcp")
	theirs := dial(t, ln)
	accepted, err := guarded(ln, gate.Limits{}).Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn := accepted.(*guardConn)
	waits := func() (before, after int) {
		_ = conn.source.raw.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 0)
			before, _ = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK)
			conn.source.n = headLen
			if conn.source.try(fd) {
				t.Error("there was something to read")
			}
			after, _ = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK)
		})
		return before, after
	}
	_, _ = theirs.Write([]byte{0})
	if err := conn.fill(headLen); err != nil {
		t.Fatal(err)
	}
	if before, after := waits(); before != 0 || after != 1 {
		t.Errorf("TCP_QUICKACK %d, before a wait %d", before, after)
	}
	_, _ = conn.Write([]byte("\x00\x00\x00\x01c"))
	if before, after := waits(); before != 0 || after != 0 {
		t.Errorf("TCP_QUICKACK %d, before a wait after a reply %d", before, after)
	}
	_, _ = conn.Close(), ln.Close()
}

// Connections of a listener of ours have the same options as those of any listener of Go's.
func TestListen(t *testing.T) {
	options := func(listen func(network, address string) (net.Listener, error)) (values []int) {
		ln, err := listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		dial(t, ln)
		conn, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		raw, _ := conn.(*net.TCPConn).SyscallConn()
		_ = raw.Control(func(fd uintptr) {
			keep, _ := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_KEEPALIVE)
			values = append(values, keep)
			for _, option := range []int{
				syscall.TCP_NODELAY, syscall.TCP_KEEPIDLE, syscall.TCP_KEEPINTVL, syscall.TCP_KEEPCNT,
			} {
				value, _ := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, option)
				values = append(values, value)
			}
		})
		return values
	}
	if got, want := options(gate.Listen), options(net.Listen); !slices.Equal(got, want) {
		t.Errorf("options %v, of a connection of Go's listener %v", got, want)
	}
}

// One session of Postfix an operation, with the bare library and through the
// guard. cpu-ns/op is that of the process, the client in it included.
func BenchmarkGuard(b *testing.B) {
	for _, network := range []string{"unix", "tcp"} {
		for _, way := range []string{"bare", "guard"} {
			b.Run(network+"/"+way, func(b *testing.B) {
				ln := listen(b, network)
				if way == "guard" {
					ln = guarded(ln, gate.Limits{})
				}
				serve(b, ln, gomilter.NoOpMilter{})
				exchanges := postfixSession()
				reply := make([]byte, 4096)
				b.ReportAllocs()
				before := cpuTime(b)
				for b.Loop() {
					playSession(b, ln, exchanges, reply)
				}
				b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// postfixSession returns what Postfix writes at a time, macros and command
// together, awaiting a reply to each but the last.
func postfixSession() (exchanges [][]byte) {
	for _, script := range []string{
		"O6",
		"DCj~mx.example.org~_~mail.example.net [192.0.2.7]~v~Postfix~ | Cmail.example.net~4--192.0.2.7~",
		"Hmail.example.net~",
		"DM{mail_mailer}~smtp~{mail_addr}~a@example.net~ | M<a@example.net>~SIZE=1000~",
		"DR{rcpt_addr}~b@example.org~ | R<b@example.org>~",
		"A | Q",
	} {
		var exchange []byte
		for item := range strings.SplitSeq(script, " | ") {
			exchange = append(exchange, frames(item)...)
		}
		exchanges = append(exchanges, exchange)
	}
	return exchanges
}

func playSession(b *testing.B, ln net.Listener, exchanges [][]byte, reply []byte) {
	conn, err := net.Dial(ln.Addr().Network(), ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	for i, exchange := range exchanges {
		if _, err := conn.Write(exchange); err != nil {
			b.Fatal(err)
		}
		if i == len(exchanges)-1 {
			break
		}
		if _, err := io.ReadFull(conn, reply[:4]); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(conn, reply[:binary.BigEndian.Uint32(reply)]); err != nil {
			b.Fatal(err)
		}
	}
	_, _ = conn.Read(reply) // until the session has ended
	_ = conn.Close()
}

func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
