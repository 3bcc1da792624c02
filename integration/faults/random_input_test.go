package faults

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

// Peers send random bytes, random frames and damaged sessions, while a Postfix's mail goes on.
func TestRandomFrames(t *testing.T) {
	t.Parallel()
	l := startLoadTest(t, "unix", "")
	s := l.stream(accept)
	s.wait(3)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rounds := 500 * *soak
	var peers sync.WaitGroup
	kinds := []func(*rand.Rand) string{randomBytes, randomFrames, damagedSession}
	sent := make([]atomic.Int64, len(kinds))
	for worker := range 2 * len(kinds) {
		peers.Go(func() {
			kind := worker % len(kinds)
			r := rand.New(rand.NewPCG(seed, uint64(worker)))
			for range rounds {
				if err := l.sendAll(kinds[kind](r)); err != nil {
					t.Errorf("after %d connections: %v", sent[kind].Load(), err)
					return
				}
				sent[kind].Add(1)
			}
		})
	}
	peers.Wait()
	s.wait(3)
	if messages, passed := s.end(); passed != messages {
		t.Errorf("%d messages bypassed the milter", messages-passed)
	}
	if err := l.milter.Session("203.0.113.10", "mail.example.org"); err != nil {
		t.Error(err)
	}
	counted := l.allViolations()
	t.Logf("random bytes: %d, random frames: %d, damaged sessions: %d; %v violations, %.0f MiB",
		sent[0].Load(), sent[1].Load(), sent[2].Load(), counted, l.milter.Memory(t, "VmHWM"))
	if counted < float64(sent[0].Load()) {
		t.Errorf("/metrics counts fewer violations than connections with random bytes")
	}
	checkThrottled(t, l.milter.Log())
	if most := l.milter.Memory(t, "VmHWM"); most > 400 { // the race detector's share is large
		t.Errorf("it used %.0f MiB", most)
	}
}

func (l *loadTest) allViolations() float64 {
	l.Helper()
	return rig.Sum(rig.Metrics(l, l.http), "helo_milter_guard_violations_total")
}

// checkThrottled requires at most one line of the guard per minute and peer.
func checkThrottled(t *testing.T, log string) {
	t.Helper()
	last := map[string]time.Time{}
	lines := regexp.MustCompile(`(?m)^time=(\S+) .* msg=guard peer=(\S*) `).FindAllStringSubmatch(log, -1)
	for _, line := range lines {
		at, err := time.Parse(time.RFC3339, line[1])
		if err != nil {
			t.Fatal(err)
		}
		if before, ok := last[line[2]]; ok && at.Sub(before) < 59*time.Second {
			t.Errorf("%d lines of the guard, two of peer %q within %v", len(lines), line[2], at.Sub(before))
			return
		}
		last[line[2]] = at
	}
	if len(lines) == 0 {
		t.Error("the guard logged nothing")
	}
}

// sendAll sends a text and waits for the milter to hang up.
func (l *loadTest) sendAll(text string) error {
	s, err := l.milter.DialFrames()
	if err != nil {
		return err
	}
	defer s.Close()
	_, _ = io.WriteString(s, text) // the milter may hang up at any byte
	_ = s.Conn.(*net.UnixConn).CloseWrite()
	if _, err := io.Copy(io.Discard, s); isTimeout(err) {
		return fmt.Errorf("the milter does not hang up after %q", text)
	}
	return nil
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}

func randomBytes(r *rand.Rand) string {
	b := make([]byte, 1+r.IntN(4096))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// randomFrames returns a negotiation and well-formed frames with random data.
func randomFrames(r *rand.Rand) string {
	var b strings.Builder
	b.WriteString(rig.Optneg)
	for range r.IntN(50) {
		size := r.IntN(200)
		if r.IntN(20) == 0 {
			size = r.IntN(80_000)
		}
		data := make([]byte, size)
		for i := range data {
			data[i] = "\x00\x00Az4.@<\xff\n{"[r.IntN(10)]
		}
		b.WriteString(rig.Frame("CHMRTLNBEUDAKQ"[r.IntN(14)], string(data)))
	}
	return b.String()
}

// damagedSession returns a valid session in which bytes are lost, doubled or changed.
func damagedSession(r *rand.Rand) string {
	message := rig.Envelope() + rig.Frame('L', "Subject\x00a message\x00") + rig.Frame('E', "")
	greeting := rig.Optneg + rig.Greeting("203.0.113.10", "mail.example.org")
	b := []byte(greeting + message + message + rig.Frame('Q', ""))
	for range 1 + r.IntN(6) {
		from := r.IntN(len(b))
		to := from + r.IntN(min(40, len(b)-from))
		switch r.IntN(3) {
		case 0:
			b = append(b[:from], b[to:]...)
		case 1:
			b = append(b[:to:to], b[from:]...)
		default:
			b[from] = byte(r.Uint32())
		}
	}
	return string(b)
}
