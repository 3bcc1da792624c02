package checks

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"time"

	"helo-milter/checks/clean"
)

// AppendJSON appends the record as a line of JSON, without a newline: to the byte what clean.JSON makes
// of what json.Marshal makes of it, at a quarter of the cost. What JSON leaves as it is and a terminal obeys, DEL,
// C1 controls and bidi marks among it, is escaped.
func (r *Record) AppendJSON(b []byte) []byte {
	l := recordLine{append(b, '{')}
	l.integer("v", r.Version)
	l.moment("time", r.Time)
	l.text("id", r.ID)
	l.text("mta", r.MTA)
	l.text("queue_id", r.QueueID)
	l.name("client")
	l.addr(r.Client)
	l.text("helo", r.Helo.Raw)
	appendList(&l, "helos", r.Helos, func(l *recordLine, h Helo) { l.value(h.Raw) })
	l.text("mail_from", r.MailFrom)
	appendList(&l, "rcpt_to", r.RcptTo, (*recordLine).value)
	l.text("exempt", r.Exempt)
	l.facts("facts", r.Facts)
	l.text("iprev", r.Iprev)
	appendList(&l, "findings", r.Findings, (*recordLine).finding)
	l.open("verdict")
	l.text("mode", r.Verdict.Mode.String())
	l.text("want", r.Verdict.Want)
	l.text("did", r.Verdict.Did)
	l.text("rule", r.Verdict.Rule)
	l.number("score", r.Verdict.Score)
	l.text("reply", r.Verdict.Reply)
	l.end()
	l.text("header", r.Header)
	l.number("ms", r.Millis)
	if r.Source != nil {
		l.open("source")
		l.text("place", r.Source.Place)
		l.text("dns", r.Source.DNS)
		l.optional("label", r.Source.Label)
		l.end()
	}
	l.end()
	return l.buf
}

// recordLine is a record's line so far. To add a field to a type of the record, add it to its method here, too:
// TestAppendJSON compares the line with the types and their tags.
type recordLine struct{ buf []byte }

func (l *recordLine) name(name string) {
	if l.buf[len(l.buf)-1] != '{' {
		l.buf = append(l.buf, ',')
	}
	l.buf = append(append(append(l.buf, '"'), name...), `":`...)
}

func (l *recordLine) open(name string) {
	l.name(name)
	l.begin()
}

func (l *recordLine) begin() { l.buf = append(l.buf, '{') }
func (l *recordLine) end()   { l.buf = append(l.buf, '}') }

func (l *recordLine) value(text string) { l.buf = clean.AppendJSON(l.buf, text) }

func (l *recordLine) text(name, text string) {
	l.name(name)
	l.value(text)
}

func (l *recordLine) optional(name, text string) {
	if text != "" {
		l.text(name, text)
	}
}

// flag appends a boolean that is left out when it is false.
func (l *recordLine) flag(name string, is bool) {
	if is {
		l.name(name)
		l.buf = append(l.buf, "true"...)
	}
}

func (l *recordLine) integer(name string, n int) {
	l.name(name)
	l.buf = strconv.AppendInt(l.buf, int64(n), 10)
}

func (l *recordLine) number(name string, x float64) {
	l.name(name)
	if x == 0 || 1e-6 <= x && x < 1e21 {
		l.buf = strconv.AppendFloat(l.buf, x, 'f', -1, 64)
		return
	}
	text, _ := json.Marshal(x) // neither configuration nor JSON has a NaN or an infinity
	l.buf = append(l.buf, text...)
}

func (l *recordLine) moment(name string, t time.Time) {
	l.name(name)
	l.buf = append(t.AppendFormat(append(l.buf, '"'), time.RFC3339Nano), '"')
}

func (l *recordLine) addr(a netip.Addr) {
	if !a.IsValid() || a.Zone() != "" {
		text, _ := a.MarshalText()
		l.value(string(text))
		return
	}
	l.buf = append(a.AppendTo(append(l.buf, '"')), '"')
}

// appendList appends a list as a value of that name: null where it is nil.
func appendList[T any](l *recordLine, name string, list []T, item func(*recordLine, T)) {
	l.name(name)
	if list == nil {
		l.buf = append(l.buf, "null"...)
		return
	}
	l.buf = append(l.buf, '[')
	for i := range list {
		if i > 0 {
			l.buf = append(l.buf, ',')
		}
		item(l, list[i])
	}
	l.buf = append(l.buf, ']')
}

func appendAnswer[T any](l *recordLine, name string, a *Answer[T], item func(*recordLine, T)) {
	l.open(name)
	l.text("status", a.Status.String())
	if len(a.Values) > 0 {
		appendList(l, "values", a.Values, item)
	}
	l.flag("stale", a.Stale)
	l.optional("error", a.Err)
	l.end()
}

// names appends an answer of names, or nothing where there was no question.
func (l *recordLine) names(name string, a *Answer[string]) {
	if a.Status != Unasked || a.Values != nil || a.Stale || a.Err != "" {
		appendAnswer(l, name, a, (*recordLine).value)
	}
}

func (l *recordLine) facts(name string, f *Facts) {
	l.name(name)
	if f == nil {
		l.buf = append(l.buf, "null"...)
		return
	}
	l.begin()
	l.name("client")
	l.addr(f.Client)
	appendAnswer(l, "ptr", &f.PTR, (*recordLine).host)
	l.integer("ptr_count", f.PTRCount)
	appendList(l, "greetings", f.Greetings, (*recordLine).greeting)
	l.flag("unheard", f.Unheard)
	l.flag("login", f.Login)
	l.flag("degraded", f.Degraded)
	l.open("site")
	l.optional("hostname", f.Site.Hostname)
	if len(f.Site.Names) > 0 {
		appendList(l, "names", f.Site.Names, (*recordLine).value)
	}
	if len(f.Site.Addresses) > 0 {
		appendList(l, "addresses", f.Site.Addresses, (*recordLine).addr)
	}
	l.end()
	if len(f.Lists) > 0 {
		appendList(l, "lists", f.Lists, (*recordLine).value)
	}
	if f.Seen != nil {
		l.open("seen")
		l.integer("names", f.Seen.Names)
		l.end()
	}
	if f.MTAResolve != (MTAResolve{}) {
		l.open("mta_resolve")
		l.text("resolve", f.MTAResolve.Resolve)
		l.text("name", f.MTAResolve.Name)
		l.text("ptr", f.MTAResolve.PTR)
		l.end()
	}
	l.end()
}

func (l *recordLine) host(h Host) {
	l.begin()
	l.text("name", h.Name)
	appendAnswer(l, "addrs", &h.Addrs, (*recordLine).addr)
	l.names("lists", &h.Lists)
	l.end()
}

func (l *recordLine) greeting(g Greeting) {
	l.begin()
	l.text("helo", g.Helo.Raw)
	appendAnswer(l, "a", &g.A, (*recordLine).addr)
	appendAnswer(l, "aaaa", &g.AAAA, (*recordLine).addr)
	appendAnswer(l, "mx", &g.MX, (*recordLine).value)
	l.names("spf", &g.SPF)
	l.names("brand_spf", &g.BrandSPF)
	l.names("lists", &g.Lists)
	l.names("ns", &g.NS)
	if g.Hosts != nil {
		appendList(l, "hosts", g.Hosts, (*recordLine).host)
	}
	if g.Seen != nil {
		l.open("seen")
		l.integer("networks", g.Seen.Networks)
		l.integer("organisations", g.Seen.Organisations)
		if !g.Seen.Since.IsZero() {
			l.moment("since", g.Seen.Since)
		}
		l.end()
	}
	l.end()
}

func (l *recordLine) finding(f RuleFinding) {
	l.begin()
	l.text("rule", f.Rule)
	l.text("result", f.Result.String())
	l.text("action", f.Action.String())
	l.number("score", f.Score)
	l.text("detail", f.Detail)
	l.end()
}
