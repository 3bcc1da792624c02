package past

import (
	"encoding/hex"
	"regexp"
	"strings"
	"time"
)

// carrier is what brought a line to us: a container engine, or a collector of logs. It puts the line into an
// envelope, which may say when, and of which host or container.
type carrier struct {
	time  time.Time // zero if it says none
	live  bool      // the time is that at which the program wrote the line, not one at which a file was read
	named bool      // a name was taken off, or there cannot be one
	host  string
}

// maxEnvelopes is how many envelopes a line may be in. A container may run a syslog daemon, and the output of
// its engine may have been written to the journal.
const maxEnvelopes = 8

// parse parses a line of any log, in any envelopes. ok is false if it is in no known format.
func (l *logReader) parse(line string) (entry, bool) { return l.unwrap(line, carrier{}, maxEnvelopes) }

// unwrap parses a line, or what is in its envelope. It expects an envelope only where an engine or collector
// writes one, and searches for nothing: other programs write text from the network.
func (l *logReader) unwrap(line string, around carrier, depth int) (entry, bool) {
	e, ok := l.parseLine(line, around)
	switch {
	case ok && (depth == 0 || !e.carries()):
		if e.host == "" {
			e.host = around.host
		}
		return e, true
	case depth == 0:
		return entry{}, false
	case ok:
		in := carrier{e.time, true, !e.isEngine(), e.host}
		if inner, found := l.unwrap(e.text, in, depth-1); found && inner.origin() != fromOther {
			return inner, true
		}
		return e, true
	case strings.HasPrefix(line, "{"):
		return l.unwrapJSON(line, around, depth-1)
	}
	inner, around, ok := l.peel(line, around)
	if !ok || inner == "" { // nothing; or what an engine received was empty, or the first part of a line
		return entry{}, ok && around.live
	}
	return l.unwrap(inner, around, depth-1)
}

// carries reports whether the text of an entry may be a line in its turn. One with a date is of a container,
// whatever its name, or of Exim with syslog_timestamp.
func (e *entry) carries() bool {
	text := e.text
	return len(text) > len(time.Stamp) && (text[3] == ' ' && text[6] == ' ' && text[9] == ':' ||
		text[4] == '-' && text[7] == '-' && isDigit(text[0]) || text[0] == '{' || e.isEngine())
}

// isEngine reports whether a program writes what containers write, perhaps with their names before it.
func (e *entry) isEngine() bool {
	return e.program != "" && (e.program[0] == 'd' || e.program[0] == 'p') &&
		(strings.HasPrefix(e.program, "docker") || strings.HasPrefix(e.program, "podman"))
}

// peel takes a line out of its outermost envelope.
func (l *logReader) peel(line string, around carrier) (inner string, _ carrier, ok bool) {
	if inner = unadorned(line); inner != line {
		return inner, around, true
	}
	if inner, t, ok := l.dated(line); ok {
		around.time, around.live = t, true
		return l.streamed(inner), around, true
	}
	if around.named {
		return "", around, false
	}
	around.named = true
	if m := named.FindStringSubmatch(line); m != nil {
		if inner, around.host = line[len(m[0]):], m[1]+m[2]; around.host != "" || !strings.HasPrefix(inner, " ") {
			return inner, around, true
		}
	}
	names := 2
	if !around.time.IsZero() {
		names = 1
	}
	inner = afterNames(line, names)
	around.host = before(line, ' ')
	return inner, around, inner != ""
}

// unadorned takes off what says nothing.
func unadorned(line string) string {
	switch {
	case strings.Contains(line, "\x1b["):
		return colour.ReplaceAllString(line, "")
	case len(line) > 1 && line[0] == '<' && isDigit(line[1]): // a priority before another envelope
		return line[strings.IndexByte(line, '>')+1:]
	case strings.HasPrefix(line, "data: "): // journalctl -o json-sse
		return line[len("data: "):]
	case strings.HasPrefix(line, "[{"), strings.HasPrefix(line, ",{"): // an array with an object a line
		return line[1:]
	}
	return strings.TrimLeft(line, " \t\x1e") // journalctl -o json-seq begins with a record separator
}

// colour matches what makes a terminal write in colours: docker compose marks containers with them.
var colour = regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]")

// named matches the name of a container before a line:
//
//	postfix-mailcow-1  | LINE       docker compose; also "NAME stdout | " of supervisor-stdout
//	[pod/postfix-0/postfix] LINE    kubectl logs --prefix; also "[postfix] | " of podman-compose
//	/var/log/mail.log.1:LINE        grep, also with the number of the line
var named = regexp.MustCompile(`^(?:([\w.@/:-]+)(?: [\w.@/:-]+)? *\| ?|\[([\w.@/ -]+)\] (?:\| )?|` +
	`(?:[^ :"]*(?:[/.]|log|messages)[^ :"]*:(?:[0-9]+:)?|[0-9]+:))`)

// afterNames returns the line after one or more names of a pod or a container, as stern, podman pod logs and
// aws logs write them, or a tag, as Fluentd does. The line has to begin with a date or a brace: else it is
// "".
func afterNames(line string, names int) string {
	for range names {
		end := strings.IndexFunc(line, func(c rune) bool { return !isNameRune(c) })
		if end <= 0 || line[end] != ' ' && line[end] != '\t' {
			break
		}
		if line = strings.TrimLeft(line[end:], " \t"); dateStart.MatchString(line) {
			return line
		}
	}
	return ""
}

func isNameRune(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		strings.ContainsRune("._/@:-", c)
}

var dateStart = regexp.MustCompile(`^(?:\{|<\d|[A-Z][a-z][a-z] [ \d]?\d \d\d:|\d{4}-\d\d-\d\d[T _]\d)`)

// dated reads the time that a container engine or supervisor writes before a line: docker logs -t, CRI,
// s6-log and svlogd; or a date and a host that a relay of syslog has added before another date.
func (l *logReader) dated(line string) (inner string, t time.Time, ok bool) {
	if strings.HasPrefix(line, "@") {
		label, inner, _ := strings.Cut(line[1:], " ")
		t, ok := taiTime(label)
		return inner, t, ok
	}
	if len(line) < len(time.Stamp) {
		return "", t, false
	}
	if isDigit(line[0]) && line[10] == ' ' {
		t, inner, ok = l.spacedDate(line, carrier{})
		return inner, t, ok
	}
	if line[3] == ' ' {
		t, rest, ok := l.shortDate(line)
		host, inner, _ := strings.Cut(strings.TrimPrefix(rest, " "), " ")
		return inner, l.instant(t, carrier{}), ok && host != "" && dateStart.MatchString(inner)
	}
	end := strings.IndexAny(line, " \t")
	if end < 0 {
		return "", t, false
	}
	t, ok = l.isoTime(line[:end])
	return strings.TrimLeft(line[end:], " \t"), t, ok
}

// taiTime reads a TAI64N label without its "@", as s6-log, svlogd -t and multilog write it: seconds since
// 1970 from 2^62 and 10, and nanoseconds, in hexadecimal digits. Leap seconds since then are not of interest
// here.
func taiTime(label string) (t time.Time, ok bool) {
	b, err := hex.DecodeString(label)
	if err != nil || len(b) != 12 || b[0] != 0x40 {
		return t, false
	}
	var n [2]int64
	for i, c := range b[1:] {
		n[i/7] = n[i/7]<<8 | int64(c)
	}
	return time.Unix(n[0]-10, n[1]).UTC(), n[0] < 1<<33 // the year 2242
}

// streamed reads "stdout F LINE" after the time: the format of Kubernetes (CRI), containerd and podman. A
// line that is too long for the engine is in parts, whose tag is P for all but the last.
func (l *logReader) streamed(line string) string {
	stream, rest, _ := strings.Cut(line, " ")
	tag, text, ok := strings.Cut(rest, " ")
	if !ok && tag != "F" && tag != "P" || stream != "stdout" && stream != "stderr" {
		return line
	}
	return l.join(stream, text, !strings.HasPrefix(tag, "P"))
}

// join adds a part of a line to those before it, and returns the line if it is the last: else "".
func (l *logReader) join(stream, part string, last bool) string {
	if last && len(l.parts) == 0 {
		return part
	}
	if l.parts == nil {
		l.parts = map[string]string{}
	}
	whole := l.parts[stream]
	if whole += part; len(whole) > maxLine {
		whole = whole[:maxLine]
	}
	if delete(l.parts, stream); !last {
		l.parts[stream] = whole
		return ""
	}
	return whole
}
