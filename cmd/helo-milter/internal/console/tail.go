package console

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"helo-milter/checks/clean"
	"helo-milter/cmd/helo-milter/internal/past"
)

// tailRows is how many rows of each host there are from before the start.
const tailRows = maxRows

// tail shows what the other hosts of a fleet decide; what this one does comes from the daemon itself.
type tail struct {
	stop  func()
	ended chan struct{}

	mu       sync.Mutex
	hosts    []string
	answered time.Time // when the server did so last; before the first time, when it was asked first
	err      error     // since then
}

// newTail begins. It ends by stop.
func (c *Console) newTail(fleet Fleet) *tail {
	ctx, cancel := context.WithCancel(context.Background())
	t := &tail{stop: cancel, ended: make(chan struct{}), answered: time.Now()}
	var decoder past.Decoder
	earlier := &earlier{} // nil after the first round
	f := &follower{fleet: fleet, every: c.pace.rows, share: 1}
	f.open = func(ctx context.Context, host string) (Stream, error) { return fleet.OpenEnd(ctx, host, tailRows) }
	f.take = func(host string, text []byte) {
		defer c.survive()
		r, err := decoder.Record(text)
		switch {
		case err != nil: // which the evidence counts
		case earlier != nil:
			earlier.add(r.Time, line{host, slices.Clone(text)})
		case host != fleet.Host():
			c.show(line{host, text}, r)
		}
	}
	f.after = func(err error) {
		if err == nil && earlier != nil {
			c.recent.before(earlier.cut())
			earlier = nil
		}
		t.note(f.hosts, err)
	}
	go func() {
		defer close(t.ended)
		f.follow(ctx)
	}()
	return t
}

func (t *tail) note(hosts []string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err = err; err == nil {
		t.hosts, t.answered = slices.Clone(hosts), time.Now()
	}
}

// known are the hosts that there are.
func (t *tail) known() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.hosts
}

// away says that the server does not answer; "" if it does.
func (t *tail) away() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		return ""
	}
	return fmt.Sprintf("The fleet's server does not answer: what was decided since %s UTC is not in the figures yet, and of "+
		"other hosts not here at all. (%s)", t.answered.UTC().Format("2006-01-02 15:04"), clean.Report(t.err.Error()))
}

// earlier are the last lines of all hosts, of at most maxEarlier bytes.
type earlier struct {
	list  []earlierLine
	bytes int
}

type earlierLine struct {
	at time.Time
	line
}

func (e *earlier) add(at time.Time, l line) {
	e.list = append(e.list, earlierLine{at, l})
	if e.bytes += len(l.text); e.bytes > 2*maxEarlier {
		e.cut()
	}
}

// cut sorts the lines, the oldest first, and keeps the last ones.
func (e *earlier) cut() (lines []line) {
	slices.SortStableFunc(e.list, func(a, b earlierLine) int { return a.at.Compare(b.at) })
	for e.bytes > maxEarlier && len(e.list) > 1 {
		e.bytes -= len(e.list[0].text)
		e.list = e.list[1:]
	}
	for _, one := range e.list {
		lines = append(lines, one.line)
	}
	return lines
}
