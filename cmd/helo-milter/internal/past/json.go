package past

import (
	"strings"
	"time"

	"github.com/valyala/fastjson"
)

// The names of the fields of a JSON line, by what they mean; the first that is there counts. A point leads to
// a field of an object.
//
//	journalctl -o json     MESSAGE, _HOSTNAME, SYSLOG_IDENTIFIER, SYSLOG_PID, __REALTIME_TIMESTAMP
//	docker, fluent-bit     log, time; docker's json-file and Kubernetes
//	Filebeat, Logstash     message, host.name, process.name, process.pid, @timestamp; program, pid, logsource;
//	                       syslog_program, syslog_pid, syslog_hostname
//	Vector                 message, host, appname, procid, timestamp
//	Fluentd                message, host, ident, pid, time
//	syslog-ng, rsyslog     MESSAGE, HOST, PROGRAM, PID, ISODATE; msg, hostname, syslogtag, timereported
//	Loki, CloudWatch       line, timestamp; message, timestamp
//	Google, GELF, Splunk   textPayload, timestamp; short_message, host, timestamp; _raw, _time
var (
	textFields = []string{
		"MESSAGE", "message", "log", "msg", "line", "textPayload", "short_message", "_raw", "event.original",
	}
	hostFields = []string{
		"_HOSTNAME", "HOST", "host", "hostname", "host.name", "host.hostname", "logsource", "syslog_hostname",
	}
	programFields = []string{
		"SYSLOG_IDENTIFIER", "_COMM", "PROGRAM", "program", "syslogtag", "app-name", "appname", "app_name",
		"process.name", "ident", "syslog_program", "programname", "process",
	}
	pidFields  = []string{"SYSLOG_PID", "_PID", "PID", "pid", "procid", "process.pid", "syslog_pid"}
	timeFields = []string{
		"__REALTIME_TIMESTAMP", "@timestamp", "ISODATE", "timereported", "timestamp", "time", "_time", "DATE",
		"date", "ts",
	}
)

// unwrapJSON parses a line that is a JSON object: the record of a journal or a collector, with the text of a
// log line and perhaps its parts, or the whole line as a container wrote it.
func (l *logReader) unwrapJSON(line string, around carrier, depth int) (entry, bool) {
	v, err := l.json.Parse(strings.TrimRight(line, ",] \t")) // of an array with an object a line
	if err != nil {
		_, inner, labels := strings.Cut(line, "} ") // Loki's logcli: {app="postfix"} LINE
		if !labels || strings.HasPrefix(line, `{"`) || depth == 0 {
			return entry{}, false
		}
		return l.unwrap(inner, around, depth-1)
	}
	e := entry{text: value(v, textFields)}
	if e.text == "" {
		v = nested(v)
		e.text = value(v, textFields)
	}
	e.host, e.program = value(v, hostFields), value(v, programFields)
	e.text = strings.TrimLeft(e.text, " ")
	e.program, e.pid, _ = strings.Cut(strings.TrimRight(e.program, "]:"), "[")
	if pid := value(v, pidFields); pid != "" {
		e.pid = pid
	}
	in := carrier{around.time, around.live, true, e.host}
	if t, ok := l.jsonTime(value(v, timeFields)); ok {
		in.time = t
		in.live = v.Exists("__REALTIME_TIMESTAMP") || v.Exists("stream") || v.Exists("container_id")
	}
	e.text = l.whole(v, e.text)
	if e.time = in.time; e.origin() != fromOther && !e.carries() {
		return e, !e.time.IsZero()
	}
	if depth > 0 && e.text != "" {
		if inner, ok := l.unwrap(e.text, in, depth-1); ok && inner.origin() != fromOther {
			return inner, true
		}
	}
	if e.program == "" && e.text == "" {
		e.text = line
	}
	return e, e.origin() == fromOther
}

// maxPart is the size in bytes of a part of a line that is too long for docker: the maximum of its
// daemon/logger/copier.go. A mail server writes no such lines, but the rest of one must not be taken for one.
const maxPart = 16 << 10

// whole returns the text of a record, and of a part of a line the whole line if it is the last: else "".
func (l *logReader) whole(v *fastjson.Value, text string) string {
	last := strings.HasSuffix(text, "\n") || len(text) < maxPart
	if !last || len(l.parts) > 0 {
		if stream := v.GetStringBytes("stream"); stream != nil {
			text = l.join(string(stream), text, last)
		}
	}
	return strings.TrimRight(text, "\r\n")
}

// nested returns the record in the record of an export.
func nested(v *fastjson.Value) *fastjson.Value {
	for _, name := range []string{"_source", "result", "jsonPayload", "fields"} {
		if inner := v.Get(name); inner != nil && inner.Type() == fastjson.TypeObject {
			return inner
		}
	}
	return v
}

// value returns the first of the named fields that is text or a number. A field of the journal that is not
// UTF-8 is an array of bytes, and one that is too long is null.
func value(v *fastjson.Value, names []string) string {
	for _, name := range names {
		f := v.Get(name)
		if parent, child, ok := strings.Cut(name, "."); f == nil && ok {
			f = v.Get(parent, child)
		}
		if f == nil {
			continue
		}
		switch f.Type() {
		case fastjson.TypeString:
			if text := f.GetStringBytes(); len(text) > 0 {
				return string(text)
			}
		case fastjson.TypeNumber:
			return string(f.MarshalTo(nil))
		case fastjson.TypeArray:
			var text []byte
			for _, c := range f.GetArray() {
				text = append(text, byte(c.GetUint()))
			}
			return string(text)
		}
	}
	return ""
}

// jsonTime reads the time of a record: a date of RFC 3339 or with a space, one of syslog, or the time since
// 1970.
func (l *logReader) jsonTime(text string) (t time.Time, ok bool) {
	if len(text) >= len(time.Stamp) && text[3] == ' ' {
		t, _, ok = l.shortDate(text)
		return l.instant(t, carrier{}), ok
	}
	if len(text) > len(time.DateTime) && text[10] == ' ' {
		t, _, ok = l.spacedDate(text+" ", carrier{})
		return t, ok
	}
	return l.isoTime(text)
}
