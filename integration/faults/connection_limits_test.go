package faults

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"helo-milter/integration/rig"
)

// Postfix's default_action, for when it cannot reach a milter, and short timeouts for its answers.
const (
	accept        = "accept"
	tempfail      = "tempfail" // Postfix's default
	shortTimeouts = ", connect_timeout=2s, command_timeout=2s"
)

// When file descriptors run out, Accept fails, and works again once there are some. Meanwhile the MTA goes on
// without the milter.
func TestOutOfDescriptors(t *testing.T) {
	t.Parallel()
	l := newLoadTest(t, "unix", strict)
	l.milter.Start(t)
	limitFiles(t, l.milter, 64) // not at the start: it would share them out
	passing, waiting := l.stream(accept+shortTimeouts), l.stream(tempfail+shortTimeouts)
	passing.wait(3)
	before := l.metric("process_open_fds")
	flood := l.dialFrames(300, rig.Optneg)
	rig.Eventually(t, func() error {
		if !strings.Contains(l.milter.Log(), "kind=accept") {
			return errors.New("300 connections fit into 64 file descriptors")
		}
		return nil
	})
	passing.wait(3)
	hangUp(flood)
	passing.wait(3)
	waiting.wait(3)
	if l.violations("accept") == 0 {
		t.Error("/metrics does not count the violation")
	}
	for _, s := range []*stream{passing, waiting} {
		if messages, passed := s.end(); s == waiting && passed != messages {
			t.Errorf("%d messages bypassed the milter", messages-passed)
		}
	}
	l.waitFor("process_open_fds", "<=", before)
}

// limitFiles lowers the number of files that a running milter may open.
func limitFiles(t *testing.T, m *rig.Milter, most uint64) {
	t.Helper()
	limit := &unix.Rlimit{Cur: most, Max: most}
	if err := unix.Prlimit(m.Pid(), unix.RLIMIT_NOFILE, limit, nil); err != nil {
		t.Fatal(err)
	}
}

// Connections that never send anything: each new connection replaces the oldest that has not negotiated.
func TestSilentConnections(t *testing.T) {
	t.Parallel()
	l := startLoadTest(t, "unix", "[limits]\nconnections = 100")
	s := l.stream(accept)
	s.wait(3)
	for range 5 {
		flood := l.dialFrames(2000, "")
		s.wait(5)
		hangUp(flood)
	}
	if l.violations("evicted") == 0 {
		t.Error("/metrics does not count the evicted connections")
	}
	if messages, passed := s.end(); passed < messages*9/10 {
		t.Errorf("only %d of %d messages went through the milter", passed, messages)
	}
	l.waitFor("helo_milter_connections", "<=", 0)
}

// When the limit is reached and all connections have negotiated, a further one is refused at once.
func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	l := startLoadTest(t, "unix", "[limits]\nconnections = 20")
	passing, waiting := l.stream(accept), l.stream(tempfail)
	passing.wait(3)
	waiting.wait(3)
	var connections []*rig.FrameConn
	for len(connections) < 20 {
		s := l.dialFrames(1, "")[0]
		if s.Say(rig.Optneg, "O") == nil {
			connections = append(connections, s)
		}
	}
	further := l.dialFrames(1, rig.Optneg)[0]
	begin := time.Now()
	if _, err := io.ReadAll(further); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the 21st connection is not refused")
	}
	t.Logf("refused after %v", time.Since(begin))
	passing.wait(5)
	hangUp(connections)
	waiting.wait(5)
	if l.violations("full") == 0 {
		t.Error("/metrics does not count the violation")
	}
	if messages, passed := passing.end(); passed == messages {
		t.Error("no message bypassed the milter: was the limit reached?")
	}
	if messages, passed := waiting.end(); passed != messages || len(waiting.deferred) == 0 {
		t.Errorf("%d messages, %d through the milter, %d deferrals", messages, passed, len(waiting.deferred))
	}
}

// A peer that sends one byte per second is cut off.
func TestSlowFrames(t *testing.T) {
	t.Parallel()
	l := startLoadTest(t, "unix", "[limits]\nconnections = 100")
	s := l.stream(accept)
	begin := time.Now()
	slow := l.dialFrames(50, rig.Optneg)
	frame := rig.Frame('H', strings.Repeat("x", 100)+"\x00")
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 0; n < 60 && l.violations("slow") < 50; n++ {
		for _, d := range slow {
			_, _ = io.WriteString(d, frame[n:n+1]) // fails after the cut-off
		}
		<-tick.C
	}
	if took := time.Since(begin); took < 9*time.Second || took > 4*10*time.Second {
		t.Errorf("they were cut off after %v, not 10 s", took)
	}
	if messages, passed := s.end(); passed != messages {
		t.Errorf("%d messages bypassed the milter", messages-passed)
	}
}

// A connection without traffic is closed after limits.idle, one with little traffic is not.
func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	l := startLoadTest(t, "unix", "[limits]\nidle = \"2s\"")
	begin, closed := time.Now(), make(chan error, 1)
	idle, busy := l.dialFrames(1, rig.Optneg)[0], l.dialFrames(1, "")[0]
	if err := busy.Greet("203.0.113.10", "mail.example.org"); err != nil {
		t.Fatal(err)
	}
	go func() { // the speaker's deadline ends it
		_, err := io.Copy(io.Discard, idle)
		closed <- err
	}()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var err error
	for open := true; open; {
		select {
		case err = <-closed:
			open = false
		case <-tick.C:
			_, _ = io.WriteString(busy, rig.Frame('A', ""))
		}
	}
	if took := time.Since(begin); err != nil || took < 2*time.Second || took > 20*time.Second {
		t.Errorf("closed after %v: %v", took, err)
	}
	if err := busy.Message(); err != nil {
		t.Errorf("the busy one: %v", err)
	}
	if got := l.violations("idle"); got != 1 {
		t.Errorf("/metrics counts %v idle connections, not 1", got)
	}
}

// On TCP, where peers have addresses, one peer cannot take all connections.
func TestConnectionsPerPeer(t *testing.T) {
	t.Parallel()
	l := startLoadTest(t, "inet",
		"[limits]\nconnections = 50\nper_peer = 10\npeers = [\"127.0.0.0/8\", \"203.0.113.0/24\"]")
	s := l.stream(accept) // from 127.0.0.1
	s.wait(3)
	served := 0
	for _, greedy := range l.dialFrames(100, rig.Optneg, "203.0.113.9") {
		_, err := io.ReadFull(greedy, make([]byte, len(rig.Optneg)))
		switch {
		case err == nil:
			served++
		case errors.Is(err, os.ErrDeadlineExceeded):
			t.Fatalf("neither served nor refused")
		}
	}
	if served != 10 {
		t.Errorf("the greedy peer has %d connections, not 10", served)
	}
	s.wait(5)
	if messages, passed := s.end(); passed != messages {
		t.Errorf("%d messages bypassed the milter", messages-passed)
	}
	if l.violations("per-peer")+l.violations("evicted") < 90 { // evicted: replaced by its own next one
		t.Error("/metrics does not count all refused connections")
	}
}
