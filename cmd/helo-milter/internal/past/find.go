package past

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"

	"helo-milter/checks"
)

// Find reads a decision log as Decisions does, and returns the records with a session id or queue id. Only
// lines that contain it are decoded: a million take seconds. So a *Broken error is about such a line, too.
func Find(name string, r io.Reader, id string) iter.Seq2[*checks.Record, error] {
	wanted := fmt.Appendf(nil, "%q", id) // ids need no escapes
	return func(yield func(*checks.Record, error) bool) {
		for r, err := range each(name, r, func(line []byte) bool { return bytes.Contains(line, wanted) }) {
			if (err != nil || r.ID == id || r.QueueID == id) && !yield(r, err) {
				return
			}
		}
	}
}

// Each reads a decision log as Decisions does, but in the caller's goroutine, and leaves out lines longer than 4 MiB.
func Each(name string, r io.Reader) iter.Seq2[*checks.Record, error] {
	return each(name, r, func(line []byte) bool { return len(line) > 0 })
}

// each decodes the lines that are wanted.
func each(name string, r io.Reader, wants func(line []byte) bool) iter.Seq2[*checks.Record, error] {
	return func(yield func(*checks.Record, error) bool) {
		lines := &lineReader{name: name, in: bufio.NewReaderSize(r, 256<<10)}
		var text []byte
		in := &cursor{}
		for lines.err == nil {
			whole := false
			text, whole = lines.next(text[:0])
			line := bytes.TrimSpace(text)
			if !whole || !wants(line) {
				continue
			}
			r, broken := record(line, in)
			if broken != nil {
				broken.Place = fmt.Sprintf("%s:%d", name, lines.number)
				if !yield(nil, broken) {
					return
				}
			} else if !yield(r, nil) {
				return
			}
		}
		if !errors.Is(lines.err, io.EOF) {
			yield(nil, fmt.Errorf("%s:%d: %w", name, lines.number, lines.err))
		}
	}
}
