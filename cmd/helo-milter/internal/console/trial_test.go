package console

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/html"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/past"
	"helo-milter/cmd/helo-milter/internal/replay"
)

// replayed is what the command replay --recorded-dns prints of files.
func replayed(t *testing.T, cfg *config.Config, from time.Time, files ...string) string {
	t.Helper()
	again, summary := &replay.Replay{Judge: cfg.Judge}, &replay.Summary{}
	source := &past.Source{
		Now: time.Now(), From: from, Seen: past.NewSeen(), Work: func(r *checks.Record) any { return again.Decision(r) },
	}
	for _, file := range files {
		for outcome := range again.All(t.Context(), source.Items(t.Context(), file, past.Unlabelled)) {
			summary.Add(outcome)
		}
	}
	return summary.Text(false)
}

// byID returns the text of an element of a page, or "".
func byID(t *testing.T, page, id string) (text string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && slices.Contains(n.Attr, html.Attribute{Key: "id", Val: id}) {
			for part := range n.Descendants() {
				if part.Type == html.TextNode {
					text += part.Data
				}
			}
		}
	}
	return text
}

// trialOf posts a form, and returns the trial and its page when it has ended.
func (w *world) trialOf(form url.Values) (*trial, string) {
	w.t.Helper()
	answer := w.post("whatif", form)
	if answer.Code != http.StatusSeeOther {
		w.t.Fatalf("%v: %d %s", form, answer.Code, answer.Body)
	}
	synctest.Wait()
	page := w.get(answer.Header().Get("Location"))
	if page.Code != http.StatusOK {
		w.t.Fatalf("%v: %d", form, page.Code)
	}
	return w.trials.all()[0], page.Body.String()
}

// What a trial says is what replay says of the same files.
func TestTrial(t *testing.T) {
	for _, base := range []string{logged, ""} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, base)
			time.Sleep(20 * day)
			now := time.Now()
			list := w.records(150, now.Add(-10*day), now)
			slices.SortFunc(list, func(a, b *checks.Record) int { return a.Time.Compare(b.Time) })
			w.keep(".1", list[:100]...)
			w.keep("", list[100:]...)
			w.keep("", list[90:110]...) // twice: as after a copy
			files := past.Rotated(w.log)
			if base == "" { // the same order, from memory
				text, err := os.ReadFile(w.log)
				if err != nil {
					t.Fatal(err)
				}
				before, err := os.ReadFile(w.log + ".1")
				if err != nil {
					t.Fatal(err)
				}
				if _, err := w.use(w.cfg, "").Write(append(text, before...)); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(w.log+"all", append(text, before...), 0o600); err != nil {
					t.Fatal(err)
				}
				files = []string{w.log + "all"}
			}
			w.open()
			synctest.Wait()
			for _, tt := range []struct {
				story, toml string // on top of the configuration
				form        url.Values
			}{
				{"nothing", "", url.Values{}},
				{"a profile", "profile = \"strict\"\n", url.Values{"profile": {"strict"}}},
				{
					"rules", "[rules]\nhelo-localhost = \"off\"\nhelo-not-fqdn = \"tempfail\"\nptr-missing = \"reject\"\n",
					url.Values{
						"rules.helo-localhost": {"off"}, "rules.ptr-missing": {"reject"}, "rules.helo-not-fqdn": {"tempfail"},
					},
				},
				{
					"thresholds", "[scores]\ntempfail_at = 0.5\nreject_at = 3.0\n",
					url.Values{"tempfail_at": {"0.5"}, "reject_at": {" 3 "}},
				},
				{
					"all of it", "profile = \"careful\"\non_dns_error = \"accept\"\n[rules]\nhelo-malformed = \"tempfail\"\n" +
						"[scores]\nreject_at = 2.0\n",
					url.Values{
						"profile": {"careful"}, "on_dns_error": {"accept"}, "rules.helo-malformed": {"tempfail"}, "reject_at": {"2"},
					},
				},
				{"some days", "", url.Values{"days": {"3"}, "profile": {""}}},
				{"more days than are kept", "", url.Values{"days": {"3000"}}},
			} {
				changed, days := w.parse(base+tt.toml), 30
				if tt.form.Get("days") == "3" {
					days = 3
				}
				one, page := w.trialOf(tt.form)
				want := replayed(t, changed, one.Began.AddDate(0, 0, -days), files...)
				if got := byID(t, page, "replay"); got != want || one.Changes != tt.toml || one.Days != days {
					t.Errorf("%s: with %q of %d days: %s", tt.story, one.Changes, one.Days, difference(got, want))
				}
				if tt.toml != "" && !strings.Contains(want, "refused") {
					t.Errorf("%s: nothing is refused:\n%s", tt.story, want)
				}
			}
			// A whole configuration has nothing of the one in use.
			for _, toml := range []string{"profile = \"strict\"\n", "mode = \"enforce\"\n[rules]\nptr-missing = \"reject\"\n"} {
				one, page := w.trialOf(url.Values{"toml": {toml}, "profile": {"careful"}})
				want := replayed(t, parse(t, toml), one.Began.AddDate(0, 0, -30), files...)
				if got := byID(t, page, "replay"); got != want || !one.Whole {
					t.Errorf("%s: %s", toml, difference(got, want))
				}
			}
			if n := len(w.trials.all()); n != maxTrials {
				t.Errorf("%d trials are kept", n)
			}
		})
	}
}

// running puts a trial there that ends when it is canceled.
func (w *world) running() *trial {
	ctx, cancel := context.WithCancel(context.Background())
	t := &trial{
		ID: "running", Began: time.Now(), Days: 30, state: trialRuns, size: 8, read: 2, cancel: cancel,
		ended: make(chan struct{}),
	}
	if err := w.trials.add(t); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		defer close(t.ended)
		<-ctx.Done()
		t.run(ctx, &replay.Replay{Judge: w.cfg.Judge}, &kept{})
	}()
	return t
}

// There is one trial at a time, which can be canceled.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "").open()
		one := w.running()
		page := w.get("whatif/running").Body.String()
		if !strings.Contains(page, "Reading what is kept: 25 %") || !strings.Contains(page, `http-equiv="refresh"`) {
			t.Errorf("the page of one that is running: %s", page)
		}
		live := w.listen("live/whatif/running", "")
		synctest.Wait()
		busy := w.post("whatif", url.Values{"profile": {"strict"}, "reject_at": {"7.5"}})
		if text := busy.Body.String(); busy.Code != 422 || !strings.Contains(text, errBusy.Error()) ||
			!strings.Contains(text, `value="strict" checked`) || !strings.Contains(text, `value="7.5"`) {
			t.Errorf("another one: %d %s", busy.Code, text)
		}
		answer := w.post("whatif/running/cancel", nil)
		if at := answer.Header().Get("Location"); answer.Code != http.StatusSeeOther || at != "../running" {
			t.Errorf("%d, to %s", answer.Code, at)
		}
		if page := w.get("whatif/running").Body.String(); !strings.Contains(page, "The trial was canceled.") ||
			strings.Contains(page, "refresh") {
			t.Errorf("the page of one that was canceled: %s", page)
		}
		<-live.ended
		if text := live.took(); !strings.Contains(text, "<progress") || !strings.Contains(text, "was canceled") ||
			!strings.HasSuffix(text, "event: end\ndata: end\n\n") {
			t.Errorf("its stream: %s", text)
		}
		if state, _, _, _ := one.standing(); state != trialCanceled {
			t.Error(state)
		}
		w.trialOf(url.Values{"profile": {"strict"}}) // there is room again
		if again := w.post("whatif/running/cancel", nil); again.Code != http.StatusSeeOther {
			t.Errorf("canceled twice: %d", again.Code)
		}
		if gone := w.post("whatif/x/cancel", nil); gone.Code != http.StatusNotFound {
			t.Errorf("none: %d", gone.Code)
		}

		two := w.running()
		w.Close()
		if state, _, _, _ := two.standing(); state != trialCanceled {
			t.Error(state)
		}
		if late := w.post("whatif", url.Values{"profile": {"strict"}}); late.Code != 422 {
			t.Errorf("after the end: %d", late.Code)
		}
	})
}

// A trial that ends in a panic has failed, and the next one may run.
func TestTrialPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "").open()
		synctest.Wait()
		w.decided(w.decide("203.0.113.1", "friend", "reader@example.net", time.Now().Add(-time.Hour)))
		w.panics = 1
		one := &trial{Days: 30}
		if err := w.try(one, &config.Config{Judge: &checks.Judge{}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		page := w.get("whatif/" + one.ID).Body.String()
		if w.panics != 0 || !strings.Contains(page, "ended by an internal error, which is in the log") {
			t.Errorf("%d panics are missing: %s", w.panics, page)
		}
		w.trialOf(url.Values{"profile": {"strict"}})
	})
}

// What is wrong with a form is said with its place, and what was typed stays.
func TestWrongForm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "").open()
		synctest.Wait()
		for _, tt := range []struct {
			form        url.Values
			wrong, kept string
		}{
			{
				url.Values{"toml": {"mode = \"observe\"\nprofile = \"stern\"\n"}},
				"whatif.toml:2:1: profile",
				"mode = &#34;observe&#34;\nprofile = &#34;stern&#34;\n</textarea>",
			},
			{url.Values{"toml": {"[rules\n"}}, "whatif.toml:2:7:", "spellcheck=\"false\">[rules\n</textarea>"},
			{url.Values{"toml": {"colour = 1\n\n[rules]\nno-rule = \"off\"\n"}}, "whatif.toml:4:1:", "no-rule"},
			{url.Values{"profile": {"stern"}}, "whatif.toml:1:1: profile", ""},
			{url.Values{"rules.helo-malformed": {"refuse"}}, "rules.helo-malformed", "<details open>"},
			{url.Values{"tempfail_at": {"much"}, "profile": {"strict"}}, "scores.tempfail_at", `value="much"`},
			{url.Values{"reject_at": {"NaN"}}, "whatif.toml:", `value="NaN"`},
			{url.Values{"reject_at": {"1e400"}, "days": {"9"}}, "whatif.toml:", `max="30" value="9"`},
		} {
			answer := w.post("whatif", tt.form)
			text := answer.Body.String()
			if answer.Code != 422 || !strings.Contains(text, tt.wrong) || !strings.Contains(text, tt.kept) {
				at := strings.Index(text, `role="alert"`)
				t.Errorf("%v: %d %s", tt.form, answer.Code, text[max(at, 0):min(len(text), max(at, 0)+300)])
			}
		}
		if n := len(w.trials.all()); n != 0 {
			t.Errorf("%d trials", n)
		}
	})
}
