package evidence

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"helo-milter/checks"
)

// The report and the letter say of an entry until "mended" that it is not needed any more, after 14 days and 5 sessions
// without a fault, and the report says why one is.
func TestAllowMended(t *testing.T) {
	for _, tt := range []struct {
		days   []int // of November on which the client came
		faults []int // of these
		want   string
		letter bool
	}{
		{[]int{1, 4, 8, 12, 15}, nil, "not needed any more: 5 sessions without a fault since 2026-11-01.", true},
		{[]int{1, 4, 8, 15}, nil, "open: 4 sessions without a fault since 2026-11-01; it takes 14 days and 5 sessions.", false},
		{[]int{2, 4, 8, 12, 15}, nil, "open: 5 sessions without a fault since 2026-11-02", false},
		{
			[]int{1, 4, 8, 12, 15},
			[]int{4},
			"needed: the last fault was on 2026-11-04; 3 sessions without a fault since 2026-11-08", false,
		},
		{[]int{1, 4}, []int{1, 4}, "needed: the last fault was on 2026-11-04.", false},
		{nil, nil, "no session that says something about it.", false},
	} {
		judge := &checks.Judge{Exempt: &checks.Exemptions{}, Policy: checks.NewPolicy(checks.Careful)}
		network := netip.MustParsePrefix("203.0.113.0/24")
		judge.Exempt.Allow(checks.Allow{Network: network, Mended: true, Reason: "they know"})
		tally := New(judge, make([]*checks.Action, len(checks.All)))
		tally.Compare(time.Date(2026, 11, 15, 12, 0, 0, 0, time.UTC))
		client := netip.MustParseAddr("203.0.113.9")
		for _, day := range tt.days {
			helo := "mail.example.org"
			for _, fault := range tt.faults {
				if fault == day {
					helo = "203.0.113.9"
				}
			}
			at := time.Date(2026, 11, day, 8, 0, 0, 0, time.UTC)
			tally.Add(&checks.Record{
				ID: at.String(), Time: at, Client: client, Exempt: checks.AllowList, Facts: facts(client, helo, "named"),
			})
		}
		report := tally.Report(0, 0)
		if text := report.Text(); !strings.Contains(text, "203.0.113.0/24 (they know)\n    "+tt.want) {
			t.Errorf("%v, faults %v: want %s\n%s", tt.days, tt.faults, tt.want, text)
		}
		letter := Letter{Host: "mx.example.net", Now: time.Date(2026, 11, 15, 12, 0, 0, 0, time.UTC)}
		if _, text := letter.Write(report); strings.Contains(text, "not needed any more") != tt.letter {
			t.Errorf("%v, faults %v: the letter says\n%s", tt.days, tt.faults, text)
		}
	}
}
