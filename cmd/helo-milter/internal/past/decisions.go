package past

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"
	"sync"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/inorder"
)

// maxRecord is the longest line of a decision log that is read, in bytes. The longest that a daemon writes
// has 20 greetings with the largest DNS answers.
const maxRecord = 4 << 20

// Decisions reads a decision log, one JSON record a line of at most 4 MiB; blank lines are skipped. It yields
// what work makes of the records, in the order of the lines; lines are decoded, and work is called, by as many
// goroutines as there are CPUs. A *Broken error is about one line, and the sequence continues; any other error
// names the line and ends it.
func Decisions[T any](name string, r io.Reader, work func(*checks.Record) T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		lines := &lineReader{name: name, in: bufio.NewReaderSize(r, 256<<10)}
		type result struct {
			done T
			err  error
		}
		decode := func(b *batch) []result {
			results, in := make([]result, len(b.lines)), &cursor{}
			for i := range b.lines {
				if r, broken := b.lines[i].record(name, in); broken != nil {
					results[i].err = broken
				} else {
					results[i].done = work(r)
				}
			}
			lines.free(b)
			return results
		}
		start := func(b *batch) (_ []result, later func() []result) {
			return nil, func() []result { return decode(b) }
		}
		for results := range inorder.Map(2*runtime.GOMAXPROCS(0), lines.batches, start) {
			for _, r := range results {
				if !yield(r.done, r.err) {
					return
				}
			}
		}
		if !errors.Is(lines.err, io.EOF) {
			var none T
			yield(none, fmt.Errorf("%s:%d: %w", name, lines.number, lines.err))
		}
	}
}

// line is a line of a decision log, without surrounding white space.
type line struct {
	number int
	text   []byte
	whole  bool // else it was too long
}

// record decodes a line of a file.
func (l *line) record(file string, in *cursor) (*checks.Record, *Broken) {
	if !l.whole {
		return nil, &Broken{Place: l.place(file), Reason: tooLong}
	}
	r, broken := record(l.text, in)
	if broken != nil {
		broken.Place = l.place(file)
	}
	return r, broken
}

func (l *line) place(file string) string { return fmt.Sprintf("%s:%d", file, l.number) }

func record(line []byte, in *cursor) (*checks.Record, *Broken) {
	r, ok := in.record(line)
	if !ok {
		r = new(checks.Record)
		if err := json.Unmarshal(line, r); err != nil {
			return nil, &Broken{Reason: "not a decision record", Text: err.Error()}
		}
	}
	switch {
	case r.Version != 1:
		return nil, &Broken{Reason: "not a decision record of version 1", Text: fmt.Sprint("v is ", r.Version)}
	case r.Facts == nil:
		return nil, &Broken{Reason: "decision record without facts"}
	case r.Time.IsZero():
		return nil, &Broken{Reason: "decision record without a time"}
	case r.Facts.Client != r.Client:
		return nil, &Broken{Reason: "client and facts.client differ"}
	case r.Client != r.Client.Unmap().WithZone(""):
		return nil, &Broken{Reason: "client is IPv4-mapped or has a zone"}
	}
	return r, nil
}

// Decoder decodes lines of decision logs, one after the other. The zero Decoder is ready to use.
type Decoder struct{ in cursor }

// Record decodes a line. The record does not refer to the text of the line; the error is a *Broken.
func (d *Decoder) Record(line []byte) (*checks.Record, error) {
	r, broken := record(line, &d.in)
	if broken != nil {
		return nil, broken
	}
	return r, nil
}

const tooLong = "line longer than 4 MiB"

// batchSize is how many bytes of lines are decoded in one go.
const batchSize = 64 << 10

// lineReader reads lines of any length, holding at most maxRecord bytes of one.
type lineReader struct {
	name   string
	in     *bufio.Reader
	number int
	err    error     // why there are no more lines
	unused sync.Pool // of *batch: nothing that was decoded refers to the text of its line
}

// batch has lines, and the text that they are in.
type batch struct {
	lines []line
	text  []byte
}

func (l *lineReader) free(b *batch) {
	if cap(b.text) <= 2*batchSize {
		l.unused.Put(b)
	}
}

// batches yields all lines but blank ones, about 64 KiB at a time, or one line. Each batch may be freed.
func (l *lineReader) batches(yield func(*batch) bool) {
	for l.err == nil {
		b, ok := l.unused.Get().(*batch)
		if !ok {
			b = &batch{text: make([]byte, 0, 2*batchSize)}
		}
		b.lines, b.text = b.lines[:0], b.text[:0]
		for len(b.text) < batchSize && l.err == nil {
			from, next := len(b.text), line{}
			b.text, next.whole = l.next(b.text)
			next.number, next.text = l.number, bytes.TrimSpace(b.text[from:])
			if len(next.text) > 0 {
				b.lines = append(b.lines, next)
			}
		}
		if len(b.lines) > 0 && !yield(b) {
			return
		}
	}
}

// next appends the next line to text; whole is false if it was longer than maxRecord.
func (l *lineReader) next(text []byte) (_ []byte, whole bool) {
	l.number++
	from := len(text)
	whole = true
	for {
		part, err := l.in.ReadSlice('\n')
		if whole = whole && len(text)-from+len(part) <= maxRecord; whole {
			text = append(text, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		l.err = err
		return text, whole
	}
}
