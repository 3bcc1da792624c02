package console

import (
	"context"
	"iter"
	"time"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/past"
)

// keptTime is how old a decision of the decision log may be to be shown.
const keptTime = 30 * 24 * time.Hour

// kept are the decisions that are kept: of the decision log and the files that logrotate has made of it, or else the last
// ones, in memory.
type kept struct {
	files []string
	lines [][]byte
}

func (c *Console) kept(cfg *config.Config) *kept {
	if cfg.DecisionLog != "" && cfg.DecisionLog != "-" {
		if files := past.Rotated(cfg.DecisionLog); len(files) > 0 {
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
	share  int                    // of all time, one part in so many is worked
	read   func(bytes int)
	broken func(error)
}

// size returns how many bytes there are to read.
func (k *kept) size() (size int64) {
	if k.files != nil {
		return (&past.Kept{Files: k.files}).Size()
	}
	for _, line := range k.lines {
		size += int64(len(line))
	}
	return size
}

// records yields the records, until ctx ends.
func (k *kept) records(ctx context.Context, how reading) iter.Seq[*checks.Record] {
	if k.files != nil {
		log := &past.Kept{
			Files: k.files, From: how.from, Wants: how.wants, Share: how.share, Read: how.read, Broken: how.broken,
		}
		return log.Records(ctx)
	}
	return func(yield func(*checks.Record) bool) {
		var decoder past.Decoder
		for _, line := range k.lines {
			if ctx.Err() != nil {
				return
			}
			if how.read != nil {
				how.read(len(line))
			}
			if how.wants != nil && !how.wants(line) {
				continue
			}
			r, err := decoder.Record(line)
			if err == nil && !r.Time.Before(how.from) && !yield(r) {
				return
			}
		}
	}
}
