package past

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"slices"
	"strings"

	"helo-milter/checks/clean"
)

// Message reads one message, a file of a Maildir or an .eml, and yields its hand-over, or a *Broken with the
// reason why there is none.
//
// trusted is a comma-separated list: the hosts whose Received fields are believed, by name or by a suffix
// such as ".example.net", and the addresses and networks of relays that only pass mail on to them. If it is
// empty, the host that wrote the topmost field is believed. handOver has the rules that follow from it.
func Message(name string, r io.Reader, trusted string) iter.Seq2[Hop, error] {
	return func(yield func(Hop, error) bool) {
		in := newMailReader(r)
		fields, _ := in.header()
		if in.number == 1 && in.separates() { // exported by a mail program, with an mbox separator
			fields, _ = in.header()
		}
		if in.err != nil {
			yield(Hop{}, fmt.Errorf("%s: %w", name, in.err))
			return
		}
		yield(newTrust(trusted).message(name, fields))
	}
}

// Mbox reads a mailbox of the mbox family (RFC 4155), and yields for each message what Message does. Bodies
// are skipped line by line. Whether they quote "From " hardly matters: only a line with a date, followed by a
// header, separates messages. Content-Length is ignored, since it is wrong too often.
func Mbox(name string, r io.Reader, trusted string) iter.Seq2[Hop, error] {
	return func(yield func(Hop, error) bool) {
		t, in := newTrust(trusted), newMailReader(r)
		for in.next() {
			for in.separates() { // the next one may follow a header at once
				place := fmt.Sprintf("%s:%d", name, in.number)
				fields, ok := in.header()
				if in.err == nil && ok && !yield(t.message(place, fields)) {
					return
				}
			}
		}
		if in.err != nil {
			yield(Hop{}, fmt.Errorf("%s:%d: %w", name, in.number, in.err))
		}
	}
}

// separator matches the line between messages: sender and date as of asctime, some with a time zone.
var separator = regexp.MustCompile(`(?m)^From .*\d\d:\d\d.* \d{4}\b`)

// separates reports whether the line is a separator. The prefix spares most lines the regular expression.
func (m *mailReader) separates() bool {
	return bytes.HasPrefix(m.line, []byte("From ")) && separator.Match(m.line)
}

// message returns the hand-over of a message at a place, or a *Broken.
func (t *trust) message(place string, fields []field) (Hop, error) {
	h, broken := t.handOver(fields)
	if broken != nil {
		broken.Place = place
		return Hop{}, broken
	}
	h.Place = place
	return h, nil
}

// field is an unfolded header field: its name in lower case.
type field struct {
	name  string
	value []byte
}

// text returns the value as valid UTF-8, so that it survives JSON.
func (f *field) text() string { return clean.Text(string(f.value), clean.Whole) }

// wanted are the fields that say something about the hand-over.
var wanted = []string{"received", "return-path", "delivered-to", "x-original-to", "envelope-to", "x-spam-status"}

const (
	maxHeaderLine = 64 << 10  // bytes; the rest of a longer line is cut off. RFC 5322 §2.1.1 allows 998
	maxHeader     = 256 << 10 // bytes; the rest of a longer header is skipped like a body
)

// isNamed reports whether a field has a name, which has no upper case.
func isNamed(name []byte, lower string) bool {
	return len(name) == len(lower) && name[0]|0x20 == lower[0] && strings.EqualFold(string(name), lower)
}

// mailReader reads lines of any length, and holds one at a time.
type mailReader struct {
	in     *bufio.Reader
	line   []byte // without the line end; valid until the next call of next
	number int
	err    error // other than io.EOF
}

func newMailReader(r io.Reader) *mailReader {
	return &mailReader{in: bufio.NewReaderSize(r, maxHeaderLine)}
}

func (m *mailReader) next() bool {
	line, err := m.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		line = bytes.Clone(line)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = m.in.ReadSlice('\n')
		}
	}
	m.line = bytes.TrimRight(line, "\r\n")
	if err != nil && err != io.EOF {
		m.err, m.line = err, nil
		return false
	}
	if len(line) == 0 {
		return false
	}
	m.number++
	return true
}

// header reads the wanted fields, up to an empty line, or to a separator if that is missing. Lines that are
// not fields are skipped; ok reports whether the first line is a field.
func (m *mailReader) header() (fields []field, ok bool) {
	keep := false
	for n, size := 0, 0; m.next() && len(m.line) > 0 && !m.separates(); n++ {
		if size += len(m.line) + 1; size > maxHeader {
			break
		}
		if c := m.line[0]; c == ' ' || c == '\t' {
			if keep {
				f := &fields[len(fields)-1]
				f.value = append(append(f.value, ' '), bytes.TrimSpace(m.line)...)
			}
			continue
		}
		name, value, colon := bytes.Cut(m.line, []byte(":"))
		name = bytes.TrimRight(name, " \t")
		ok = ok || n == 0 && colon && !bytes.ContainsAny(name, " \t")
		which := slices.IndexFunc(wanted, func(w string) bool { return isNamed(name, w) })
		if keep = colon && which >= 0; keep {
			fields = append(fields, field{wanted[which], bytes.Clone(bytes.TrimSpace(value))})
		}
	}
	return fields, ok
}
