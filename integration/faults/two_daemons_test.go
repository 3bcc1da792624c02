package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"helo-milter/integration/rig"
)

// A second daemon at the socket of one that serves does not start, and no session of the first one is lost.
func TestTwoDaemonsOneSocket(t *testing.T) {
	for _, network := range []string{"unix", "inet"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			l := startLoadTest(t, network, "")
			s := l.stream(accept)
			s.wait(3)
			second := rig.NewMilter(t, network, "")
			second.Configure(t, fmt.Sprintf("listen = [%q]", l.milter.Socket))
			for range 3 {
				second.Launch(t)
				if exit := second.Exit(t); exit != exitConfig || !strings.Contains(second.Log(), "in use") {
					t.Errorf("exit %d:\n%s", exit, second.Log())
				}
				s.wait(3)
			}
			if messages, passed := s.end(); passed != messages {
				t.Errorf("%d messages bypassed the milter", messages-passed)
			}
		})
	}
}

// Two daemons write one decision log, and logrotate moves it away: each record is a whole line, in one of
// the files.
func TestTwoDaemonsOneLog(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "decisions")
	config := fmt.Sprintf("decision_log = %q", log)
	all := []*loadTest{startLoadTest(t, "unix", config), startLoadTest(t, "inet", config)}
	done := func(l *loadTest) float64 { return rig.Sum(rig.Metrics(l, l.http), "helo_milter_decisions_total") }
	var writing sync.WaitGroup
	for _, l := range all {
		writing.Go(func() { l.transactionsUntil(func() bool { return done(l) >= 400 }) })
	}
	rig.Eventually(t, func() error {
		if n := len(completeLines(t, log)); n < 100 {
			return fmt.Errorf("the log has %d lines", n)
		}
		return nil
	})
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		l.milter.Signal(t, syscall.SIGHUP)
		awaitLog(t, l.milter, reloaded, 1)
	}
	writing.Wait()
	rig.Eventually(t, func() error {
		decided := 0.0
		for _, l := range all {
			decided += done(l)
		}
		old, now := validRecords(t, completeLines(t, log+".1")), validRecords(t, completeLines(t, log))
		if written := float64(len(old) + len(now)); written != decided || len(now) == 0 {
			return fmt.Errorf("%v decisions, %d and %d whole records", decided, len(old), len(now))
		}
		return nil
	})
}
