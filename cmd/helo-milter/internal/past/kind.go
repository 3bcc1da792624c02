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

// kind is the kind of a file.
type kind uint8

const (
	unknownKind kind = iota
	blankFile
	decisionLog
	mailbox
	singleMail
	mailLog
)

// peeked is how many bytes of a file are looked at to find out its kind.
const peeked = 64 << 10

// detect returns the kind of a file, by its beginning. A read error will be met again by the reader of that
// kind, after everything that can be read.
func detect(in *bufio.Reader) (kind, error) {
	head, err := in.Peek(peeked)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return kindOf(bytes.TrimLeft(head, blanks)), err
}

// kindOf looks for mail first: the body of a message must not be taken for a decision log, where a sender
// could claim anything. But a record in the second line is of a decision log whose first line is torn: no
// message has one there.
func kindOf(head []byte) kind {
	_, second, _ := bytes.Cut(head, []byte("\n"))
	switch {
	case len(head) == 0:
		return blankFile
	case bytes.HasPrefix(head, []byte("From ")) && separator.Match(head):
		return mailbox
	case isCarriedLog(head), isExchangeLog(head):
		return mailLog
	case emlx.Match(head) && firstField.Match(second):
		return singleMail
	case firstField.Match(head) && !bytes.HasPrefix(second, []byte(aRecord)):
		return singleMail
	case isDecisions(head):
		return decisionLog
	case isLog(head):
		return mailLog
	}
	return unknownKind
}

// firstField matches the beginning of a message (RFC 5322 §2.2), for names that are in use. It matches no log
// line: the colons of a time are followed by digits.
var firstField = regexp.MustCompile(`^[A-Za-z][\w.-]*:([ \t\r\n]|[^0-9 ])`)

// emlx matches the first line of a message in a mailbox of Apple Mail: its length in bytes.
var emlx = regexp.MustCompile(`^\d+ *\r?\n`)

// isCarriedLog reports whether the first line is of a mail server, after something that looks like the name
// of a field: the file that grep found it in, or "data:". No field has a name like a file.
func isCarriedLog(head []byte) bool {
	name, _, found := bytes.Cut(head[:min(len(head), maxText)], []byte(":"))
	isFile := bytes.Contains(name, []byte(".")) || bytes.HasSuffix(name, []byte("log"))
	if !found || !isFile && string(name) != "data" {
		return false
	}
	line, _, _ := bytes.Cut(head, []byte("\n"))
	e, ok := newLogReader("", time.Now()).parse(strings.TrimRight(string(line), "\r"))
	return ok && e.origin() != fromOther
}

// isExchangeLog reports whether a file begins as the logs of Exchange, whichever it is of them.
func isExchangeLog(head []byte) bool {
	return bytes.HasPrefix(head, []byte("#")) && bytes.Contains(head, []byte("#Log-type: ")) &&
		bytes.Contains(head, []byte("#Software: Microsoft Exchange"))
}

// aRecord begins a line of a decision log.
const aRecord = `{"v":`

// isDecisions reports whether a file is a decision log and not the JSON of journalctl, which has no "v". The
// first line may be torn (logrotate's copytruncate), or be of the daemon's log if both come from the journal
// (journalctl -o cat).
func isDecisions(head []byte) bool {
	return bytes.HasPrefix(head, []byte(aRecord)) || bytes.Contains(head, []byte("\n"+aRecord)) ||
		bytes.HasPrefix(head, []byte("{")) &&
			bytes.Contains(head, []byte(`"facts"`)) && !bytes.Contains(head, []byte(`"MESSAGE"`))
}

// isLog reports whether any line can be parsed as one of a log, or looks like one of a mail server, or most
// are of containers: docker compose logs may begin with those of a web server.
func isLog(head []byte) bool {
	l := newLogReader("", time.Now())
	lines, carried := 0, 0
	for line := range bytes.Lines(head) {
		text := strings.TrimRight(string(line), "\r\n")
		if _, ok := l.parse(text); ok || isOurs(text) {
			return true
		}
		lines++
		if _, around, ok := l.peel(unadorned(text), carrier{}); ok && (around.live || around.host != "") {
			carried++
		}
	}
	return carried > lines/2 ||
		bytes.Contains(head, []byte("__REALTIME_TIMESTAMP")) // journalctl -o json-pretty or export
}
