package faults

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

// The memory stories measure: a milter without the race detector, and nothing else at the same time.

// newMeter is a milter that is to be measured, and has not started yet.
func newMeter(t *testing.T, config string) *place {
	t.Helper()
	p := newPlace(t, "unix", config)
	p.milter.Plain = true
	p.milter.Wrap = []string{"prlimit", "--nofile=16000"}
	raiseFiles(t, 16000)
	return p
}

// raiseFiles lets this process have so many files, for the MTA's side of the connections.
func raiseFiles(t *testing.T, n uint64) {
	t.Helper()
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	if err == nil && limit.Cur < n {
		err = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: max(n, limit.Max)})
	}
	if err != nil {
		t.Fatalf("file descriptors: %v", err)
	}
}

// An MTA may keep 10,000 connections, each with a session as far as HELO.
func TestIdleConnections(t *testing.T) {
	p := newMeter(t, "[limits]\nconnections = 12000")
	p.milter.Start(t)
	p.sessions(0, 2000)
	base := p.rss()
	idle := p.idle(10_000)
	held := p.rss()
	each := (held - base) * 1024 / 10_000
	t.Logf("%.1f MiB, with 10,000 connections %.1f MiB (%.1f KiB each)", base, held, each)
	// About 9 of them are in use. The rest is what the garbage collector leaves lying: 2 to 5, by how busy the
	// machine is.
	if each > 15 {
		t.Errorf("a connection takes %.1f KiB, more than 15", each)
	}
	hangUp(idle)
	p.waitFor("helo_milter_connections", "<=", 0)
	most := base + (held-base)/3 // the Go runtime keeps what it needs for as many goroutines again
	rig.Eventually(t, func() error {
		p.sessions(0, 1000) // garbage is collected when there is new
		if after := p.rss(); after > most {
			return fmt.Errorf("%.1f MiB stay, before it were %.1f", after, base)
		}
		return nil
	})
}

// Connections that send the most that frames may carry, again and again: each may cost what it can keep of a
// frame and its message, and no more.
func TestBiggestFrames(t *testing.T) {
	const connections, rounds, each, rest = 300, 2, 0.5, 100.0
	p := newMeter(t, "")
	p.milter.Start(t)
	var peers sync.WaitGroup
	var sent atomic.Int64
	frames := biggestFrames()
	for range connections {
		peers.Go(func() {
			s, err := p.milter.Speak()
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			go func() { _, _ = io.Copy(io.Discard, s) }() // ends with the connection
			_, _ = io.WriteString(s, rig.Optneg)
			for range rounds {
				for _, frame := range frames {
					n, err := s.Write(frame)
					sent.Add(int64(n))
					if err != nil {
						return // the guard had enough
					}
				}
			}
		})
	}
	peers.Wait()
	most := p.milter.Memory(t, "VmHWM")
	t.Logf("%d connections sent %d MiB, and the milter took %.0f MiB at most; %v violations",
		connections, sent.Load()>>20, most, p.allViolations())
	if most > connections*each+rest {
		t.Errorf("it took %.0f MiB, more than %d × %v + %v", most, connections, each, rest)
	}
	if err := p.milter.Session(fleet(0)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// biggestFrames fill what a session may keep: macros for each command, greetings, recipients. Then come a
// header and a body, which we never asked for, of the biggest size that Sendmail negotiates (SMFIP_MDS_1M).
func biggestFrames() (frames [][]byte) {
	const most = 64<<10 - 1
	add := func(code byte, data string) { frames = append(frames, []byte(rig.Frame(code, data))) }
	macro := strings.Repeat("{"+strings.Repeat("x", 100)+"}\x00"+strings.Repeat("y", 100)+"\x00", most/204)
	for _, command := range "CHMRTLNBEU" {
		add('D', string(command)+macro)
	}
	frames = append(frames, []byte(rig.Greeting("203.0.113.10", "mail.example.org")))
	text, content := strings.Repeat("x", most-1)+"\x00", strings.Repeat("z", 1<<20-20)
	add('H', text)
	add('M', text)
	for range 20 {
		add('R', text)
	}
	add('L', "Subject\x00"+content[:1<<20-30]+"\x00")
	add('B', content)
	return frames
}

// Sessions do not add up. The cache is as full after the warm-up as it will be.
func TestSessionsDoNotAddUp(t *testing.T) {
	warm, all := int64(20_000), int64(20_000+30_000**soak)
	p := newMeter(t, "[dns]\ncache_entries = 2000")
	p.milter.Start(t)
	p.sessions(0, warm)
	before, first := p.rss(), rig.Metrics(t, p.http)
	begin := time.Now()
	p.sessions(warm, all)
	t.Logf("%.0f sessions a second", float64(all-warm)/time.Since(begin).Seconds())
	after, last := p.rss(), rig.Metrics(t, p.http)
	t.Logf("%.1f MiB after %d sessions, %.1f MiB after %d", before, warm, after, all)
	if after > before*1.05 || after < before*0.95 {
		t.Errorf("the memory is not flat: it went from %.1f MiB to %.1f", before, after)
	}
	for _, series := range []string{"go_goroutines", "process_open_fds"} {
		if last[series] > first[series]+5 || last[series] == 0 {
			t.Errorf("%s went from %v to %v", series, first[series], last[series])
		}
	}
}

// A GOMEMLIMIT below what is in use makes the garbage collector work harder, and nothing fail.
func TestMemoryLimit(t *testing.T) {
	p := newMeter(t, "[limits]\nconnections = 4000")
	p.milter.Env = []string{"GOMEMLIMIT=40MiB"}
	p.milter.Start(t)
	p.idle(3500)
	p.sessions(0, 4000)
	t.Logf("%.1f MiB, at most %.1f", p.rss(), p.milter.Memory(t, "VmHWM"))
}

// idle opens connections, each with a session as far as HELO. They stay until the test or hangUp closes them.
func (p *place) idle(n int) []*rig.Speaker {
	p.Helper()
	all := make([]*rig.Speaker, n)
	p.Cleanup(func() { hangUp(all) })
	p.each(0, int64(n), func(i int64) (err error) {
		if all[i], err = p.milter.Speak(); err != nil {
			return err
		}
		return all[i].Greet(fleet(int(i))) // at once: who does not negotiate is not kept
	})
	return all
}

// rss is the median of what is in use, of samples that sessions lie between.
func (p *place) rss() float64 {
	p.Helper()
	var samples []float64
	for range 5 {
		p.sessions(0, 200)
		samples = append(samples, p.milter.Memory(p, "VmRSS"))
	}
	slices.Sort(samples)
	return samples[len(samples)/2]
}

// sessions holds those of numbers from up to. All have to be accepted.
func (p *place) sessions(from, to int64) {
	p.Helper()
	p.each(from, to, func(i int64) error { return p.milter.Session(fleet(int(i))) })
}

// each does something for numbers from up to, sixteen at a time. It must not fail.
func (p *place) each(from, to int64, do func(int64) error) {
	p.Helper()
	var running sync.WaitGroup
	next, failed := atomic.Int64{}, make(chan error, 16)
	next.Store(from)
	for range cap(failed) {
		running.Go(func() {
			for n := next.Add(1) - 1; n < to; n = next.Add(1) - 1 {
				if err := do(n); err != nil {
					failed <- fmt.Errorf("number %d: %w", n, err)
					return
				}
			}
		})
	}
	running.Wait()
	close(failed)
	var errs error
	for err := range failed {
		errs = errors.Join(errs, err)
	}
	if errs != nil {
		p.Fatal(errs)
	}
}

// fleet is the n-th session's client, and what it says: its own name, or each fiftieth time one that nobody
// had before.
func fleet(n int) (client, helo string) {
	host := rig.FleetFirst + n%(rig.FleetLast-rig.FleetFirst+1)
	helo = fmt.Sprintf("fleet%d.example.org", host)
	if n%50 == 49 {
		helo = fmt.Sprintf("new%d.example.org", n)
	}
	return fmt.Sprintf("198.51.100.%d", host), helo
}
