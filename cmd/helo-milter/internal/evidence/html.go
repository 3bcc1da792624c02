package evidence

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"helo-milter/checks"
)

//go:embed report.html
var page string

// HTML returns the report as a self-contained HTML page without scripts.
func (r *Report) HTML() string {
	t := template.Must(template.New("report").Funcs(template.FuncMap{
		"date":    func(t time.Time) string { return t.Format(time.DateOnly) },
		"minute":  func(t time.Time) string { return t.Format(minute) },
		"group":   group,
		"plural":  plural,
		"percent": percent,
		"doc":     func(rule string) string { return checks.All[checks.Index(rule)].Doc },
		"caveat":  func() string { return caveat },
		"rows":    HostRows,
		"note":    func() string { return hostNote },
		"allow":   func() string { return allowHeading },
	}).Parse(page))
	var b strings.Builder
	if err := t.Execute(&b, r); err != nil {
		panic(err) // a bug in the template: no data can cause it
	}
	return b.String()
}

// JSON returns the report for programs.
func (r *Report) JSON() string {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(text) + "\n"
}

// Chart is a bar chart, with a title and a description in words.
type Chart struct {
	ID, Title, Desc string
	Width, Height   int
	Bars            []Bar
}

// Bar is a rectangle of a chart, in its coordinates.
type Bar struct {
	X, Y, W, H  float64
	Kind, Label string
}

// DaysChart returns a chart of all transactions in the period.
func (s *Section) DaysChart() Chart {
	const height = 120
	c := Chart{ID: s.DNS + "-days", Title: "Transactions by day", Width: 12 * len(s.Trend), Height: height}
	if s.Trend[0].Days > 1 {
		c.Title = fmt.Sprintf("Transactions, %d days per column", s.Trend[0].Days)
	}
	top := s.Highest()
	c.Desc = fmt.Sprintf("%d columns from %s on; the highest has %s transactions. %s were exempt, "+
		"%s were judged, and %s of these would have been refused.", len(s.Trend), s.Trend[0].From, group(top),
		group(s.Transactions-s.Judged), group(s.Judged), group(s.Refused))
	for i, span := range s.Trend {
		label := fmt.Sprintf("%s: %s judged, %s would be refused, %s exempt",
			span.From, group(span.Judged), group(span.Refused), group(span.Exempt))
		y := float64(height)
		for _, part := range []struct {
			kind string
			n    int
		}{{"refused", span.Refused}, {"judged", span.Judged - span.Refused}, {"exempt", span.Exempt}} {
			h := float64(height*part.n) / float64(top)
			y -= h
			if part.n > 0 {
				c.Bars = append(c.Bars, Bar{float64(12*i) + 1, y, 10, h, part.kind, label})
			}
		}
	}
	return c
}

// Highest returns the number of transactions of the highest column.
func (s *Section) Highest() int {
	top := 1
	for _, span := range s.Trend {
		top = max(top, span.Exempt+span.Judged)
	}
	return top
}

// TrendChart returns a chart of a rule's hits over the period.
func (s *Section) TrendChart(r RuleSummary) Chart {
	const height = 24
	top := max(1, slices.Max(r.Trend))
	c := Chart{
		ID: s.DNS + "-trend-" + r.Rule, Title: "Trend of " + r.Rule, Width: 6 * len(r.Trend), Height: height,
		Desc: fmt.Sprintf("%s in the period, at most %s per column.", plural(r.Hits, "hit"), group(top)),
	}
	for i, n := range r.Trend {
		h := max(float64(height*n)/float64(top), 1)
		c.Bars = append(c.Bars, Bar{
			float64(6 * i), height - h, 5, h, map[bool]string{true: "judged", false: "none"}[n > 0],
			fmt.Sprintf("%s: %s", s.Trend[i].From, plural(n, "hit")),
		})
	}
	return c
}

// GoodChart and AllChart show a rung's shares with the ends of their intervals.
func (s *Section) GoodChart(rung Rung) Chart { return s.share(rung, "legitimate-looking", rung.Good) }

// AllChart is about all judged clients.
func (s *Section) AllChart(rung Rung) Chart { return s.share(rung, "judged", rung.All) }

func (s *Section) share(rung Rung, who string, share Share) Chart {
	const wide = 200
	hit := float64(share.Hit) / float64(max(share.Of, 1))
	return Chart{
		ID:    s.DNS + "-" + who + "-" + rung.Rule,
		Title: fmt.Sprintf("Share of %s clients that %s hits", who, rung.Rule),
		Desc:  share.String() + ".",
		Width: wide, Height: 8,
		Bars: []Bar{
			{0, 0, wide, 8, "track", ""},
			{0, 0, wide * share.AtMost, 8, "bound", ""},
			{0, 0, wide * hit, 8, "hit-" + who, ""},
		},
	}
}
