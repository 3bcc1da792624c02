package console

import (
	"fmt"
	"net/http"
	"time"

	"helo-milter/checks/clean"
	"helo-milter/cmd/helo-milter/internal/evidence"
	"helo-milter/cmd/helo-milter/internal/lookups"
)

// dnsView is what the DNS servers did.
type dnsView struct {
	fine
	lookups.Snapshot
	Asked    []string // the servers of the configuration
	Unsure   *daysView
	Servers  table
	Failures table
	Hours    table
	Periods  table
	Zones    table
}

func (v *dnsView) template() string { return "dns" }
func (v *dnsView) tables() []*table {
	return []*table{&v.Servers, &v.Failures, &v.Hours, &v.Periods, &v.Zones, &v.Unsure.Causes}
}

func (c *Console) dns(*http.Request) (view, error) {
	s := c.settings.Load()
	v := &dnsView{Snapshot: s.Lookups(), Asked: s.Servers(), Unsure: &daysView{Section: c.section()}}
	if v.Unsure.Section != nil {
		v.Unsure.Causes = causes(v.Unsure.Section)
	}
	v.Servers, v.Failures, v.Hours = v.servers(), v.failures(), v.hours()
	v.Periods, v.Zones = v.periods(), v.zones()
	return v, nil
}

func (v *dnsView) servers() table {
	t := table{Name: "servers", Title: "Servers", Columns: []column{
		{"server", "Server", "mono"},
		{"tries", "Tries", "n"},
		{"answered", "Answered", "n"},
		{"failed", "Failed", "n"},
		{"median_ms", "Median, ms", "n"},
		{"p95_ms", "95 %, ms", "n"},
		{"last_failure", "Last failure, UTC", ""},
	}}
	for i := range v.Snapshot.Servers {
		one := &v.Snapshot.Servers[i]
		failed := number(one.Tries - one.Answered)
		last := cell{}
		if !one.LastFailure.IsZero() {
			last = words(one.LastFailure.UTC().Format("2006-01-02 15:04:05") + " " + one.LastResult)
		}
		t.Rows = append(t.Rows, []cell{
			words(clean.Terminal(one.Server)), number(one.Tries), number(one.Answered), failed, millis(one.Median), millis(one.P95), last,
		})
	}
	return t
}

func millis(d time.Duration) cell {
	ms := float64(d) / float64(time.Millisecond)
	return cell{Text: fmt.Sprintf("%.0f", ms), Raw: ms}
}

func (v *dnsView) failures() table {
	t := table{Name: "results", Title: "Questions by result", Columns: []column{
		{"result", "Result", ""},
		{"questions", "Questions", "n"},
	}}
	for _, one := range v.Results {
		t.Rows = append(t.Rows, []cell{words(one.Name), number(one.Count)})
	}
	return t
}

func (v *dnsView) hours() table {
	t := table{Name: "hours", Title: "By hour", Columns: []column{
		{"hour", "Hour, UTC", ""},
		{"asked", "Asked", "n"},
		{"failed", "Failed", "n"},
		{"slow", "Slow", "n"},
	}, Note: "Slow is a question that took more than a second."}
	for i := len(v.Snapshot.Hours) - 1; i >= 0; i-- {
		one := &v.Snapshot.Hours[i]
		t.Rows = append(t.Rows, []cell{moment(one.Hour), number(one.Asked), number(one.Failed), number(one.Slow)})
	}
	return t
}

func (v *dnsView) periods() table {
	t := table{Name: "degraded", Title: "When most questions failed", Columns: []column{
		{"from", "From, UTC", ""},
		{"to", "To, UTC", ""},
		{"seconds", "Seconds", "n"},
	}}
	for i := len(v.Degraded) - 1; i >= 0; i-- {
		one, to := &v.Degraded[i], cell{Text: "now", Bad: true}
		end := one.To
		if end.IsZero() {
			end = time.Now()
		} else {
			to = moment(end)
		}
		t.Rows = append(t.Rows, []cell{moment(one.From), to, number(int(end.Sub(one.From).Seconds()))})
	}
	return t
}

func (v *dnsView) zones() table {
	t := table{Name: "zones", Title: "Zones that cost most time", Columns: []column{
		{"zone", "Zone", "mono"},
		{"asked", "Asked", "n"},
		{"failed", "Failed", "n"},
		{"seconds", "Seconds, all", "n"},
		{"slowest_ms", "Slowest, ms", "n"},
	}}
	for i := range v.Snapshot.Zones {
		one := &v.Snapshot.Zones[i]
		t.Rows = append(t.Rows, []cell{
			machine(one.Zone), number(one.Asked), number(one.Failed),
			{Text: fmt.Sprintf("%.1f", one.Took.Seconds()), Raw: one.Took.Seconds()},
			millis(one.Slowest),
		})
	}
	return t
}

// HoursChart shows the questions of each hour, and those that failed.
func (v *dnsView) HoursChart() evidence.Chart {
	const height = 120
	hours, top, asked, failed := v.Snapshot.Hours, 1, 0, 0
	for _, h := range hours {
		top, asked, failed = max(top, h.Asked), asked+h.Asked, failed+h.Failed
	}
	first := hours[0].Hour.UTC().Format("2006-01-02 15:04")
	chart := evidence.Chart{
		ID: "hours", Title: "Questions by hour", Width: 12 * max(len(hours), 24), Height: height,
		Desc: fmt.Sprintf("%d hours with questions from %s on: %s, of which %s failed.", len(hours), first,
			plural(asked, "question"), group(failed)),
		Note: fmt.Sprintf("hours with questions from %s UTC on, highest %s", first, group(top)),
		Keys: []evidence.Key{{Kind: "refused", Name: "failed"}, {Kind: "judged", Name: "answered"}},
	}
	for i, h := range hours {
		label := fmt.Sprintf("%s: %s asked, %s failed", h.Hour.UTC().Format("01-02 15:04"), group(h.Asked), group(h.Failed))
		y := float64(height)
		for part, n := range []int{h.Failed, h.Asked - h.Failed} {
			high := float64(height*n) / float64(top)
			y -= high
			if n > 0 {
				chart.Bars = append(chart.Bars, evidence.Bar{
					X: float64(12*i) + 1, Y: y, W: 10, H: high, Kind: chart.Keys[part].Kind, Label: label,
				})
			}
		}
	}
	return chart
}
