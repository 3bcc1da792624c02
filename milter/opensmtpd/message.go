package opensmtpd

import (
	"strings"
	"unicode/utf8"

	"helo-milter/milter/door"
)

// maxField is how much of a header field is kept until it is known whose it is, in bytes: more is nobody
// else's.
const maxField = 64 << 10

// message is what passes of a message's lines. They are as the client sent them, so a dot may precede a line
// (RFC 5321 §4.5.2), and begin with smtpd's own Received field. The line "." ends them.
type message struct {
	begun    bool
	inBody   bool
	dropping bool     // the lines of the field that the header is in
	results  []string // the lines of an Authentication-Results field, until its end
	size     int      // of these
	stripped int      // fields that are gone
}

// dataLine takes a line of the message and writes what becomes of it.
func (s *session) dataLine(token, text string) {
	m := &s.message
	if !m.begun {
		m.begun, m.dropping = true, true // no line folds our field further
		s.mark(token)
	}
	if text == "." {
		s.endHeader(token)
		s.write(token, text)
		s.message = message{}
		return
	}
	if m.inBody {
		s.write(token, text)
		return
	}
	s.headerLine(token, text)
}

// headerLine takes a line that is not known to be the body's. What is no field is left to smtpd, which
// refuses such a message (rfc5322.c).
func (s *session) headerLine(token, text string) {
	m := &s.message
	field := strings.TrimPrefix(text, ".")
	switch {
	case field == "":
		s.endHeader(token)
		m.inBody = true
		s.write(token, text)
	case field[0] == ' ' || field[0] == '\t':
		s.folded(token, text)
	default:
		s.endField(token)
		name, _, _ := strings.Cut(field, ":")
		name = strings.TrimSpace(name)
		switch cfg := s.Config; {
		case cfg.Header != "" && strings.EqualFold(name, cfg.Header):
			m.dropping = true
			m.stripped++
		case cfg.AuthResults && strings.EqualFold(name, door.ResultsField):
			m.results, m.size = append(m.results, text), len(text)
		default:
			s.write(token, text)
		}
	}
}

// folded takes a line that goes on with the field before it.
func (s *session) folded(token, text string) {
	m := &s.message
	switch {
	case m.dropping:
	case m.results == nil:
		s.write(token, text)
	default:
		if m.size += len(text); m.size <= maxField {
			m.results = append(m.results, text)
		} else { // RFC 8601 §5 allows it
			m.results, m.dropping = nil, true
			m.stripped++
		}
	}
}

// endField writes the field that was kept, unless it claims to be ours.
func (s *session) endField(token string) {
	m := &s.message
	kept := m.results
	m.results, m.dropping = nil, false
	if kept == nil {
		return
	}
	var value strings.Builder
	for i, text := range kept {
		text = strings.TrimPrefix(text, ".")
		if i == 0 {
			_, text, _ = strings.Cut(text, ":")
		} else {
			value.WriteByte('\n')
		}
		value.WriteString(text)
	}
	claims := true // in doubt
	s.Try(func() { claims = door.Claims(value.String(), s.Host) })
	if claims {
		m.stripped++
		return
	}
	for _, text := range kept {
		s.write(token, text)
	}
}

// endHeader ends the header, once.
func (s *session) endHeader(token string) {
	s.endField(token)
	if n := s.message.stripped; n > 0 && s.Config.Stripped != nil {
		s.Try(func() { s.Config.Stripped(n) })
	}
	s.message.stripped = 0
}

// mark writes our fields: they are the first lines of the message.
func (s *session) mark(token string) {
	if value := s.Value(); value != "" {
		s.field(token, s.Config.Header, value)
		s.Marked(value)
	}
	if s.Config.AuthResults && s.Open() {
		results := ""
		s.Try(func() { results = door.AuthResults(s.Host, s.Facts()) })
		if results != "" {
			s.field(token, door.ResultsField, results)
		}
	}
}

func (s *session) field(token, name, value string) {
	for line := range strings.SplitSeq(name+": "+value, "\n") {
		s.write(token, line)
	}
}

// write writes a line of the message. smtpd before 7.4 cuts a filter's line to 2,047 bytes (LINE_MAX in
// lka_filter.c), and none takes more than 65,536 (IOBUF_MAX in its iobuf.c): a longer one is broken as
// Postfix does it (smtp_line_length_limit), so that nothing is lost.
func (s *session) write(token, text string) {
	for limit := s.filter.maxText(); len(text) > limit; {
		at := limit
		for at > limit-utf8.UTFMax && !utf8.RuneStart(text[at]) {
			at--
		}
		s.answer("filter-dataline", token, text[:at])
		text = " " + text[at:]
	}
	s.answer("filter-dataline", token, text)
}
