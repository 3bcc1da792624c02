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

	"helo-milter/checks"
)

// maxRecord is the longest line of a decision log that is read, in bytes. The longest that a daemon writes
// has 20 greetings with the largest DNS answers.
const maxRecord = 4 << 20

// Decisions reads a decision log, one JSON record a line of at most 4 MiB; blank lines are skipped. A *Broken
// error is about one line, and the sequence continues; any other error names the line and ends it. Lines are
// decoded by as many goroutines as there are CPUs, and records come in the order of the lines.
func Decisions(name string, r io.Reader) iter.Seq2[*checks.Record, error] {
	return func(yield func(*checks.Record, error) bool) {
		lines := &lineReader{name: name, in: bufio.NewReaderSize(r, 256<<10)}
		var decoding []chan []decision // the oldest first; buffered for one batch, so no goroutine blocks
		for {
			for len(decoding) < 2*runtime.GOMAXPROCS(0) && lines.err == nil {
				batch, result := lines.batch(), make(chan []decision, 1)
				go func() { result <- decode(batch) }()
				decoding = append(decoding, result)
			}
			if len(decoding) == 0 {
				break
			}
			for _, d := range <-decoding[0] {
				if !yield(d.record, d.err) {
					return
				}
			}
			decoding = decoding[1:]
		}
		if !errors.Is(lines.err, io.EOF) {
			yield(nil, fmt.Errorf("%s:%d: %w", name, lines.number, lines.err))
		}
	}
}

// decision is a line and what was decoded from it. Before decoding, only a line that is too long has an
// error.
type decision struct {
	place  string
	line   []byte
	record *checks.Record
	err    error
}

func decode(batch []decision) []decision {
	for i := range batch {
		d := &batch[i]
		if d.err != nil {
			continue
		}
		record, broken := record(d.line)
		if broken != nil {
			broken.Place = d.place
			d.err = broken
		} else {
			d.record = record
		}
		d.line = nil
	}
	return batch
}

func record(line []byte) (*checks.Record, *Broken) {
	r := new(checks.Record)
	switch err := json.Unmarshal(line, r); {
	case err != nil:
		return nil, &Broken{Reason: "not a decision record", Text: err.Error()}
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

const tooLong = "line longer than 4 MiB"

// lineReader reads lines of any length, holding at most maxRecord bytes of one.
type lineReader struct {
	name   string
	in     *bufio.Reader
	number int
	err    error // why there are no more lines
}

// batch reads the next lines: about 64 KiB, or one line. Blank lines are skipped.
func (l *lineReader) batch() []decision {
	var batch []decision
	for size := 0; size < 64<<10 && l.err == nil; {
		line, whole := l.next()
		if len(line) == 0 {
			continue
		}
		d := decision{place: fmt.Sprintf("%s:%d", l.name, l.number), line: line}
		if !whole {
			d.line, d.err = nil, &Broken{Place: d.place, Reason: tooLong}
		}
		size += len(line)
		batch = append(batch, d)
	}
	return batch
}

// next returns the next line without surrounding white space; whole is false if it was longer than maxRecord.
func (l *lineReader) next() (line []byte, whole bool) {
	l.number++
	whole = true
	for {
		part, err := l.in.ReadSlice('\n')
		if whole = whole && len(line)+len(part) <= maxRecord; whole {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		l.err = err
		return bytes.TrimSpace(line), whole
	}
}
