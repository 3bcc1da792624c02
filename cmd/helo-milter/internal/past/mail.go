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

// Message reads one message, a file of a Maildir or an .eml, and yields its hand-over, or a *Broken that says
// why there is none.
//
// trusted is a list with commas: the hosts whose Received fields are believed, by name or by a suffix such
// as ".example.net", and the addresses and networks of those that only pass mail on to them. Without it,
// the host that wrote the topmost field is believed. What follows from that is said at handOver.
func Message(name string, r io.Reader, trusted string) iter.Seq2[Hop, error] {
	return func(yield func(Hop, error) bool) {
		in := newMailReader(r)
		fields, _ := in.header()
		if in.number == 1 && in.separates() { // some mail programs export one with it
			fields, _ = in.header()
		}
		if in.err != nil {
			yield(Hop{}, fmt.Errorf("%s: %w", name, in.err))
			return
		}
		yield(newTrust(trusted).message(name, fields))
	}
}

// Mbox reads a mailbox of the mbox family, RFC 4155, and yields for each message what Message does. Bodies
// are passed over line by line. How they quote a "From " does not matter much: it takes a date, and a
// header behind it, to separate messages. A Content-Length is not believed, since it is wrong too often.
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

// separator is the line between messages: sender and date, as asctime has it, with a zone here and there.
var separator = regexp.MustCompile(`(?m)^From .*\d\d:\d\d.* \d{4}\b`)

// separates does not bother the regular expression with every line of a body.
func (m *mailReader) separates() bool {
	return bytes.HasPrefix(m.line, []byte("From ")) && separator.Match(m.line)
}

// message is what a reader yields of a message.
func (t *trust) message(place string, fields []field) (Hop, error) {
	h, err := t.handOver(fields)
	if err != nil {
		return Hop{}, &Broken{Place: place, Reason: err.Error()}
	}
	h.Place = place
	return h, nil
}

// field is an unfolded header field: its name in lower case.
type field struct {
	name  string
	value []byte
}

// text is valid UTF-8, so that what is made of it survives JSON.
func (f *field) text() string { return clean.Text(string(f.value), clean.Whole) }

// wanted are the fields that tell of a hand-over.
var wanted = []string{"received", "return-path", "delivered-to", "x-original-to", "envelope-to", "x-spam-status"}

const (
	maxHeaderLine = 64 << 10  // of a longer line the rest is lost; RFC 5322 §2.1.1 allows 998 bytes
	maxHeader     = 256 << 10 // of a longer header the rest is taken for the body
)

// mailReader reads lines of any length, and keeps but one.
type mailReader struct {
	in     *bufio.Reader
	line   []byte // without its end, until the next one is read
	number int
	err    error // other than the end
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

// header reads the fields that are wanted, up to an empty line, or to a separator where that is missing.
// Lines that are no fields are passed over; ok tells whether the first is one.
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
		before, value, colon := bytes.Cut(m.line, []byte(":"))
		name := strings.ToLower(string(bytes.TrimRight(before, " \t")))
		ok = ok || n == 0 && colon && !strings.ContainsAny(name, " \t")
		if keep = colon && slices.Contains(wanted, name); keep {
			fields = append(fields, field{name, bytes.Clone(bytes.TrimSpace(value))})
		}
	}
	return fields, ok
}
