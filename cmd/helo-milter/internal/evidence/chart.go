package evidence

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Chart is a bar chart: a picture with a title and a description in words, or a list of rows with a picture each.
type Chart struct {
	ID, Title, Desc string
	Note            string // the text of its caption
	Keys            []Key  // and what it says of colours
	Width, Height   int
	Bars            []Bar
	Rows            []Row // if any, there are no Bars
}

// Key says what the bars of a kind count.
type Key struct{ Kind, Name string }

// Row is a bar from left to right, and what stands beside it.
type Row struct {
	Name, Figure string
	Bar          Chart
}

// Bar is a rectangle of a chart, in its coordinates.
type Bar struct {
	X, Y, W, H  float64
	Kind, Label string
}

// DaysChart returns a chart of all transactions in the period.
func (s *Section) DaysChart() Chart {
	const height = 120
	c := s.columns("days", "Transactions", height)
	top := s.highest()
	c.Note = fmt.Sprintf("%s to %s, highest %s", s.From.Format(time.DateOnly), s.To.Format(time.DateOnly), Group(top))
	c.Keys = []Key{{"refused", "would be refused"}, {"judged", "judged"}, {"exempt", "exempt"}}
	c.Desc = fmt.Sprintf("%d columns from %s on; the highest has %s transactions. %s were exempt, "+
		"%s were judged, and %s of these would have been refused.", len(s.Trend), s.Trend[0].From, Group(top),
		Group(s.Transactions-s.Judged), Group(s.Judged), Group(s.Refused))
	for i, span := range s.Trend {
		label := fmt.Sprintf("%s: %s judged, %s would be refused, %s exempt",
			span.From, Group(span.Judged), Group(span.Refused), Group(span.Exempt))
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

// columns returns a chart without bars, of columns by day that are 12 units apart.
func (s *Section) columns(id, title string, height int) Chart {
	by := " by day"
	if s.Trend[0].Days > 1 {
		by = fmt.Sprintf(", %d days per column", s.Trend[0].Days)
	}
	return Chart{ID: s.DNS + "-" + id, Title: title + by, Width: 12 * len(s.Trend), Height: height}
}

// highest returns the number of transactions of the highest column.
func (s *Section) highest() int {
	top := 1
	for _, span := range s.Trend {
		top = max(top, span.Exempt+span.Judged)
	}
	return top
}

// RefusedChart returns a chart of the transactions that would be refused, which are invisible beside all mail, and
// of those with unsure rules; but not of what was only not recorded. It may have no bars.
func (s *Section) RefusedChart() Chart {
	const height, least = 120, 2 // so that one of many can be seen
	c := s.columns("refused", "What would be refused", height)
	c.Keys = []Key{{"refused", "would be refused"}, {"unsure", "with unsure rules"}}
	if s.DNS == recorded {
		c.Keys = c.Keys[:1]
	}
	top, total := 1, Span{Refused: s.Refused, Unsure: s.Trouble.Unsure}
	figures := func(span Span) []int { return []int{span.Refused, span.Unsure}[:len(c.Keys)] }
	for _, span := range s.Trend {
		top = max(top, slices.Max(figures(span)))
	}
	c.Note = fmt.Sprintf("%s, highest %s", c.Title, Group(top))
	c.Desc = fmt.Sprintf("%d columns from %s on; the highest bar is %s. Transactions:", len(s.Trend), s.Trend[0].From,
		Group(top))
	for j, n := range figures(total) {
		c.Desc += strings.Repeat(",", j) + " " + Group(n) + " " + c.Keys[j].Name
	}
	c.Desc += "."
	for i, span := range s.Trend {
		for j, n := range figures(span) {
			if n == 0 {
				continue
			}
			h := max(float64(height*n)/float64(top), least)
			label := fmt.Sprintf("%s: %s %s", span.From, Group(n), c.Keys[j].Name)
			c.Bars = append(c.Bars, Bar{float64(12*i+5*j) + 1, height - h, 5, h, c.Keys[j].Kind, label})
		}
	}
	return c
}

// CausesChart returns a chart of the causes with the most transactions.
func (s *Section) CausesChart() Chart {
	const most = 12
	shown := s.Causes[:min(len(s.Causes), most)]
	c := Chart{
		ID: s.DNS + "-causes", Title: "Unsure by cause",
		Note: "Unsure by cause: transactions, each once for each of its causes, and their share of the judged",
		Desc: fmt.Sprintf("%d of %s.", len(shown), Plural(len(s.Causes), "cause")),
	}
	for _, cause := range shown {
		figure := Group(cause.Count) + ", " + percent(cause.Count, s.Judged)
		c.row("unsure", cause.String(), figure, cause.Count, shown[0].Count)
	}
	return c
}

// GoodByRule returns a chart of the legitimate-looking clients that each rule hits: the rules with the most.
func (s *Section) GoodByRule() Chart {
	const most = 15
	rungs := slices.DeleteFunc(slices.Clone(s.Ladder), func(r Rung) bool { return r.Good.Hit == 0 })
	slices.SortStableFunc(rungs, func(a, b Rung) int { return b.Good.Hit - a.Good.Hit })
	shown := rungs[:min(len(rungs), most)]
	c := Chart{
		ID: s.DNS + "-good", Title: "Legitimate-looking clients hit, by rule",
		Note: "Legitimate-looking clients that each rule hits, of those that it could have hit",
		Desc: fmt.Sprintf("%d of %s.", len(shown), Plural(len(rungs), "rule")),
	}
	for _, r := range shown {
		figure := Group(r.Good.Hit) + " of " + Group(r.Good.Of)
		c.row("refused", r.Rule, figure, r.Good.Hit, shown[0].Good.Hit)
	}
	return c
}

// row adds a row for n of the most that a row has.
func (c *Chart) row(kind, name, figure string, n, most int) {
	const wide, height = 200, 8
	bar := Bar{0, 0, wide * float64(n) / float64(most), height, kind, name + " " + figure}
	c.Rows = append(c.Rows, Row{name, figure, Chart{
		ID: fmt.Sprintf("%s-%d", c.ID, len(c.Rows)), Title: name, Desc: figure + ".", Width: wide, Height: height,
		Bars: []Bar{{0, 0, wide, height, "track", ""}, bar},
	}})
}

// TrendChart returns a chart of a rule's hits over the period.
func (s *Section) TrendChart(r RuleSummary) Chart {
	const height = 24
	top := max(1, slices.Max(r.Trend))
	c := Chart{
		ID: s.DNS + "-trend-" + r.Rule, Title: "Trend of " + r.Rule, Width: 6 * len(r.Trend), Height: height,
		Desc: fmt.Sprintf("%s in the period, at most %s per column.", Plural(r.Hits, "hit"), Group(top)),
	}
	for i, n := range r.Trend {
		h := max(float64(height*n)/float64(top), 1)
		c.Bars = append(c.Bars, Bar{
			float64(6 * i), height - h, 5, h, map[bool]string{true: "judged", false: "none"}[n > 0],
			fmt.Sprintf("%s: %s", s.Trend[i].From, Plural(n, "hit")),
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
