package past

import (
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"
)

// entry is a parsed log line.
type entry struct {
	time    time.Time
	host    string
	program string // postfix/smtpd
	pid     string
	text    string
}

// parse parses a line of any log, by its first bytes. ok is false if it is in no known format.
func (l *logReader) parse(line string) (entry, bool) {
	if strings.HasPrefix(line, "{") {
		return l.parseJSON(line)
	}
	rest := line
	if strings.HasPrefix(rest, "<") { // the priority
		_, rest, _ = strings.Cut(rest, ">")
		if plain, new := strings.CutPrefix(rest, "1 "); new {
			return parse5424(plain)
		}
	}
	if len(rest) < len("Nov 22 08:00:00") {
		return entry{}, false
	}
	switch {
	case rest[0] >= '0' && rest[0] <= '9':
		if rest[10] == ' ' {
			return l.parseMainlog(rest)
		}
		return parseISO(rest)
	case rest[3] == ' ' && rest[6] == ' ':
		return l.parseShort(rest)
	case rest[3] == ' ' && rest[8] == '-':
		return l.parseFull(rest)
	}
	return entry{}, false
}

// parseShort reads "Nov 22 08:00:00 HOST PROGRAM[PID]: TEXT": RFC 3164 §4.1.2, journalctl's short and
// short-precise, and Postfix's maillog_file.
func (l *logReader) parseShort(line string) (entry, bool) {
	end := len(time.Stamp)
	if len(line) > end && line[end] == '.' {
		end += strings.IndexByte(line[end:]+" ", ' ')
	}
	t, err := time.ParseInLocation(time.Stamp, line[:end], l.now.Location())
	if err != nil {
		return entry{}, false
	}
	e, ok := parseTag(line[end:])
	e.time = l.inYear(t)
	return e, ok
}

// inYear returns a date without a year in the latest year in which it is not in the future. The clock and
// time zone of the host may be a day ahead of ours.
func (l *logReader) inYear(t time.Time) time.Time {
	for year := l.now.Year() + 1; ; year-- {
		full := t.AddDate(year-t.Year(), 0, 0)
		if full.Day() == t.Day() && full.Sub(l.now) <= 24*time.Hour {
			return full
		}
	}
}

// parseFull reads "Sun 2026-11-22 08:00:00 UTC HOST PROGRAM[PID]: TEXT": journalctl's short-full.
// Abbreviations of time zones are ambiguous: anything but UTC is taken for the local time zone.
func (l *logReader) parseFull(line string) (entry, bool) {
	if len(line) < len("Sun 2026-11-22 08:00:00 ") {
		return entry{}, false
	}
	zone, rest, _ := strings.Cut(line[24:], " ")
	where := l.now.Location()
	if zone == "UTC" {
		where = time.UTC
	}
	t, err := time.ParseInLocation(time.DateTime, line[4:23], where)
	if err != nil {
		return entry{}, false
	}
	e, ok := parseTag(" " + rest)
	e.time = t
	return e, ok
}

// parseISO reads "2026-11-22T08:00:00.123456+00:00 HOST PROGRAM[PID]: TEXT": rsyslog's own format, and
// journalctl's short-iso and short-iso-precise.
func parseISO(line string) (entry, bool) {
	date, rest, _ := strings.Cut(line, " ")
	t, err := isoTime(date)
	if err != nil {
		return entry{}, false
	}
	e, ok := parseTag(" " + rest)
	e.time = t
	return e, ok
}

// isoTime reads a date of RFC 3339. Older versions of journalctl write its zone without a colon.
func isoTime(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05Z0700", text)
	}
	return t, err
}

// parseTag reads " HOST PROGRAM[PID]: TEXT". A line as a program sends it to syslogd has no host.
func parseTag(line string) (e entry, ok bool) {
	line = strings.TrimPrefix(line, " ")
	tag, text, ok := strings.Cut(line, ": ")
	if host, rest, named := strings.Cut(tag, " "); named {
		e.host, tag = host, rest
	}
	e.program, e.pid, _ = strings.Cut(strings.TrimSuffix(tag, "]"), "[")
	e.text = text
	return e, ok
}

// parse5424 reads "2026-11-22T08:00:00Z HOST PROGRAM PID MSGID DATA TEXT": RFC 5424 §6, after the priority
// and version.
func parse5424(line string) (entry, bool) {
	part := strings.SplitN(line, " ", 6)
	if len(part) < 6 {
		return entry{}, false
	}
	t, err := isoTime(part[0])
	if err != nil {
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

// parseMainlog reads "2026-11-22 08:00:00 TEXT", Exim's own format. The time may be followed by ".123" (log
// selector millisec), "+0000" (log_timezone) and "[123]" (log selector pid).
func (l *logReader) parseMainlog(line string) (entry, bool) {
	end := len(time.DateTime)
	if len(line) <= end {
		return entry{}, false
	}
	end += strings.IndexByte(line[end:]+" ", ' ')
	date, rest := line[:end], strings.TrimPrefix(line[end:], " ")
	layout, where := time.DateTime, l.now.Location()
	if len(rest) > 5 && (rest[0] == '+' || rest[0] == '-') && rest[5] == ' ' {
		layout, date, rest = layout+" -0700", date+" "+rest[:5], rest[6:]
	}
	t, err := time.ParseInLocation(layout, date, where)
	if err != nil {
		return entry{}, false
	}
	if strings.HasPrefix(rest, "[") {
		if _, behind, ok := strings.Cut(rest, "] "); ok {
			rest = behind
		}
	}
	return entry{time: t, program: "exim", text: rest}, true
}

// parseJSON reads a line of journalctl -o json. A field that is not text is an array of bytes, and one that
// is too long is null.
func (l *logReader) parseJSON(line string) (entry, bool) {
	v, err := l.json.Parse(line)
	if err != nil {
		return entry{}, false
	}
	first := func(names ...string) string {
		for _, name := range names {
			if text := journalText(v.Get(name)); text != "" {
				return text
			}
		}
		return ""
	}
	micros, err := strconv.ParseInt(first("__REALTIME_TIMESTAMP"), 10, 64)
	if err != nil {
		return entry{}, false
	}
	return entry{
		time: time.UnixMicro(micros).UTC(), host: first("_HOSTNAME"), program: first("SYSLOG_IDENTIFIER", "_COMM"),
		pid: first("SYSLOG_PID", "_PID"), text: first("MESSAGE"),
	}, true
}

func journalText(v *fastjson.Value) string {
	switch {
	case v == nil:
	case v.Type() == fastjson.TypeString:
		return string(v.GetStringBytes())
	case v.Type() == fastjson.TypeArray:
		var text []byte
		for _, c := range v.GetArray() {
			text = append(text, byte(c.GetUint()))
		}
		return string(text)
	}
	return ""
}
