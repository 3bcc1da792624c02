package checks

import (
	"slices"
	"strconv"
	"strings"

	"helo-milter/checks/clean"
)

// maxLogged is how many bytes of recipients a line has before the rest is left out.
const maxLogged = 4096

// AppendLog appends the attributes of the decision's line in the log, each after a blank, or in JSON after a comma.
// Their names are those of Record, or of the header for rules and unsure. Filters rely on names and order: new ones
// come at the end. All of it is printable text.
//
// It writes what handlers of slog would, at a tenth of the cost: every transaction has such a line.
func (d *Decision) AppendLog(b []byte, json bool) []byte {
	f, v, client := d.Facts, &d.Verdict, "none"
	if f.Client.IsValid() {
		client = f.Client.String()
	}
	l := logLine{b, json}
	l.text("id", d.ID)
	l.text("queue_id", d.QueueID)
	l.text("mta", d.MTA)
	l.word("client", client)
	l.text("helo", f.LastHelo().Raw)
	l.word("iprev", f.Iprev())
	l.word("want", v.Want())
	l.word("did", d.Did.Outcome())
	l.names("rules", v, Fail)
	l.names("unsure", v, Unsure)
	l.number("score", v.Score)
	l.number("ms", d.millis())
	l.text("mail_from", d.MailFrom)
	l.list("rcpt_to", upTo(d.RcptTo, maxLogged))
	return l.buf
}

// logLine is the rest of a line in the log.
type logLine struct {
	buf  []byte
	json bool
}

func (l *logLine) name(name string) {
	if l.json {
		l.buf = append(append(append(l.buf, `,"`...), name...), `":`...)
		return
	}
	l.buf = append(append(append(l.buf, ' '), name...), '=')
}

// word appends a text of ours, which needs quotes in JSON only.
func (l *logLine) word(name, value string) {
	l.name(name)
	if l.json {
		l.buf = append(append(append(l.buf, '"'), value...), '"')
		return
	}
	l.buf = append(l.buf, value...)
}

func (l *logLine) text(name, value string) {
	l.name(name)
	l.value(value)
}

// value appends a text from the network. A quote of Go is one of JSON where all is printable. Without JSON, slog
// leaves out the quotes where logfmt needs none.
func (l *logLine) value(text string) {
	text = clean.Log(text)
	if l.json || needsQuotes(text) {
		l.buf = strconv.AppendQuote(l.buf, text)
		return
	}
	l.buf = append(l.buf, text...)
}

func needsQuotes(text string) bool {
	for i := range len(text) {
		if c := text[i]; c == ' ' || c == '=' || c == '"' {
			return true
		}
	}
	return text == ""
}

func (l *logLine) number(name string, value float64) {
	l.name(name)
	l.buf = strconv.AppendFloat(l.buf, value, 'f', -1, 64)
}

// names appends what Failed or Unsure returns, in JSON as a list.
func (l *logLine) names(name string, v *Verdict, result Result) {
	if !l.json {
		l.name(name)
		l.buf = v.appendNames(l.buf, result)
		return
	}
	var list []string
	if names := string(v.appendNames(nil, result)); names != "none" {
		list = strings.Split(names, ",")
	}
	l.list(name, list)
}

func (l *logLine) list(name string, list []string) {
	l.name(name)
	if !l.json {
		l.value(strings.Join(list, ","))
		return
	}
	l.buf = append(l.buf, '[')
	for i, text := range list {
		if i > 0 {
			l.buf = append(l.buf, ',')
		}
		l.value(text)
	}
	l.buf = append(l.buf, ']')
}

// upTo returns the first texts of a list that have at most limit bytes together.
func upTo(list []string, limit int) []string {
	end := slices.IndexFunc(list, func(text string) bool {
		limit -= len(text)
		return limit < 0
	})
	if end < 0 {
		return list
	}
	return list[:end]
}
