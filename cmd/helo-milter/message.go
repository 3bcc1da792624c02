package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"regexp"
	"strings"
	"time"
)

// mailbox is where mail goes: a user of this host, or an address. Other forms that RFC 5321 allows are not
// needed for a postmaster's letter, and a word such as "-bd" or "|program" must not reach sendmail(8).
type mailbox string

var mailboxes = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+=~'-]{0,63}` +
	`(@[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)?$`)

// UnmarshalText checks the form.
func (m *mailbox) UnmarshalText(text []byte) error {
	if !mailboxes.Match(text) {
		return fmt.Errorf("%q is not a mail address, such as root or postmaster@example.org", text)
	}
	*m = mailbox(text)
	return nil
}

// message is a text with a page attached to it. Its sender is left to sendmail(8), which knows what this host
// calls itself in mail.
type message struct {
	to            mailbox
	host          string // in the Message-ID
	date          time.Time
	subject, text string // the subject is of ASCII
	page          string // HTML
}

// bytes returns the message in lines that end as sendmail(8) expects them: with LF.
func (m *message) bytes() ([]byte, error) {
	var b bytes.Buffer
	parts := multipart.NewWriter(&b)
	fmt.Fprintf(&b, "Date: %s\nMessage-ID: <%s@%s>\nTo: %s\nSubject: %s\n", m.date.Format(time.RFC1123Z),
		strings.ToLower(rand.Text()), idRight(m.host), m.to, folded(m.subject))
	fmt.Fprintf(&b, "MIME-Version: 1.0\nAuto-Submitted: auto-generated\nContent-Type: multipart/mixed;\n"+
		" boundary=%s\n\n", parts.Boundary()) // Auto-Submitted: RFC 3834 §5
	page := fmt.Sprintf("helo-milter-%s.html", m.date.Format(time.DateOnly))
	err := errors.Join(
		part(parts, m.text, "text/plain; charset=utf-8", "inline"),
		part(parts, m.page, "text/html; charset=utf-8", "attachment; filename="+page),
		parts.Close(),
	)
	return bytes.ReplaceAll(b.Bytes(), []byte("\r\n"), []byte("\n")), err
}

func part(parts *multipart.Writer, text, kind, disposition string) error {
	w, err := parts.CreatePart(textproto.MIMEHeader{
		"Content-Type": {kind}, "Content-Disposition": {disposition},
		"Content-Transfer-Encoding": {"quoted-printable"},
	})
	if err != nil {
		return err
	}
	encoded := quotedprintable.NewWriter(w)
	_, err = io.WriteString(encoded, text)
	return errors.Join(err, encoded.Close())
}

// folded breaks a long subject at a blank (RFC 5322 §2.2.3).
func folded(subject string) string {
	const first = 78 - len("Subject: ")
	if len(subject) <= first {
		return subject
	}
	at := strings.LastIndexByte(subject[:first], ' ')
	if at < 0 {
		return subject
	}
	return subject[:at] + "\n" + subject[at:]
}

// idRight returns the right side of a Message-ID, which must be a dot-atom (RFC 5322 §3.6.4).
func idRight(host string) string {
	if !hostNames.MatchString(host) {
		return "localhost"
	}
	return host
}

var hostNames = regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$`)
