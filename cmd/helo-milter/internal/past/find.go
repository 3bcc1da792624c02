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
	return func(yield func(*checks.Record, error) bool) {
		lines := &lineReader{name: name, in: bufio.NewReaderSize(r, 256<<10)}
		wanted := fmt.Appendf(nil, "%q", id) // ids need no escapes
		var text []byte
		in := &cursor{}
		for lines.err == nil {
			whole := false
			text, whole = lines.next(text[:0])
			line := bytes.TrimSpace(text)
			if !whole || !bytes.Contains(line, wanted) {
				continue
			}
			r, broken := record(line, in)
			switch {
			case broken != nil:
				broken.Place = fmt.Sprintf("%s:%d", name, lines.number)
				if !yield(nil, broken) {
					return
				}
			case r.ID == id || r.QueueID == id:
				if !yield(r, nil) {
					return
				}
			}
		}
		if !errors.Is(lines.err, io.EOF) {
			yield(nil, fmt.Errorf("%s:%d: %w", name, lines.number, lines.err))
		}
	}
}
