package console

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"golang.org/x/net/html"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
	"helo-milter/cmd/helo-milter/internal/lookups"
)

// markup are texts that mean something in a page, a spreadsheet or an event.
var markup = []string{
	`<script>alert(1)</script>`, `</script><script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`,
	`' onmouseover='alert(1)`, "` onload=`alert(1)", `javascript:alert(1)`, `<a href="javascript:alert(1)">`,
	`--><svg/onload=alert(1)>`, `]]><b>`, `<!--`, `</title><h1>`, `</textarea><b>`, `</pre><i>`, `{{.View}}`,
	`{{template "gone"}}`, `&lt;b&gt;`, `&#x3c;b&#x3e;`, "\x00<b>", "a\u202egro.elpmaxe\u202c",
	"\u2066\u200f\u05d0\u2069", "\x1b[2J\x9b1m", "\xff\xfe<b>", "data: evil\n\nevent: evil\nid: 9\n\n", "\r\rdata: x",
	"\u2028<b>\u2029", "=1+1", "+1", "-1", "@SUM(A1)", "\t=1+1", "\r=1+1", "\n=1+1", " =1+1", "a,b;c\"d", "../../etc",
	"?x#y", strings.Repeat("W", 4096), "a" + strings.Repeat("\u0301", 500),
}

// says returns a decision in which each text of the network is this one.
func says(number int, text string, at time.Time) *checks.Record {
	client := netip.AddrFrom4([4]byte{203, 0, 113, byte(100 + number)})
	helo := checks.ParseHelo(text)
	names := checks.Answer[string]{Status: checks.Found, Values: []string{text}}
	addrs := checks.Answer[netip.Addr]{Status: checks.Failed, Err: text}
	return &checks.Record{
		Version: 1, Time: at, ID: fmt.Sprintf("idididididididididididid%d", number), QueueID: text, MTA: text,
		Client: client, Helo: helo, Helos: []checks.Helo{helo}, MailFrom: text, RcptTo: []string{text, text}, Header: text, Iprev: "fail",
		Verdict: checks.RecordVerdict{Want: "reject", Did: "accept", Rule: "helo-malformed", Reply: text},
		Findings: []checks.RuleFinding{
			{Rule: "helo-malformed", Result: checks.Fail, Action: checks.Reject, Detail: text},
			{Rule: "ptr-unconfirmed", Result: checks.Unsure, Action: checks.TempFail, Detail: text},
		},
		Facts: &checks.Facts{
			Client: client, PTRCount: 1, Lists: []string{text},
			PTR:       checks.Answer[checks.Host]{Status: checks.Found, Values: []checks.Host{{Name: text, Addrs: addrs}}},
			Greetings: []checks.Greeting{{Helo: helo, A: addrs, AAAA: addrs, MX: names, SPF: names}},
		},
	}
}

// snapshot has texts in each place of what the DNS page shows of the network.
func snapshot(texts []string) func() lookups.Snapshot {
	return func() lookups.Snapshot {
		now := time.Now()
		zones := []lookups.Zone{}
		for _, text := range texts {
			zones = append(zones, lookups.Zone{Zone: text, Asked: 1})
		}
		return lookups.Snapshot{
			Since: now, Results: []lookups.Count{{Name: "found", Count: 1}}, Hours: []lookups.Hour{{Hour: now, Asked: 1}},
			Servers:  []lookups.Server{{Server: "192.0.2.53:53", Tries: 2, LastFailure: now, LastResult: "timeout"}},
			Degraded: []lookups.Period{{From: now}}, Zones: zones,
		}
	}
}

// Nothing that the network, an address or a form says becomes a tag or an attribute, leads elsewhere, or is text that a
// reader could take for something else.
func TestHostile(t *testing.T) {
	fine := &skeleton{tags: map[string]bool{}}
	fine.of(t, []string{"name", "mail.example.org", "not a name", "1", ""}, true)
	try := func(texts []string, asked bool) {
		for some := range slices.Chunk(texts, 10) {
			got := &skeleton{tags: map[string]bool{}}
			got.of(t, some, asked)
			for tag := range got.tags {
				if !fine.tags[tag] {
					t.Errorf("%q: a page has %s", some, tag)
				}
			}
		}
	}
	try(markup, true)
	try(slices.Sorted(maps.Values(checkstest.Hostile(t))), false) // those of all packages
}

// skeleton is which elements pages have, with their attributes.
type skeleton struct {
	t    *testing.T
	text string // that is asked for
	tags map[string]bool
}

// of asks for everything that has one of the texts somewhere; asked also has them in what is asked.
func (s *skeleton) of(t *testing.T, texts []string, asked bool) {
	synctest.Test(t, func(t *testing.T) {
		s.t, s.text = t, "pages"
		w := newWorld(t, "").open()
		settings := *w.settings.Load()
		settings.Lookups = snapshot(texts)
		w.Use(&settings)
		synctest.Wait()
		events, live := w.listen("events", ""), w.listen("live/rules", "")
		synctest.Wait()
		paths := []string{"", "clients", "rules", "days", "dns", "whatif", "rules/helo-malformed"}
		for i, text := range texts {
			r := says(i, text, time.Now())
			w.decided(r, w.decide("203.0.113.1", text, text+"@"+text, time.Now().Add(time.Second)))
			paths = append(paths, "decision/"+r.ID, "client/"+r.Client.String())
		}
		time.Sleep(2 * liveTime)
		s.events(events.close())
		s.events(live.close())
		for _, path := range paths {
			s.page(path, w.get(path))
		}
		s.tables(w)
		for _, s.text = range texts {
			if !asked {
				break
			}
			for _, path := range []string{"client/", "rules/", "decision/", ""} {
				s.page(path, w.get(path+url.PathEscape(s.text)))
			}
			s.queries(w)
			s.form(w, url.Values{"toml": {s.text}})
			s.form(w, url.Values{
				"profile": {s.text}, "rules.helo-malformed": {s.text}, "tempfail_at": {s.text}, "days": {s.text},
			})
		}
		s.form(w, url.Values{"rules.helo-malformed": {"off"}, "rules.ptr-missing": {"reject"}})
	})
}

// queries have the text in an address.
func (s *skeleton) queries(w *world) {
	for _, keys := range []string{"helo ptr domain x", "client", "want", "rule", "format table"} {
		q := url.Values{}
		for key := range strings.FieldsSeq(keys) {
			q.Set(key, s.text)
		}
		query := "?" + q.Encode()
		s.page(query, w.get(query))
		s.plain(w.get("export" + query))
		if q.Set("format", "csv"); keys != "format table" {
			if answer := w.get("export?" + q.Encode()); answer.Code == 200 {
				s.csv(answer)
			} else {
				s.plain(answer)
			}
			s.printable("events", w.listen("events?"+q.Encode(), "").close())
		}
	}
}

// tables are saved.
func (s *skeleton) tables(w *world) {
	for path, tables := range map[string]string{
		"clients": "refused", "clients?want=reject": "clients", "rules": "rules", "days": "days unsure",
		"rules/helo-malformed": "days", "client/203.0.113.1": "helos ptr days", "client/203.0.113.100": "helos ptr",
		"dns": "servers results hours degraded zones",
	} {
		for table := range strings.FieldsSeq(tables) {
			s.exports(w, path, "&table="+table)
		}
	}
	s.exports(w, "export", "")
}

// exports are both forms of a table.
func (s *skeleton) exports(w *world, path, table string) {
	mark := "?"
	if strings.Contains(path, "?") {
		mark = "&"
	}
	s.csv(w.get(path + mark + "format=csv" + table))
	s.jsonl(w.get(path + mark + "format=jsonl" + table))
}

// form asks for a trial, and for what came of it.
func (s *skeleton) form(w *world, form url.Values) {
	answer := w.post("whatif", form)
	synctest.Wait()
	at := answer.Header().Get("Location")
	if answer.Code != 303 {
		s.page("whatif", answer)
		return
	}
	s.page(at, w.get(at))
	for _, table := range []string{"newly_refused", "no_longer_refused", "wanted", "rules"} {
		s.exports(w, at, "&table="+table)
	}
}

// printable reports what has something in it that is not shown.
func (s *skeleton) printable(where, text string) {
	s.t.Helper()
	bad := func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) } // a bidi mark is not
	if at := strings.IndexFunc(text, bad); at >= 0 {
		s.t.Errorf("%q: %s has %q", s.text, where, text[max(at-30, 0):min(at+30, len(text))])
	}
}

func (s *skeleton) plain(answer *httptest.ResponseRecorder) {
	s.t.Helper()
	if kind := answer.Result().Header.Get("Content-Type"); answer.Code == 200 || !strings.HasPrefix(kind, "text/plain") {
		s.t.Errorf("%q: an error is %d %s", s.text, answer.Code, kind)
	}
	s.printable("an error", answer.Body.String())
}

func (s *skeleton) csv(answer *httptest.ResponseRecorder) {
	s.t.Helper()
	text := answer.Body.String()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	kind := answer.Result().Header.Get("Content-Type")
	if err != nil || len(rows) == 0 || !strings.HasPrefix(kind, "text/csv") {
		s.t.Errorf("%q: no CSV (%v, %s): %d %q", s.text, err, kind, answer.Code, text)
	}
	s.printable("CSV", text)
	for _, row := range rows {
		for _, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				s.t.Errorf("%q: a cell is %q", s.text, cell)
			}
		}
	}
}

func (s *skeleton) jsonl(answer *httptest.ResponseRecorder) {
	s.t.Helper()
	text := answer.Body.String()
	if kind := answer.Result().Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/jsonl") {
		s.t.Errorf("%q: no JSON Lines: %d %s", s.text, answer.Code, kind)
	}
	s.printable("JSON Lines", text)
	for line := range strings.Lines(text) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			s.t.Errorf("%q: %v: %s", s.text, err, line)
		}
	}
}

// events are of one kind each, and their data is a part of a page.
func (s *skeleton) events(text string) {
	s.t.Helper()
	var data strings.Builder
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		switch {
		case key == "data":
			data.WriteString(value + "\n")
		case key == "id" && regexp.MustCompile(`^ [0-9]+$`).MatchString(value), key == "":
		default:
			s.t.Errorf("%q: an event has the line %q", s.text, line)
		}
	}
	s.parse("an event", "<table>"+data.String()+"</table>")
}

func (s *skeleton) page(where string, answer *httptest.ResponseRecorder) {
	s.t.Helper()
	if answer.Code >= 500 || answer.Code >= 300 && answer.Code < 400 {
		return // of the mux, which makes paths plain
	}
	if kind := answer.Result().Header.Get("Content-Type"); kind != "text/html; charset=utf-8" {
		s.t.Errorf("%q: %s is %s", s.text, where, kind)
	}
	s.parse(where, strings.ReplaceAll(answer.Body.String(), "\t", " ")) // which what was typed may have
}

// ours are the values of attributes that hold words of ours, or lead somewhere.
var ours = regexp.MustCompile(`^[a-zA-Z0-9 .,=:/;&?%+#@$()<>*'“”\[\]_-]*$`)

// parse notes what a browser makes of a page.
func (s *skeleton) parse(where, page string) {
	s.t.Helper()
	s.printable(where, page)
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		s.t.Fatal(err)
	}
	for n := range root.Descendants() {
		switch n.Type {
		case html.ElementNode:
			s.element(where, n)
		case html.TextNode:
			s.printable(where, n.Data)
		case html.CommentNode, html.RawNode, html.ErrorNode:
			s.t.Errorf("%q: %s has a node %q", s.text, where, n.Data)
		}
	}
}

func (s *skeleton) element(where string, n *html.Node) {
	s.t.Helper()
	s.tags["<"+n.Data+">"] = true
	for _, a := range n.Attr {
		s.tags["<"+n.Data+" "+a.Key+">"] = true
		s.printable(where, a.Val)
		switch a.Key {
		case "value": // of an input
			continue
		case "href", "src", "action":
			u, err := url.Parse(a.Val)
			if err != nil || a.Val != "data:," && (u.Scheme != "" || u.Host != "" || strings.HasPrefix(a.Val, "/")) {
				s.t.Errorf("%q: %s: <%s> leads to %q", s.text, where, n.Data, a.Val)
			}
		}
		if !ours.MatchString(a.Val) {
			s.t.Errorf("%q: %s: <%s %s=%q>", s.text, where, n.Data, a.Key, a.Val)
		}
	}
}
