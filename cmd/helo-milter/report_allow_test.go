package main

import (
	"encoding/json"
	"fmt"
	"html"
	"slices"
	"strings"
	"testing"
	"time"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/evidence"
)

// mended has entries of each kind for the clients of onProbation, and one for nobody there.
const mended = `
[[allow]]
network = "192.0.2.0/24"
name = ".example.org"
until = "mended"
reason = "they move to a new name; ask ünal"
[[allow]]
network = "203.0.113.64/26"
until = "mended"
[[allow]]
network = "203.0.113.128/26"
until = "mended"
[[allow]]
network = "198.51.100.0/24"
until = "mended"
[[allow]]
name = "mail.example.net"
until = "mended"
[[allow]]
network = "192.0.2.0/24"
`

// onProbation are clients without a fault, with only some, with one and then none, and with few sessions.
var onProbation = []crowd{
	{2, 16, "192.0.2.0", "mail%d.example.org", "mail%d.example.org", "allow", ""},
	{1, 16, "203.0.113.64", "198.51.100.9", "", "allow", ""},
	{1, 4, "203.0.113.128", "198.51.100.9", "", "", ""}, // before it was on the list
	{1, 16, "203.0.113.129", "mail%d.example.com", "mail%d.example.com", "allow", ""},
	{1, 3, "198.51.100.0", "mail%d.example.com", "mail%d.example.com", "allow", ""},
	{1, 16, "198.51.100.9", "198.51.100.9", "", "authenticated", ""},
	{1, 16, "203.0.113.128", "198.51.100.9", "", "", "now ham"}, // as it would be today
	{1, 1, "2001:db8::1", "friend", "", "", ""},                 // of no entry
}

// wantAllowed is what becomes of each entry.
var wantAllowed = []string{
	"192.0.2.0/24 .example.org (they move to a new name; ask ?nal) | not needed any more: 32 sessions without a fault " +
		"since 2026-11-01.",
	"203.0.113.64/26 | needed: the last fault was on 2026-11-16.",
	"203.0.113.128/26 | needed: the last fault was on 2026-11-04; 12 sessions without a fault since 2026-11-05, and " +
		"it takes 14 days and 5 sessions.",
	"198.51.100.0/24 | open: 3 sessions without a fault since 2026-11-01; it takes 14 days and 5 sessions.",
	"mail.example.net | no session that says something about it.",
}

// probationLog is a decision log of these clients, each with a session of its own a day.
func probationLog(t *testing.T) []*checks.Record {
	t.Helper()
	var list []*checks.Record
	for _, c := range onProbation {
		for _, r := range c.records(checks.NewPolicy(checks.Careful)) {
			r.ID = fmt.Sprint("session", len(list))
			list = append(list, r)
		}
	}
	return list
}

// Entries until "mended" are in each form of the report.
func TestReportAllow(t *testing.T) {
	var log strings.Builder
	records := probationLog(t)
	slices.Reverse(records) // as of rotated logs, the latest first
	for _, r := range records {
		fmt.Fprintln(&log, r)
	}
	t.Chdir(t.TempDir())
	writeFile(t, "decisions.jsonl", log.String())
	writeFile(t, "helo-milter.toml", mended)
	args := []string{"--config=helo-milter.toml", "decisions.jsonl"}
	text, _ := report(t, exitDone, args...)
	_, text, _ = strings.Cut(text, "\nALLOW ENTRIES UNTIL MENDED\n")
	for _, want := range wantAllowed {
		title, standing, _ := strings.Cut(want, " | ")
		if got := strings.Join(strings.Fields(text), " "); !strings.Contains(got, title+" "+standing) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	page, _ := report(t, exitDone, append(args, "--html")...)
	page = html.UnescapeString(page)
	for _, want := range wantAllowed {
		title, standing, _ := strings.Cut(want, " | ")
		if !strings.Contains(page, `">`+title+"<br>\n<span class=\"soft small\">"+standing+"</span>") {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
	if got := strings.Count(page, `<p class="card answer ready">192.0.2.0/24`); got != 1 {
		t.Errorf("%d are marked as not needed", got)
	}
	figures, _ := report(t, exitDone, append(args, "--json")...)
	var got evidence.Report
	if err := json.Unmarshal([]byte(figures), &got); err != nil {
		t.Fatal(err)
	}
	for i := range got.Allow {
		if a := &got.Allow[i]; a.Title()+" | "+a.Standing() != wantAllowed[i] {
			t.Errorf("%+v, want %s", a, wantAllowed[i])
		}
	}
	if len(got.Allow) != len(wantAllowed) || strings.Contains(figures, "0001-01-01") {
		t.Errorf("%d entries in\n%s", len(got.Allow), figures)
	}
	if without, _ := report(t, exitDone, "decisions.jsonl"); strings.Contains(without, "ALLOW ENTRIES") {
		t.Errorf("without an entry:\n%s", without)
	}
}

// The letter has those that are not needed any more: 14 days after the first session, even if no mail came since.
func TestLetterAllow(t *testing.T) {
	cfg, err := config.Parse("letter", []byte(mended))
	if err != nil {
		t.Fatal(err)
	}
	for days, want := range map[int]string{
		13: "",
		14: "192.0.2.0/24 .example.org (they move to a new name; ask ?nal)",
		18: "192.0.2.0/24 .example.org (they move to a new name; ask ?nal) | 203.0.113.128/26",
		90: "192.0.2.0/24 .example.org (they move to a new name; ask ?nal) | 203.0.113.128/26",
	} {
		now, tally := time.Date(2026, 11, 1+days, 9, 0, 0, 0, time.UTC), evidence.New(cfg.Judge, cfg.Actions)
		tally.Compare(now)
		for _, r := range probationLog(t) {
			if r.Time.Before(now) {
				tally.Add(r)
			}
		}
		letter := evidence.Letter{Host: "mx.example.net", Now: now, Allow: cfg.Ending(now)}
		_, text := letter.Write(tally.Report(0, 0))
		_, list, _ := strings.Cut(text, "\nALLOW ENTRIES\n")
		list, _, _ = strings.Cut(list, "\n\n")
		var got []string
		for line := range strings.Lines(list) {
			if len(line) > 77 {
				t.Errorf("%q is too long", line)
			}
		}
		for entry := range strings.SplitSeq(strings.Join(strings.Fields(list), " "), ". ") {
			if title, standing, _ := strings.Cut(entry, ": "); strings.HasPrefix(standing, "not needed any more: ") {
				got = append(got, title)
			}
		}
		if strings.Join(got, " | ") != want || want == "" && list != "" {
			t.Errorf("after %d days: %q, want %q in\n%s", days, got, want, text)
		}
	}
}
