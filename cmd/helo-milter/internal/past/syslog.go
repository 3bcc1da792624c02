package past

import (
	"strings"
	"time"
)

// entry is a parsed log line.
type entry struct {
	time    time.Time
	host    string
	program string // postfix/smtpd
	pid     string
	text    string
	cells   []string // of Exchange, instead of a text
}

// parseLine parses a line as a syslog daemon or a mail server writes it, by its first bytes. ok is false if
// it is in no known format. A line of a mail server without a date has the time of what carried it.
func (l *logReader) parseLine(line string, around carrier) (entry, bool) {
	rest := line
	if strings.HasPrefix(rest, "<") { // the priority
		_, rest, _ = strings.Cut(rest, ">")
		if plain, new := strings.CutPrefix(rest, "1 "); new {
			return l.parse5424(plain)
		}
	}
	if len(rest) >= len(time.Stamp) {
		switch {
		case isDigit(rest[0]) && rest[10] == ' ' && rest[4] == '-':
			return l.parseSpaced(rest, around)
		case isExchangeLine(rest):
			return l.parseExchange(rest)
		case isDigit(rest[0]):
			return l.parseISO(rest)
		case rest[3] == ' ' && (rest[6] == ' ' || rest[5] == ' '):
			return l.parseShort(rest, around)
		case rest[3] == ' ' && rest[7] == ' ':
			return l.parseC(rest, around)
		case rest[3] == ' ' && rest[8] == '-':
			return l.parseFull(rest, around)
		}
	}
	if around.time.IsZero() {
		return entry{}, false
	}
	e, ok := parseTag(rest)
	e.time = around.time
	return e, ok && e.origin() != fromOther
}

// parseShort reads "Nov 22 08:00:00 HOST PROGRAM[PID]: TEXT": RFC 3164 §4.1.2, journalctl's short and
// short-precise, and Postfix's maillog_file.
func (l *logReader) parseShort(line string, around carrier) (entry, bool) {
	t, rest := l.stamped, line[len(time.Stamp):]
	same := around.time.IsZero() && strings.HasPrefix(rest, " ") // most lines have the date of the one before
	if stamp := line[:len(time.Stamp)]; !same || stamp != l.stamp {
		var ok bool
		if t, rest, ok = l.shortDate(line); !ok {
			return entry{}, false
		}
		if t = l.instant(t, around); same {
			l.stamp, l.stamped = stamp, t
		}
	}
	e, ok := parseTag(rest)
	e.time = t
	return e, ok
}

// parseC reads "Sun Nov 22 08:00:00 2026 mail.info PROGRAM[PID]: TEXT", which OpenWrt's logread writes.
func (l *logReader) parseC(line string, around carrier) (entry, bool) {
	if len(line) <= len(time.ANSIC) {
		return entry{}, false
	}
	t, err := time.ParseInLocation(time.ANSIC, line[:len(time.ANSIC)], l.now.Location())
	if err != nil {
		return entry{}, false
	}
	e, ok := parseTag(line[len(time.ANSIC):])
	e.time = l.instant(t, around)
	return e, ok
}

// parseFull reads "Sun 2026-11-22 08:00:00 UTC HOST PROGRAM[PID]: TEXT": journalctl's short-full.
// Abbreviations of time zones are ambiguous: anything but UTC is taken for the local time zone.
func (l *logReader) parseFull(line string, around carrier) (entry, bool) {
	date, rest, _ := strings.Cut(line[4:], " ")
	clock, rest, _ := strings.Cut(rest, " ")
	zone, rest, ok := strings.Cut(rest, " ")
	where := l.now.Location()
	if zone == "UTC" {
		where = time.UTC
	}
	t, err := time.ParseInLocation(time.DateTime, date+" "+clock, where)
	if err != nil || !ok {
		return entry{}, false
	}
	e, ok := parseTag(rest)
	if e.time = t; zone != "UTC" {
		e.time = l.instant(t, around)
	}
	return e, ok
}

// parseISO reads "2026-11-22T08:00:00.123456+00:00 HOST PROGRAM[PID]: TEXT": rsyslog's own format,
// journalctl's short-iso and short-iso-precise, and its short-unix, which has seconds since 1970.
func (l *logReader) parseISO(line string) (entry, bool) {
	date, rest, _ := strings.Cut(line, " ")
	t, ok := l.isoTime(date)
	if !ok {
		return entry{}, false
	}
	e, ok := parseTag(rest)
	e.time = t
	return e, ok
}

// parseSpaced reads "2026-11-22 08:00:00 TEXT", Exim's own format. The time may be followed by ".123" (log
// selector millisec) and "+0000" (log_timezone). Other programs write the same
// date before "HOST PROGRAM[PID]: TEXT"; the time zone of macOS's log(1) has no space before it.
func (l *logReader) parseSpaced(line string, around carrier) (entry, bool) {
	t, rest, ok := l.spacedDate(line, around)
	if !ok {
		return entry{}, false
	}
	if !isEximText(rest) {
		if e, ok := parseTag(rest); ok && e.origin() != fromOther {
			e.time = t
			return e, true
		}
		if quotesServer(rest) {
			return entry{}, false
		}
	}
	return entry{time: t, program: "exim", text: rest}, true
}

// parseTag reads "HOST PROGRAM[PID]: TEXT". A line as a program sends it to syslogd has no host; a line of
// other syslog daemons has its priority somewhere before the text. metalog writes "[PROGRAM] TEXT".
func parseTag(line string) (e entry, ok bool) {
	line = strings.TrimLeft(line, " ")
	if strings.HasPrefix(line, "[") {
		e.program, e.text, ok = strings.Cut(line[1:], "] ")
		if ok && e.origin() != fromOther {
			return e, true
		}
		e = entry{}
	}
	tag, text, ok := strings.Cut(line, ": ")
	host, rest, named := strings.Cut(tag, " ")
	if named {
		e.host, tag = host, rest
	}
	if named && (isPriority(host) || strings.IndexByte(rest, ' ') >= 0) {
		e.host, tag, ok = cutPriority(host, rest)
	}
	e.program, e.pid, _ = strings.Cut(strings.TrimSuffix(tag, "]"), "[")
	e.text = text
	if strings.HasPrefix(text, "[ID ") { // Solaris and illumos: "[ID 197553 mail.info] "
		_, e.text, _ = strings.Cut(text, "] ")
	} else if strings.HasPrefix(text, "message repeated ") { // rsyslog: "message repeated 2 times: [ TEXT]"
		_, e.text, _ = strings.Cut(strings.TrimSuffix(text, "]"), ": [ ")
	}
	return e, ok && strings.IndexByte(e.program, '"') < 0
}

// cutPriority drops priorities from the words before a text, which leaves the program and perhaps its host.
func cutPriority(first, rest string) (host, tag string, ok bool) {
	if isPriority(first) {
		first = ""
	}
	for word := range strings.FieldsSeq(rest) {
		switch {
		case isPriority(word):
		case tag == "":
			tag = word
		case first == "":
			first, tag = tag, word
		default:
			return "", "", false
		}
	}
	return first, tag, tag != ""
}

// isPriority reports whether a word before a program is a priority, perhaps in brackets, or a number there:
// <mail.info> in FreeBSD, mail.info in busybox and OpenWrt, mail:info in AIX, INFO.
func isPriority(word string) bool {
	if word == "" {
		return true
	}
	if strings.IndexByte("<[(", word[0]) >= 0 {
		word = strings.Trim(word, "<>[]()")
		if strings.Trim(word, "0123456789.") == "" {
			return true
		}
	}
	level := word
	if at := strings.IndexAny(word, ".:"); at >= 0 {
		facility := word[:at]
		if facility != "mail" && facility != "daemon" && !strings.HasPrefix(facility, "local") {
			return false
		}
		level = word[at+1:]
	}
	switch level {
	case "debug", "info", "notice", "warn", "warning", "err", "error", "crit", "alert", "emerg",
		"DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "ERR", "ERROR", "CRIT", "ALERT", "EMERG":
		return true
	}
	return false
}

// parse5424 reads "2026-11-22T08:00:00Z HOST PROGRAM PID MSGID DATA TEXT": RFC 5424 §6, after the priority
// and version.
func (l *logReader) parse5424(line string) (entry, bool) {
	part := strings.SplitN(line, " ", 6)
	if len(part) < 6 {
		return entry{}, false
	}
	t, ok := l.isoTime(part[0])
	if !ok {
		return entry{}, false
	}
	text := strings.TrimPrefix(part[5], "-")
	for strings.HasPrefix(text, "[") {
		text = afterElement(text)
	}
	text = strings.TrimPrefix(strings.TrimPrefix(text, " "), "\ufeff")
	return entry{time: t, host: part[1], program: part[2], pid: part[3], text: text}, true
}

// afterElement skips an element of structured data. Its quoted values may contain brackets.
func afterElement(text string) string {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ']' && !quoted:
			return text[i+1:]
		}
	}
	return ""
}

// before returns the text before a byte, or all of it.
func before(text string, c byte) string {
	if at := strings.IndexByte(text, c); at >= 0 {
		return text[:at]
	}
	return text
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
