package milter

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"helo-milter/milter/gate"
)

// Each line is one connection over time; the end is when the guard closed it,
// or when the script was over.
func TestGuardTime(t *testing.T) {
	drip := strings.Repeat(" | +3s | =00", 4)
	for _, tt := range []struct{ script, want, end string }{
		{"O6 | +69m | Hh~ | +69m | Hh~ | +1m", "helo(h) helo(h)", "2h19m0s"}, // Sendmail waits an hour
		{"O6 | +71m", "!idle", "1h10m0s"},
		{"O6 | Hh~ | +71m", "helo(h) !idle", "1h10m0s"},
		{"+2s", "!silent", "1s"},                                       // the library's second
		{"=000000 | +2s", "!silent", "1s"},                             // is for the whole of the negotiation
		{"O6 | +1m | =0000000c48" + drip, "!slow", "1m10s"},            // 10 s from the first byte
		{"O6 | =00 | +9s | =000003486868 | +1h", "helo(hh)", "1h0m9s"}, // a frame done in time
		{"O6 | =00000003486868000000 | +11s", "helo(hh) !slow", "10s"}, // the next one has begun
	} {
		synctest.Test(t, func(t *testing.T) {
			var log transcript
			ln := newPipes()
			serve(t, guarded(ln, gate.Limits{OnViolation: log.violation}), witness{transcript: &log})
			begin := time.Now()
			conn := ln.dial("")
			end := make(chan time.Duration, 1)
			go func() {
				_, _ = io.Copy(io.Discard, conn)
				end <- time.Since(begin)
			}()
			speak(conn, tt.script)
			_ = conn.Close()
			if got := (<-end).String(); got != tt.end {
				t.Errorf("%s: ended after %s, want %s", tt.script, got, tt.end)
			}
			synctest.Wait()
			if got := strings.Join(log.take(), " "); got != tt.want {
				t.Errorf("%s\n got %s\nwant %s", tt.script, got, tt.want)
			}
		})
	}
}

// The guard gives a minute, the caller what a line says, and takes it back after
// a second where the line says so: the earlier one counts.
func TestGuardDeadlines(t *testing.T) {
	for _, tt := range []struct {
		user time.Duration
		lift bool
		want time.Duration
	}{
		{time.Hour, false, time.Minute},
		{time.Hour, true, time.Minute},
		{10 * time.Second, false, 10 * time.Second},
		{10 * time.Second, true, time.Minute}, // as the library does after the negotiation
	} {
		synctest.Test(t, func(t *testing.T) {
			theirs, ours := net.Pipe()
			conn := newGuardConn(ours, newGuard(gate.Limits{Idle: time.Minute}))
			begin := time.Now()
			_ = conn.SetDeadline(begin.Add(tt.user))
			if tt.lift {
				go func() {
					time.Sleep(time.Second)
					_ = conn.SetDeadline(time.Time{})
				}()
			}
			_, err := conn.Read(make([]byte, 4))
			_, again := conn.Read(make([]byte, 4)) // says the same at once
			if took := time.Since(begin); took != tt.want || !errors.Is(err, net.ErrClosed) || again != err {
				t.Errorf("%v: Read took %s: %v, then %v", tt, took, err, again)
			}
			_, _ = conn.Close(), theirs.Close()
		})
	}
}

// A timer is set once for many frames and replies, and counts to the nanosecond all the same.
func TestGuardTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		theirs, ours := net.Pipe()
		timers := &timed{Conn: ours}
		conn := newGuardConn(timers, newGuard(gate.Limits{Idle: time.Minute}))
		go speak(theirs, "O6"+strings.Repeat(" | +20ms | Hone~", 1000)) // for 20 s
		for range 1001 {
			_, _ = io.ReadFull(conn, make([]byte, 4))
			_, _ = conn.Read(make([]byte, 32))
		}
		for range 200 { // for 4 s
			_ = conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
			go func() { _, _ = io.ReadFull(theirs, make([]byte, 5)) }()
			if _, err := conn.Write([]byte("\x00\x00\x00\x01c")); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetWriteDeadline(time.Time{})
			time.Sleep(20 * time.Millisecond)
		}
		if timers.reads != 1 || timers.writes != 1 {
			t.Errorf("timers were set %d times for reads, %d for writes", timers.reads, timers.writes)
		}

		begin := time.Now()
		_ = conn.SetWriteDeadline(begin.Add(10 * time.Second))
		go func() { _, _ = io.ReadFull(theirs, make([]byte, 2)) }()
		n, err := conn.Write([]byte("\x00\x00\x00\x01c"))
		if took := time.Since(begin); n != 2 || !errors.Is(err, os.ErrDeadlineExceeded) || took != 10*time.Second {
			t.Errorf("Write of a reply that is not read: %d, %v after %s", n, err, took)
		}
		begin = time.Now()
		_ = conn.SetWriteDeadline(time.Time{})
		go func() {
			time.Sleep(time.Minute)
			_, _ = io.ReadFull(theirs, make([]byte, 5))
		}()
		n, err = conn.Write([]byte("\x00\x00\x00\x01c"))
		if took := time.Since(begin); n != 5 || err != nil || took != time.Minute {
			t.Errorf("Write without deadline: %d, %v after %s", n, err, took)
		}
		_, _ = conn.Close(), theirs.Close()
	})
}

// timed counts how often its timers are set.
type timed struct {
	net.Conn
	reads, writes int
}

func (c *timed) SetReadDeadline(t time.Time) error {
	c.reads++
	return c.Conn.SetReadDeadline(t)
}

func (c *timed) SetWriteDeadline(t time.Time) error {
	c.writes++
	return c.Conn.SetWriteDeadline(t)
}

// However the bytes are cut, the frames are the same, and a long one leaves no
// buffer behind.
func TestGuardPieces(t *testing.T) {
	var stream []byte
	script := "O6 | Hone~ | B{5000} | LSubject~ab~cd~~ | B{1019} | B{1020} | B{900} | Htwo~ | Q"
	for item := range strings.SplitSeq(script, " | ") {
		stream = append(stream, frames(item)...)
	}
	want := bytes.Replace(stream, frames("LSubject~ab~cd~~"), frames("LSubject~ab~"), 1)
	for size := 1; size < 3000; size += 1 + size/20 {
		ln := newGuard(gate.Limits{})
		conn := newGuardConn(&scripted{stream: bytes.Clone(stream), piece: size}, ln)
		if got, err := io.ReadAll(conn); err != nil || !bytes.Equal(got, want) {
			t.Errorf("pieces of %d: %v, %d bytes, want %d", size, err, len(got), len(want))
		}
		if cap(conn.in) > smallSize {
			t.Errorf("pieces of %d: a buffer of %d is left", size, cap(conn.in))
		}
	}
}

// A long frame costs memory as its bytes come, short ones none at all.
func TestGuardMemory(t *testing.T) {
	ln := newGuard(gate.Limits{})
	stream := append(frames("O6"), frames("B{1048575}")[:3000]...)
	conn := newGuardConn(&scripted{stream: stream, piece: 100}, ln)
	if _, err := io.ReadAll(conn); !errors.Is(err, errViolation(kindTruncated)) || cap(conn.in) > 8192 {
		t.Errorf("%v, a buffer of %d bytes", err, cap(conn.in))
	}

	short := bytes.Repeat(frames("H{100}"), 1000)
	conn = newGuardConn(&scripted{stream: append(frames("O6"), short...), piece: 2000}, ln)
	frame := make([]byte, 4+101)
	read := func() {
		for range 10 {
			_, _ = conn.Read(frame)
		}
	}
	if allocs := testing.AllocsPerRun(90, read); allocs != 0 {
		t.Errorf("%v allocations in ten frames", allocs)
	}
}

func TestGuardWrites(t *testing.T) {
	long, full := strings.Repeat("x", 254), strings.Repeat("x", 1024)
	const insert, joined = "\x00\x00\x00\x06i|1234\x00", "\x00\x00\x00\x06i1234\x00"
	for _, tt := range []struct{ writes, want string }{
		{"\x00\x00\x00\x01c", "\x00\x00\x00\x01c"},                      // continue: no data to wait for
		{"\x00\x00\x00\x05y|550\x00", "\x00\x00\x00\x05y550\x00"},       // the library's way
		{"\x00\x00\x00\x06y|5500\x00|x", "\x00\x00\x00\x06y5500\x00|x"}, // data of five bytes is no head
		{"\x00\x00\x00\x05y|5|50\x00", "\x00\x00\x00\x05y5|50\x00"},     // data in pieces
		{"\x00\x00\x00|\x01c", "\x00\x00\x00|\x01c"},                    // a head in pieces
		{"\x00\x00\x00\x05y550\x00", "\x00\x00\x00\x05y550\x00"},        // a frame at once
		{"\x00\x00\x00\xffy|" + long, "\x00\x00\x00\xffy" + long},       // longer than most

		// Modifications wait for the reply that ends them, progress does not, nor does what fills the buffer.
		{insert + "|" + insert + "|\x00\x00\x00\x01a", joined + joined + "\x00\x00\x00\x01a"},
		{insert + "|\x00\x00\x00\x05y|550\x00", joined + "\x00\x00\x00\x05y550\x00"},
		{insert + "|\x00\x00\x00\x01p|\x00\x00\x00\x01a", joined + "\x00\x00\x00\x01p|\x00\x00\x00\x01a"},
		{"\x00\x00\x04\x01h|" + full + "|\x00\x00\x00\x01a", "\x00\x00\x04\x01h" + full + "|\x00\x00\x00\x01a"},
	} {
		peer := &scripted{}
		conn := newGuardConn(peer, newGuard(gate.Limits{}))
		for p := range strings.SplitSeq(tt.writes, "|") {
			if n, err := conn.Write([]byte(p)); n != len(p) || err != nil {
				t.Errorf("%q: %d, %v", p, n, err)
			}
		}
		if got := strings.Join(peer.written, "|"); got != tt.want {
			t.Errorf("%q\n got %q\nwant %q", tt.writes, got, tt.want)
		}
	}

	conn := newGuardConn(&scripted{broken: io.ErrClosedPipe}, newGuard(gate.Limits{}))
	_, _ = conn.Write([]byte("\x00\x00\x00\x05y"))
	if n, err := conn.Write([]byte("550\x00")); n != 0 || err != io.ErrClosedPipe {
		t.Errorf("broken: %d, %v", n, err)
	}
}
