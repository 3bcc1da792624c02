package past

import (
	"context"
	"iter"
	"os"
	"runtime"
	"slices"
	"time"

	"helo-milter/checks"
)

// Kept is a daemon's decision log, or what its fleet shares, to be read by the daemon itself: in the caller's goroutine,
// and with rests, so that mail has its time.
type Kept struct {
	Files  []string               // as Rotated returns them, or names that Inputs opens
	Inputs Inputs                 // what names stand for that are no files
	From   time.Time              // records before are left out
	Wants  func(line []byte) bool // of which lines are decoded; nil is all
	Share  int                    // of all time, one part in Share is worked; 1 is all
	Read   func(bytes int)        // is called with what was read of a file, if it is not nil
	Broken func(error)            // is called with what is wrong with a line or a file, if it is not nil
}

// Size returns how many bytes there are to read.
func (k *Kept) Size() (size int64) {
	for _, path := range k.Files {
		if info, err := os.Stat(path); err == nil {
			size += info.Size()
		}
	}
	return size
}

// Records yields the records, the latest file first, until ctx ends.
func (k *Kept) Records(ctx context.Context) iter.Seq[*checks.Record] {
	return func(yield func(*checks.Record) bool) {
		rest := NewRest(ctx, k.Share)
		var done []os.FileInfo
		for _, path := range k.Files {
			if !isFile(path) {
				if !k.file(ctx, path, rest, yield) {
					return
				}
				continue
			}
			info, err := os.Stat(path)
			if err != nil || slices.ContainsFunc(done, func(i os.FileInfo) bool { return os.SameFile(i, info) }) {
				continue // rotated meanwhile
			}
			done = append(done, info)
			if info.ModTime().Before(k.From) {
				k.skip(info.Size())
				continue
			}
			if !k.file(ctx, path, rest, yield) {
				return
			}
		}
	}
}

func (k *Kept) skip(size int64) {
	if k.Read != nil {
		k.Read(int(size))
	}
}

// file yields the records of a file, and reports whether to go on.
func (k *Kept) file(ctx context.Context, path string, rest *Rest, yield func(*checks.Record) bool) bool {
	file, err := k.Inputs.Open(ctx, path, k.Read)
	if err != nil {
		k.broken(err)
		return ctx.Err() == nil
	}
	defer file.Close() // it was only read
	wants := func(line []byte) bool {
		return len(line) > 0 && rest.Take() && (k.Wants == nil || k.Wants(line))
	}
	for r, err := range each(path, file, wants) {
		switch {
		case ctx.Err() != nil:
			return false
		case err != nil:
			k.broken(err)
		case r.Time.Before(k.From):
		case !yield(r):
			return false
		}
	}
	return ctx.Err() == nil
}

func (k *Kept) broken(err error) {
	if k.Broken != nil {
		k.Broken(err)
	}
}

// Rest divides the time of work that nobody waits for. It is for one goroutine.
type Rest struct {
	ctx   context.Context
	share int
	began time.Time // of the work since the last rest
}

// NewRest returns a Rest of work that takes one part in share of all time, and ends with the context.
func NewRest(ctx context.Context, share int) *Rest {
	return &Rest{ctx: ctx, share: share, began: time.Now()}
}

// Take rests when it is time to, and reports whether to go on.
func (r *Rest) Take() bool {
	runtime.Gosched() // mail that is ready goes first
	worked := time.Since(r.began)
	if worked < 5*time.Millisecond {
		return true
	}
	if r.share <= 1 {
		r.began = time.Now()
		return r.ctx.Err() == nil
	}
	timer := time.NewTimer(time.Duration(r.share-1) * worked)
	defer timer.Stop()
	select {
	case <-timer.C:
		r.began = time.Now()
		return true
	case <-r.ctx.Done():
		return false
	}
}
