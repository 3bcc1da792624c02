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

// What would be refused has a scale of its own, and what is unsure stands beside it.
func TestRefusedChart(t *testing.T) {
	s := &Section{DNS: "live", Refused: 4, Trend: []Span{
		{From: "2026-11-01", Days: 1, Judged: 1000, Refused: 4, Unsure: 2},
		{From: "2026-11-02", Days: 1, Judged: 1000, Unsure: 8},
	}}
	got := fmt.Sprint(s.RefusedChart().Note, s.RefusedChart().Bars)
	const want = "What would be refused by day, highest 8[" +
		"{1 60 5 60 refused 2026-11-01: 4 would be refused, 2 unsure} " +
		"{6 90 5 30 unsure 2026-11-01: 4 would be refused, 2 unsure} " +
		"{18 0 5 120 unsure 2026-11-02: 0 would be refused, 8 unsure}]"
	if got != want {
		t.Errorf("%s, want %s", got, want)
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
