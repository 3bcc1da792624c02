package console

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/evidence"
)

const day = 24 * time.Hour

// evident is the report on records under a configuration, the broken lines not counted.
func evident(t *testing.T, cfg *config.Config, list ...*checks.Record) string {
	t.Helper()
	tally := evidence.New(cfg.Judge, cfg.Actions)
	for _, r := range list {
		tally.Add(r)
	}
	return reportText(t, tally.Report(0, 0))
}

func reportText(t *testing.T, r *evidence.Report) string {
	t.Helper()
	for i := range r.Sections {
		r.Sections[i].Rules = slices.Clone(r.Sections[i].Rules)
		for j := range r.Sections[i].Rules {
			r.Sections[i].Rules[j].Examples = nil // the first ones: of the latest file, which is read first
		}
	}
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// shows fails unless the console's evidence is that of these records, each once.
func (w *world) shows(story string, list ...*checks.Record) {
	w.t.Helper()
	synctest.Wait()
	time.Sleep(2 * reportAge)
	report := w.evidence().copy()
	report.Broken = 0
	if got, want := reportText(w.t, report), evident(w.t, w.cfg, list...); got != want {
		w.t.Errorf("%s: %s", story, difference(got, want))
	}
	if n := w.evidence().standing().Records; n != len(list) {
		w.t.Errorf("%s: %d records, want %d", story, n, len(list))
	}
}

// copy is the report, to be modified.
func (g *growth) copy() *evidence.Report {
	report := *g.reported()
	report.Sections = slices.Clone(report.Sections)
	return &report
}

// difference is the first lines that differ.
func difference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	part := func(list []string) string { return strings.Join(list[max(0, i-3):min(len(list), i+4)], "\n") }
	return "got\n" + part(a) + "\nwant\n" + part(b)
}

// compressed makes a file a compressed one.
func (w *world) compressed(ending string) {
	w.t.Helper()
	text, err := os.ReadFile(w.log + ending)
	if err != nil {
		w.t.Fatal(err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(text); err != nil || z.Close() != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.log+ending+".gz", b.Bytes(), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Remove(w.log + ending); err != nil {
		w.t.Fatal(err)
	}
}

// The evidence is that of the decision log, with the files that were rotated, and of what is decided meanwhile and later:
// each decision once, in whatever order they come.
func TestGrowth(t *testing.T) {
	for seed := range uint64(6) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, logged)
			w.random.Shuffle(int(seed), func(_, _ int) {})
			now := time.Now()
			old := w.records(10, now.Add(-40*day), now.Add(-keptTime))
			ago := w.records(60, now.Add(-29*day), now.Add(-6*day))
			week := w.records(60, now.Add(-6*day), now.Add(-day))
			today := w.records(60, now.Add(-day), now)
			open := w.records(12, now.Add(-time.Hour), now) // sessions that are decided after the start
			later := w.records(30, now, now.Add(time.Hour))
			w.keep(".2", append(slices.Clone(old), ago...)...)
			w.compressed(".2")
			w.keep(".1", week...)
			w.keep("", today...)
			w.keep("", open[:6]...) // the log has these already when it is read, and the console gets them, too
			w.open()
			live := append(slices.Clone(open), later...)
			w.random.Shuffle(len(live), func(i, j int) { live[i], live[j] = live[j], live[i] })
			for i, r := range live {
				if i == int(seed)*len(live)/5 {
					synctest.Wait() // the reading has ended
				}
				if !slices.Contains(open[:6], r) {
					w.keep("", r) // which is read or not
				}
				w.decided(r)
			}
			w.shows("all", slices.Concat(ago, week, today, open, later)...)
			if g := w.evidence().standing(); g.Reading || g.Share != 1 || g.Broken != 0 {
				t.Errorf("%+v", g)
			}
		})
	}
}

// While the decisions are judged again, the figures are those from before, and the page says so.
func TestAgain(t *testing.T) {
	for _, toml := range []string{"", logged} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, toml+"profile = \"careful\"\n").open()
			synctest.Wait()
			list := w.records(100, time.Now(), time.Now().Add(time.Hour))
			time.Sleep(time.Hour)
			if toml == logged {
				w.keep("", list...)
			}
			w.decided(list...)
			w.shows("careful", list...)
			before := reportText(t, w.evidence().copy())

			shown := w.evidence()
			w.use(w.parse(toml+"profile = \"strict\"\n"), "")
			if w.evidence() == shown && reportText(t, shown.copy()) != before {
				t.Error("the figures change before all is read")
			}
			last := w.record(time.Now()) // to both
			if list = append(list, last); toml == logged {
				w.keep("", last)
			}
			w.decided(last)
			w.shows("strict", list...)
			if w.evidence() == shown || reportText(t, w.evidence().copy()) == before {
				t.Error("nothing was judged again")
			}

			// The same configuration, and one more that is never read to the end.
			shown = w.evidence()
			w.use(w.parse(toml+"profile = \"strict\"\n# the same\n"), "")
			synctest.Wait()
			if w.evidence() != shown {
				t.Error("the same configuration was judged again")
			}
			w.mu.Lock()
			w.next = &growth{reading: true, size: 200, read: 50}
			w.mu.Unlock()
			if page := w.get("rules").Body.String(); !strings.Contains(page, "judged again, 25 % so far") {
				t.Error("the page does not say that the figures are from before")
			}
			w.mu.Lock()
			w.next = nil
			w.mu.Unlock()
		})
	}
}

// A growth that is replaced before it has ended is not shown.
func TestAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, logged)
		list := w.records(200, time.Now().Add(-day), time.Now())
		w.keep("", list...)
		for i := range 12 {
			profile := []string{"careful", "standard", "strict"}[i%3]
			w.use(w.parse(logged+"profile = \""+profile+"\"\n"), "")
		}
		w.shows("the last one", list...)
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.next != nil {
			t.Error("one is left")
		}
	})
}

// After a day, the log is read again: what is older than thirty days is left out.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, logged)
		now := time.Now()
		old := w.records(20, now.Add(-keptTime), now.Add(-keptTime+renewal))
		young := w.records(20, now.Add(-keptTime+renewal+2*time.Hour), now)
		w.keep("", append(slices.Clone(old), young...)...)
		w.open()
		w.shows("at the start", append(slices.Clone(old), young...)...)
		time.Sleep(renewal / 2)
		both := func() *checks.Record {
			r := w.record(time.Now())
			w.keep("", r)
			w.decided(r)
			return r
		}
		list := append(slices.Clone(young), both())
		w.shows("after half a day", append(slices.Clone(old), list...)...)
		time.Sleep(renewal/2 + time.Hour)
		list = append(list, both())
		w.shows("after a day", list...)
		list = append(list, both())
		w.shows("then", list...)

		// The one that has the log read again comes to it later.
		time.Sleep(renewal + time.Hour)
		list = append(list, w.record(time.Now()))
		w.decided(list[len(list)-1])
		synctest.Wait()
		w.keep("", list[len(list)-1])
		list = append(list, both())
		list = slices.DeleteFunc(list, func(r *checks.Record) bool { return r.Time.Before(time.Now().Add(-keptTime)) })
		w.shows("after two days", list...)
	})
}

// Lines that cannot be read are counted, and a log that cannot be read at all is no end.
func TestBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, logged)
		list := w.records(5, time.Now().Add(-day), time.Now())
		w.keep("", list...)
		if err := os.WriteFile(w.log+".1", []byte("no record\n{}\n\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(w.log+".2.gz", []byte("no gzip"), 0o600); err != nil {
			t.Fatal(err)
		}
		w.open()
		w.shows("what can be read", list...)
		if n := w.evidence().standing().Broken; n != 3 {
			t.Errorf("%d lines and files are broken, want 3", n)
		}
		if page := w.get("days").Body.String(); !strings.Contains(page, "3 lines of the decision log could not be read") {
			t.Error("the page does not say so")
		}
	})
}

// What is in memory is bounded in bytes, whatever a line has.
func TestRecent(t *testing.T) {
	var r recent
	one := line{"mx1.example.net", make([]byte, 1<<20)}
	for i := range 18 {
		if n := r.add(one); n != uint64(i+1) {
			t.Fatalf("line %d has the number %d", i+1, n)
		}
		lines, size := r.size()
		if all, last := r.all(); size > maxRecent || size != lines<<20 || len(all) != lines || last != uint64(i+1) {
			t.Fatalf("%d lines, %d bytes, the last one is %d", lines, size, last)
		}
	}
	if lines, _ := r.size(); lines != maxRecent>>20 {
		t.Errorf("%d lines are left", lines)
	}
	if r.add(line{text: make([]byte, maxRecent+1)}); len(r.past()) != 1 {
		t.Error("not the last line alone")
	}
	r.before([]line{{text: []byte("earlier")}})
	if all := r.past(); len(all) != 2 || string(all[0].text) != "earlier" {
		t.Errorf("%d lines with those from before the start", len(all))
	}
}

// Of a log, the first page has the last decisions from before the start, and each once.
func TestRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, logged)
		list := w.records(30, time.Now().Add(-day), time.Now())
		w.keep("", list...)
		w.open()
		synctest.Wait()
		w.decided(list[29]) // it was written to the log first
		page := w.get("")
		if n := strings.Count(page.Body.String(), `<tr id="d-`); page.Code != http.StatusOK || n != 30 {
			t.Errorf("%d, %d rows", page.Code, n)
		}
		if lines := endOf(w.log + ".gone"); lines != nil {
			t.Errorf("%d lines of no file", len(lines))
		}
		if err := os.WriteFile(w.log, append(bytes.Repeat([]byte{'x'}, maxEarlier), "\nlast\n"...), 0o600); err != nil {
			t.Fatal(err)
		}
		if lines := endOf(w.log); len(lines) != 1 || string(lines[0].text) != "last" {
			t.Errorf("%d lines of the end of a file", len(lines))
		}
	})
}
