package console

import (
	"encoding/csv"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/past"
)

// pageRow is what a page has, with its status, before the first decision and after some.
type pageRow struct {
	page, path string
	before     int
	empty      string
	after      int
	full       string
}

func (row *pageRow) look(w *world, status int, want string) {
	w.t.Helper()
	answer, p := w.get(row.path), pageOf(row.page)
	text := answer.Body.String()
	if answer.Code != status || !strings.Contains(text, want) || !strings.Contains(text, "<title>"+p.title+" · ") {
		w.t.Errorf("%q: %d, not about %q, or not %s: %s", row.path, answer.Code, want, p.title, text)
	}
	here := 1
	if row.page == "decision/{id}" {
		here = 0
	}
	if n := strings.Count(text, "aria-current"); n != here {
		w.t.Errorf("%q is in the menu %d times", row.path, n)
	}
	if !strings.Contains(text, `href="`+p.base()+`style.css"`) || (p.every > 0) != strings.Contains(text, "data-live=") {
		w.t.Errorf("%q does not lead to what it needs", row.path)
	}
}

// Each page has its title, its place in the menu and its facts, before the first decision and after some.
func TestPages(t *testing.T) {
	const id = "id000000000000000000000001"
	rows := []pageRow{
		{"", "", 200, "None so far.", 200, `<a href="decision/id000000000000000000000001">`},
		{"clients", "clients", 200, "None.", 200, `<a href="client/203.0.113.6">203.0.113.6</a>`},
		{"clients", "clients?client=203.0.113.0/24", 200, "0 decisions of 0 clients.", 200, "40 decisions of "},
		{"clients", "clients?client=x", 200, `role="alert"`, 200, `role="alert"`},
		{"rules", "rules", 200, "There is no decision yet.", 200, `<a href="rules/helo-localhost">`},
		{"days", "days", 200, "There is no decision yet.", 200, "What would be refused, by day"},
		{"dns", "dns", 200, "192.0.2.53:53", 200, "Unsure by cause"},
		{"whatif", "whatif", 200, "Try it", 200, "Try it"},
		{"decision/{id}", "decision/" + id, 404, "No decision that is kept has this id.", 200, `href="../client/203.0.113.6"`},
		{"decision/{id}", "decision/4Q00001", 404, "No decision", 200, `href="../client/203.0.113.6"`},
		{"client/{address}", "client/203.0.113.6", 404, "No decision that is kept is about", 200, "What it said (HELO)"},
		{"client/{address}", "client/::ffff:203.0.113.6", 404, "No decision", 200, "What it said (HELO)"},
		{"client/{address}", "client/x", 404, "This is no address.", 404, "This is no address."},
		{"rules/{name}", "rules/helo-localhost", 200, "careful", 200, "The last decisions with this rule"},
		{"rules/{name}", "rules/no-rule", 404, "There is no rule of this name.", 404, "There is no rule of this name."},
		{"whatif/{id}", "whatif/x", 404, "This trial is not kept any more.", 404, "This trial is not kept any more."},
	}
	for _, base := range []string{"", logged} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, base).open()
			synctest.Wait()
			for i := range rows {
				rows[i].look(w, rows[i].before, rows[i].empty)
			}
			list := []*checks.Record{w.decide("203.0.113.6", "localhost", "reader@example.net", time.Now())}
			for range 39 {
				list = append(list, w.decide("203.0.113.1", "mail1.example.org", "reader@example.net", time.Now()))
			}
			list[0].Verdict.Want, list[0].Verdict.Rule = "reject", "helo-localhost"
			if base == logged {
				w.keep("", list...)
			}
			w.decided(list...)
			synctest.Wait()
			time.Sleep(2 * reportAge)
			for i := range rows {
				rows[i].look(w, rows[i].after, rows[i].full)
			}
		})
	}
	for i := range pages {
		if !slices.ContainsFunc(rows, func(row pageRow) bool { return row.page == pages[i].path }) {
			t.Errorf("%q has no row", pages[i].path)
		}
	}
}

// An export has all decisions of a filter that are kept, as they are in the log.
func TestExport(t *testing.T) {
	for _, base := range []string{"", logged} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, base).open()
			synctest.Wait()
			list := w.records(200, time.Now(), time.Now().Add(time.Hour))
			time.Sleep(time.Hour)
			if base == logged {
				w.keep("", list...)
			}
			w.decided(list...)
			wanted := slices.DeleteFunc(slices.Clone(list), func(r *checks.Record) bool {
				return r.Client.String() != "203.0.113.3"
			})
			all := w.get("export?format=jsonl&client=203.0.113.3")
			if got, want := all.Body.String(), string(lines(wanted)); got != want {
				t.Error(difference(got, want))
			}
			if kind := all.Header().Get("Content-Disposition"); kind != `attachment; filename="helo-milter-decisions.jsonl"` {
				t.Error(kind)
			}
			for line := range strings.Lines(all.Body.String()) {
				if _, err := new(past.Decoder).Record([]byte(line)); err != nil {
					t.Error(err) // report and replay read it
				}
			}
			rows, err := csv.NewReader(w.get("export?format=csv&client=203.0.113.3").Body).ReadAll()
			if err != nil || len(rows) != len(wanted)+1 || !slices.Equal(rows[0], decisionColumns) || len(wanted) == 0 {
				t.Fatalf("%d rows of %d decisions: %v", len(rows), len(wanted), err)
			}
			for i, r := range wanted {
				row := rows[i+1]
				ptr := "dyn-203-0-113-3.example.com"
				if row[1] != r.ID || row[4] != "203.0.113.3" || row[6] != ptr || row[7] != r.Helo.Raw {
					t.Errorf("%q", row)
				}
			}
		})
	}
}

// What a browser asks, what is decided and what is configured do not disturb each other.
func TestAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, logged).open()
		list := w.records(100, time.Now().Add(-time.Hour), time.Now())
		w.keep("", list[:50]...)
		first, other := w.cfg, w.parse(logged+"profile = \"strict\"\n")
		settings := *w.settings.Load()
		var all sync.WaitGroup
		all.Go(func() {
			for _, r := range list[50:] {
				w.decided(r)
			}
		})
		all.Go(func() {
			for i := range 10 {
				next := settings
				if next.Config = first; i%2 == 1 {
					next.Config = other
				}
				w.Use(&next)
			}
		})
		for _, path := range []string{
			"", "clients", "clients?helo=a", "rules", "days", "dns", "client/203.0.113.1", "decision/x", "export?format=csv",
		} {
			all.Go(func() {
				for range 3 {
					if answer := w.get(path); answer.Code >= 500 {
						t.Errorf("%s: %d", path, answer.Code)
					}
				}
			})
		}
		all.Go(func() { w.listen("events?after=0", "").close() })
		all.Go(func() { w.post("whatif", nil) })
		all.Wait()
		synctest.Wait()
		if got, want := w.evidence().standing().Records, 100; got != want {
			t.Errorf("%d records, want %d", got, want)
		}
	})
}
