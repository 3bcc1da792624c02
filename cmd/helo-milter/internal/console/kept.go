package console

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/past"
)

// keptTime is how old a decision of the decision log may be to be shown.
const keptTime = 30 * 24 * time.Hour

// kept are the decisions that are kept: of the decision log and the files that logrotate has made of it, or else the last
// ones, in memory. With a fleet they are what its hosts share, and then the last ones, which may not be there yet: some
// come twice.
type kept struct {
	files []string
	fleet Fleet
	bytes int64 // that the fleet shares, about
	lines []line
}

func (c *Console) kept() *kept {
	s := c.settings.Load()
	if s.Fleet != nil {
		lines, _ := c.recent.all()
		return &kept{fleet: s.Fleet, bytes: c.evidence().standing().Bytes, lines: lines}
	}
	if log := s.Config.DecisionLog; log != "" && log != "-" {
		if files := past.Rotated(log); len(files) > 0 {
			return &kept{files: files}
		}
	}
	lines, _ := c.recent.all()
	return &kept{lines: lines}
}

// reading is how kept decisions are read.
type reading struct {
	from   time.Time              // those before are left out
	wants  func(line []byte) bool // of which lines are decoded; nil is all
	host   string                 // whose records are wanted: a host of the fleet, or an MTA; "" is all
	share  int                    // of all time, one part in so many is worked
	read   func(bytes int)
	broken func(error)
}

// note returns what notes that not all could be read; a line that cannot is left out.
func note(failed *bool) func(error) {
	return func(err error) {
		_, isLine := errors.AsType[*past.Broken](err)
		*failed = *failed || !isLine
	}
}

// size returns how many bytes there are to read.
func (k *kept) size() (size int64) {
	if k.files != nil {
		return (&past.Kept{Files: k.files}).Size()
	}
	for _, line := range k.lines {
		size += int64(len(line.text))
	}
	return size + k.bytes
}

// records yields the records, each with its host of the fleet, until ctx ends.
func (k *kept) records(ctx context.Context, how reading) iter.Seq2[string, *checks.Record] {
	return func(yield func(string, *checks.Record) bool) {
		switch {
		case k.files != nil:
			how.files(ctx, "", past.Inputs{}, k.files, yield)
		case k.fleet == nil || how.streams(ctx, k.fleet, yield):
			how.lines(ctx, k.lines, yield)
		}
	}
}

// files yields the records of files, or of a host, and reports whether to go on.
func (how *reading) files(
	ctx context.Context, host string, in past.Inputs, files []string, yield func(string, *checks.Record) bool,
) bool {
	log := &past.Kept{
		Files: files, Inputs: in, From: how.from, Wants: how.wants, Share: how.share, Read: how.read, Broken: how.broken,
	}
	for r := range log.Records(ctx) {
		if !yield(host, r) {
			return false
		}
	}
	return ctx.Err() == nil
}

// streams yields the records of all hosts, and reports whether to go on.
func (how *reading) streams(ctx context.Context, fleet Fleet, yield func(string, *checks.Record) bool) bool {
	hosts, err := fleet.Hosts(ctx)
	if err != nil {
		if how.broken != nil && ctx.Err() == nil {
			how.broken(err)
		}
		return ctx.Err() == nil
	}
	in := past.Inputs{Fleet: func(ctx context.Context, host string) (io.ReadCloser, error) {
		s, err := fleet.Open(ctx, host, how.from)
		if err != nil {
			return nil, err
		}
		return &counted{s, how.read}, nil
	}}
	ofMTA := *how // what other hosts share of it
	ofMTA.wants = every(how.wants, (&filter{}).textOfLine(how.host))
	for _, host := range hosts {
		how := how
		if lower(host) != how.host {
			how = &ofMTA
		}
		if !how.files(ctx, host, in, []string{past.FleetPrefix + host}, yield) {
			return false
		}
	}
	return true
}

// counted notes what is read of a stream.
type counted struct {
	io.ReadCloser
	read func(bytes int)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if c.read != nil {
		c.read(n)
	}
	return n, err
}

// lines yields the records in memory.
func (how *reading) lines(ctx context.Context, lines []line, yield func(string, *checks.Record) bool) {
	var decoder past.Decoder
	for _, l := range lines {
		if ctx.Err() != nil {
			return
		}
		if how.read != nil {
			how.read(len(l.text))
		}
		if how.wants != nil && !how.wants(l.text) {
			continue
		}
		r, err := decoder.Record(l.text)
		if err == nil && !r.Time.Before(how.from) && !yield(l.host, r) {
			return
		}
	}
}
