package faults

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

// accept is what Postfix does while a milter is away, and how long it waits for one that does not speak.
const (
	accept   = "accept"
	tempfail = "tempfail" // Postfix's default
	hurry    = ", connect_timeout=2s, command_timeout=2s"
)

// File descriptors run out: Accept fails, and comes back when there are some again. The MTA goes on without
// the milter meanwhile.
func TestDescriptorsRunOut(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "unix", strict)
	p.milter.Wrap = []string{"prlimit", "--nofile=64"}
	p.milter.Start(t)
	passing, waiting := p.stream(accept+hurry), p.stream(tempfail+hurry)
	passing.wait(3)
	before := p.metric("process_open_fds")
	flood := p.speakers(300, rig.Optneg)
	rig.Eventually(t, func() error {
		if !strings.Contains(p.milter.Log(), "kind=accept") {
			return errors.New("300 connections fit into 64 file descriptors")
		}
		return nil
	})
	passing.wait(3)
	hangUp(flood)
	passing.wait(3)
	waiting.wait(3)
	if p.violations("accept") == 0 {
		t.Error("/metrics does not count it")
	}
	for _, s := range []*stream{passing, waiting} {
		if messages, passed := s.end(); s == waiting && passed != messages {
			t.Errorf("%d messages came past the milter", messages-passed)
		}
	}
	p.waitFor("process_open_fds", "<=", before)
}

// Connections that never speak: each new one gets a place, because the oldest that has not negotiated goes.
func TestSilence(t *testing.T) {
	t.Parallel()
	p := startPlace(t, "unix", "[limits]\nconnections = 100")
	s := p.stream(accept)
	s.wait(3)
	for range 5 {
		flood := p.speakers(2000, "")
		s.wait(5)
		hangUp(flood)
	}
	if p.violations("evicted") == 0 {
		t.Error("/metrics does not count who had to go")
	}
	if messages, passed := s.end(); passed < messages*9/10 {
		t.Errorf("only %d of %d messages passed the milter", passed, messages)
	}
	p.waitFor("helo_milter_connections", "<=", 0)
}

// Every place is taken by one that has negotiated: a further one is turned away at once.
func TestFull(t *testing.T) {
	t.Parallel()
	p := startPlace(t, "unix", "[limits]\nconnections = 20")
	passing, waiting := p.stream(accept), p.stream(tempfail)
	passing.wait(3)
	waiting.wait(3)
	var places []*rig.Speaker
	for len(places) < 20 {
		s := p.speakers(1, "")[0]
		if s.Say(rig.Optneg, "O") == nil {
			places = append(places, s)
		}
	}
	further := p.speakers(1, rig.Optneg)[0]
	begin := time.Now()
	if _, err := io.ReadAll(further); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the 21st connection is not turned away")
	}
	t.Logf("turned away after %v", time.Since(begin))
	passing.wait(5)
	hangUp(places)
	waiting.wait(5)
	if p.violations("full") == 0 {
		t.Error("/metrics does not count it")
	}
	if messages, passed := passing.end(); passed == messages {
		t.Error("no message came past the milter: were the places taken?")
	}
	if messages, passed := waiting.end(); passed != messages || len(waiting.deferred) == 0 {
		t.Errorf("%d messages, %d passed, and the client waited %d times", messages, passed, len(waiting.deferred))
	}
}

// One byte a second is not enough for a frame.
func TestDrip(t *testing.T) {
	t.Parallel()
	p := startPlace(t, "unix", "[limits]\nconnections = 100")
	s := p.stream(accept)
	begin := time.Now()
	drips := p.speakers(50, rig.Optneg)
	frame := rig.Frame('H', strings.Repeat("x", 100)+"\x00")
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 0; n < 60 && p.violations("slow") < 50; n++ {
		for _, d := range drips {
			_, _ = io.WriteString(d, frame[n:n+1]) // fails once it is cut off
		}
		<-tick.C
	}
	if took := time.Since(begin); took < 9*time.Second || took > 4*10*time.Second {
		t.Errorf("they were cut off after %v, not 10 s", took)
	}
	if messages, passed := s.end(); passed != messages {
		t.Errorf("%d messages came past the milter", messages-passed)
	}
}

// A connection on which nothing happens is closed after limits.idle, one on which little happens is not.
func TestIdle(t *testing.T) {
	t.Parallel()
	p := startPlace(t, "unix", "[limits]\nidle = \"2s\"")
	idle, busy := p.speakers(1, rig.Optneg)[0], p.speakers(1, "")[0]
	if err := busy.Greet("203.0.113.10", "mail.example.org"); err != nil {
		t.Fatal(err)
	}
	begin, closed := time.Now(), make(chan error, 1)
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
	if took := time.Since(begin); err != nil || took < 1900*time.Millisecond || took > 20*time.Second { // it began a little before
		t.Errorf("closed after %v: %v", took, err)
	}
	if err := busy.Message(); err != nil {
		t.Errorf("the busy one: %v", err)
	}
	if got := p.violations("idle"); got != 1 {
		t.Errorf("/metrics counts %v idle connections, not 1", got)
	}
}

// One peer cannot take all places, on TCP, where peers have addresses.
func TestPerPeer(t *testing.T) {
	t.Parallel()
	p := startPlace(t, "inet",
		"[limits]\nconnections = 50\nper_peer = 10\npeers = [\"127.0.0.0/8\", \"203.0.113.0/24\"]")
	s := p.stream(accept) // from 127.0.0.1
	s.wait(3)
	served := 0
	for _, greedy := range p.speakers(100, rig.Optneg, "203.0.113.9") {
		_, err := io.ReadFull(greedy, make([]byte, len(rig.Optneg)))
		switch {
		case err == nil:
			served++
		case errors.Is(err, os.ErrDeadlineExceeded):
			t.Fatalf("neither served nor turned away")
		}
	}
	if served != 10 {
		t.Errorf("the greedy peer has %d places, not 10", served)
	}
	s.wait(5)
	if messages, passed := s.end(); passed != messages {
		t.Errorf("%d messages came past the milter", messages-passed)
	}
	if p.violations("per-peer")+p.violations("evicted") < 90 { // evicted by the next of its own
		t.Error("/metrics does not count all that were turned away")
	}
}
