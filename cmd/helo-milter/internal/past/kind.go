package past

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"
	"time"
)

// kind is what a file is.
type kind uint8

const (
	unknownKind kind = iota
	blankFile
	decisionLog
	mailbox
	singleMail
	mailLog
)

// peeked is how much of a file is looked at to tell what it is, in bytes.
const peeked = 64 << 10

// tell looks at the beginning of a file. The readers come upon an error again, behind all that can be read.
func tell(in *bufio.Reader) (kind, error) {
	head, err := in.Peek(peeked)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return kindOf(bytes.TrimLeft(head, blanks)), err
}

// kindOf looks for mail first: a message's body must not make a decision log of it, which says of each client
// whatever it likes. Nothing that is mail has a record in its second line, as a log can whose first one is
// torn.
func kindOf(head []byte) kind {
	_, second, _ := bytes.Cut(head, []byte("\n"))
	switch {
	case len(head) == 0:
		return blankFile
	case bytes.HasPrefix(head, []byte("From ")) && separator.Match(head):
		return mailbox
	case firstField.Match(head) && !bytes.HasPrefix(second, []byte(aRecord)):
		return singleMail
	case isDecisions(head):
		return decisionLog
	case isLog(head):
		return mailLog
	}
	return unknownKind
}

// firstField begins a message: RFC 5322 §2.2, without the names that nobody uses. No log line does: a time has
// no blank after its colons.
var firstField = regexp.MustCompile(`^[A-Za-z][\w.-]*:([ \t\r\n]|[^0-9 ])`)

// aRecord begins a line of a decision log.
const aRecord = `{"v":`

// isDecisions tells a decision log from a journal's JSON, which has no "v". Its first line can be torn, by
// copytruncate, and the daemon's own log be in it, when both are of the journal (journalctl -o cat).
func isDecisions(head []byte) bool {
	return bytes.HasPrefix(head, []byte(aRecord)) || bytes.Contains(head, []byte("\n"+aRecord)) ||
		bytes.HasPrefix(head, []byte("{")) &&
			bytes.Contains(head, []byte(`"facts"`)) && !bytes.Contains(head, []byte(`"MESSAGE"`))
}

// isLog tells whether there is a line of a log, or one that is meant to be.
func isLog(head []byte) bool {
	l := newLogReader("", time.Now())
	for line := range bytes.Lines(head) {
		text := strings.TrimRight(string(line), "\r\n")
		if _, ok := l.parse(text); ok || isOurs(text) {
			return true
		}
	}
	return false
}
