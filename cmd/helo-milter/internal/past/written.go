package past

import "helo-milter/checks"

// record decodes a line that has the form in which checks.Record.String writes records: its keys, in its order,
// without white space. The record is that of encoding/json, in a quarter of the time. A line of any other form
// is not ok, whatever may be wrong with it, and encoding/json decides what it says.
func (in *cursor) record(line []byte) (_ *checks.Record, ok bool) {
	in.rest, in.other = line, false
	r := &checks.Record{}
	in.must(`{"v":1`)
	r.Version = 1
	in.time("time", &r.Time)
	r.ID, r.MTA, r.QueueID = in.text("id"), in.text("mta"), in.text("queue_id")
	r.Client, r.Helo, r.Helos = in.addr("client"), in.helo("helo"), list(in, "helos", (*cursor).heloValue)
	r.MailFrom, r.RcptTo, r.Exempt = in.text("mail_from"), list(in, "rcpt_to", (*cursor).value), in.text("exempt")
	r.Facts = in.facts("facts")
	r.Iprev, r.Findings = in.text("iprev"), list(in, "findings", (*cursor).finding)
	r.Verdict = in.verdict("verdict")
	r.Header, r.Millis = in.text("header"), in.number("ms")
	if in.has("source") {
		in.must(`{`)
		r.Source = &checks.Source{Place: in.text("place"), DNS: in.text("dns"), Label: in.optional("label")}
		in.must(`}`)
	}
	in.must(`}`)
	return r, !in.other && len(in.rest) == 0
}

func (in *cursor) facts(key string) *checks.Facts {
	in.object(key)
	f := &checks.Facts{
		Client: in.addr("client"), PTR: answer(in, "ptr", (*cursor).host), PTRCount: in.count("ptr_count"),
		Greetings: list(in, "greetings", (*cursor).greeting),
	}
	f.Unheard, f.Login = in.literally("unheard", "true"), in.literally("login", "true")
	f.Degraded = in.literally("degraded", "true")
	in.object("site")
	f.Site = checks.Site{
		Hostname: in.optional("hostname"), Names: optionalList(in, "names", (*cursor).value),
		Addresses: optionalList(in, "addresses", (*cursor).addrValue),
	}
	in.must(`}`)
	f.Lists = optionalList(in, "lists", (*cursor).value)
	if in.has("seen") {
		in.must(`{`)
		f.Seen = &checks.SeenClient{Names: in.count("names")}
		in.must(`}`)
	}
	if in.has("mta_resolve") {
		in.must(`{`)
		f.MTAResolve = checks.MTAResolve{Resolve: in.text("resolve"), Name: in.text("name"), PTR: in.text("ptr")}
		in.must(`}`)
	}
	in.must(`}`)
	return f
}

func (in *cursor) greeting() checks.Greeting {
	in.must(`{`)
	g := checks.Greeting{
		Helo: in.helo("helo"), A: answer(in, "a", (*cursor).addrValue), AAAA: answer(in, "aaaa", (*cursor).addrValue),
		MX: answer(in, "mx", (*cursor).value), SPF: asked(in, "spf"), BrandSPF: asked(in, "brand_spf"),
		Lists: asked(in, "lists"), NS: asked(in, "ns"), Hosts: optionalList(in, "hosts", (*cursor).host),
	}
	if in.has("seen") {
		in.must(`{`)
		g.Seen = &checks.SeenHelo{Networks: in.count("networks"), Organisations: in.count("organisations")}
		if in.peek("since") {
			in.time("since", &g.Seen.Since)
		}
		in.must(`}`)
	}
	in.must(`}`)
	return g
}

func (in *cursor) host() checks.Host {
	in.must(`{`)
	h := checks.Host{
		Name: in.text("name"), Addrs: answer(in, "addrs", (*cursor).addrValue), Lists: asked(in, "lists"),
	}
	in.must(`}`)
	return h
}

// asked reads an answer that is left out if there was no question.
func asked(in *cursor, key string) (a checks.Answer[string]) {
	if in.peek(key) {
		a = answer(in, key, (*cursor).value)
	}
	return a
}

func answer[T any](in *cursor, key string, value func(*cursor) T) (a checks.Answer[T]) {
	in.object(key)
	in.word("status", &a.Status)
	a.Values = optionalList(in, "values", value)
	a.Stale, a.Err = in.literally("stale", "true"), in.optional("error")
	in.must(`}`)
	return a
}

func (in *cursor) finding() (f checks.RuleFinding) {
	in.must(`{`)
	f.Rule = in.text("rule")
	in.word("result", &f.Result)
	in.word("action", &f.Action)
	f.Score, f.Detail = in.number("score"), in.text("detail")
	in.must(`}`)
	return f
}

func (in *cursor) verdict(key string) (v checks.RecordVerdict) {
	in.object(key)
	in.word("mode", &v.Mode)
	v.Want, v.Did, v.Rule = in.text("want"), in.text("did"), in.text("rule")
	v.Score, v.Reply = in.number("score"), in.text("reply")
	in.must(`}`)
	return v
}
