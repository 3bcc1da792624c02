package evidence

import (
	"fmt"
	"html/template"
	"strings"
	"testing"

	"helo-milter/checks"
)

// The charts that are lists have the largest figures first, and not too many rows.
func TestRows(t *testing.T) {
	s := &Section{DNS: "live", Judged: 400}
	for i := range 20 {
		s.Causes = append(s.Causes, Cause{"PTR", fmt.Sprint("cause ", i), 100 - i})
		s.Ladder = append(s.Ladder, Rung{Rule: checks.All[i].Name, Good: Share{Hit: i % 18, Of: 1000}})
	}
	for _, tt := range []struct {
		chart             Chart
		rows              int
		desc, first, last string
	}{
		{
			s.CausesChart(), 12, "12 of 20 causes.",
			"PTR: cause 0 100, 25.0 % 200", "PTR: cause 11 89, 22.2 % 178",
		},
		{
			s.GoodByRule(), 15, "15 of 18 rules.",
			checks.All[17].Name + " 17 of 1,000 200", checks.All[3].Name + " 3 of 1,000 35",
		},
		{(&Section{}).CausesChart(), 0, "0 of 0 causes.", "", ""},
		{(&Section{}).GoodByRule(), 0, "0 of 0 rules.", "", ""},
	} {
		c := tt.chart
		if len(c.Rows) != tt.rows || c.Desc != tt.desc || c.Title == "" || c.Note == "" {
			t.Errorf("%s: %d rows, %s", c.Title, len(c.Rows), c.Desc)
		}
		for i, want := range map[int]string{0: tt.first, tt.rows - 1: tt.last} {
			if tt.rows == 0 {
				continue
			}
			r := c.Rows[i]
			if got := fmt.Sprintf("%s %s %.0f", r.Name, r.Figure, r.Bar.Bars[1].W); got != want {
				t.Errorf("%s: %q, want %q", c.Title, got, want)
			}
		}
	}
}

// What would be refused has a scale of its own, and what is unsure stands beside it: but not what a host only did
// not record.
func TestRefusedChart(t *testing.T) {
	s := &Section{Refused: 4, Trouble: Trouble{Unsure: 1010}, Trend: []Span{
		{From: "2026-11-01", Days: 1, Judged: 2000, Refused: 4, Unsure: 10},
		{From: "2026-11-02", Days: 1, Judged: 2000, Unsure: 1000},
	}}
	for dns, want := range map[string]string{
		"live": "2 columns from 2026-11-01 on; the highest bar is 1,000. Transactions: 4 would be refused, " +
			"1,010 with unsure rules. [" +
			"{1 118 5 2 refused 2026-11-01: 4 would be refused} " +
			"{6 118 5 2 unsure 2026-11-01: 10 with unsure rules} " +
			"{18 0 5 120 unsure 2026-11-02: 1,000 with unsure rules}]",
		recorded: "2 columns from 2026-11-01 on; the highest bar is 4. Transactions: 4 would be refused. [" +
			"{1 0 5 120 refused 2026-11-01: 4 would be refused}]",
	} {
		s.DNS = dns
		c := s.RefusedChart()
		if got := fmt.Sprint(c.Desc, " ", c.Bars); got != want {
			t.Errorf("%s:\n%s, want\n%s", dns, got, want)
		}
	}
}

// Another page can show the charts, too: of no row it shows nothing.
func TestChartTemplates(t *testing.T) {
	page := template.Must(template.New("page").Funcs(Funcs()).Parse(Charts()))
	template.Must(page.Parse(`{{template "chart" .GoodByRule}}
		{{with .CausesChart}}{{template "chart" .}}{{template "caption" .}}{{end}}`))
	var b strings.Builder
	s := &Section{DNS: "live", Judged: 3, Causes: []Cause{{"PTR", "timeout", 3}}}
	if err := page.Execute(&b, s); err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]int{"<svg": 1, "<li>": 1, "<figcaption>": 1, "style=": 0} {
		if n := strings.Count(b.String(), what); n != want {
			t.Errorf("%d times %s, want %d: %s", n, what, want, &b)
		}
	}
}
