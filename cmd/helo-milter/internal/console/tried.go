package console

import (
	"net/http"
	"time"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/replay"
)

// trialView is a trial, and what came of it.
type trialView struct {
	fine
	*trial
	State   trialState
	Share   float64
	Took    time.Duration
	Summary *replay.Decisions // nil before the end
	Text    string            // what the command replay prints
	Wants   table
	Rules   table
	Refused table // newly
	Good    int   // clients of them that look legitimate
	Passed  table // no longer
}

func (v *trialView) template() string { return "trial" }
func (v *trialView) tables() []*table { return []*table{&v.Refused, &v.Passed, &v.Wants, &v.Rules} }

// Running reports whether the trial has not ended.
func (v *trialView) Running() bool { return v.State == trialRuns }

// Seconds is how long it took.
func (v *trialView) Seconds() float64 { return v.Took.Seconds() }

func (c *Console) tried(r *http.Request) (view, error) {
	t := c.trials.get(r.PathValue("id"))
	if t == nil {
		return nil, errNoTrial
	}
	return c.viewOf(t), nil
}

// standingOf is how a trial stands, without the tables.
func standingOf(t *trial) (*trialView, *replay.Summary) {
	v := &trialView{trial: t}
	var summary *replay.Summary
	v.State, v.Share, summary, v.Took = t.standing()
	if summary != nil {
		v.Summary = &summary.Daemon
	}
	return v, summary
}

func (c *Console) viewOf(t *trial) *trialView {
	v, summary := standingOf(t)
	if summary == nil {
		return v
	}
	d := v.Summary
	v.Text = summary.Text(false)
	v.Wants = table{Name: "wanted", Title: "What is wanted", Columns: []column{
		{"want", "Wanted", ""},
		{"then", "Then", "n"},
		{"now", "With these changes", "n"},
	}}
	for _, want := range []string{"exempt", "accept", "tempfail", "reject"} {
		v.Wants.Rows = append(v.Wants.Rows, []cell{words(want), number(d.Then.Wants[want]), number(d.Now.Wants[want])})
	}
	v.Rules = table{Name: "rules", Title: "By rule", Columns: []column{
		{"rule", "Rule", ""},
		{"fails_then", "Fails then", "n"},
		{"fails_now", "with these changes", "n"},
		{"unsure_then", "Unsure then", "n"},
		{"unsure_now", "with these changes", "n"},
	}}
	for i := range checks.All {
		name := checks.All[i].Name
		if d.Then.Fails[name]+d.Then.Unsure[name]+d.Now.Fails[name]+d.Now.Unsure[name] > 0 {
			v.Rules.Rows = append(v.Rules.Rows, []cell{
				ruleCell(name), number(d.Then.Fails[name]), number(d.Now.Fails[name]), number(d.Then.Unsure[name]),
				number(d.Now.Unsure[name]),
			})
		}
	}
	v.Refused, v.Good = c.clientTable("newly_refused", "Newly refused", &d.Refused)
	v.Passed, _ = c.clientTable("no_longer_refused", "No longer refused", &d.Passed)
	return v
}

// clientTable has all clients of a list: those that look legitimate first, and those with the most mail.
func (c *Console) clientTable(name, title string, list *replay.Clients) (t table, looksGood int) {
	t = table{Name: name, Title: title, Columns: []column{
		{"client", "Client", "mono"},
		{"mail", "Mail", "n"},
		{"looks_legitimate", "Looks legitimate", ""},
		{"rule", "Rule", ""},
		{"helo", "HELO", "mono"},
		{"ptr", "PTR", "mono"},
	}}
	top := list.Top(list.Count())
	good := c.evidence().looksGood(top)
	for _, first := range []bool{true, false} {
		for i, one := range top {
			if good[i] != first {
				continue
			}
			looks := cell{Text: "no", Raw: false}
			if first {
				looksGood++
				looks = cell{Text: "yes", Bad: true, Raw: true}
			}
			t.Rows = append(t.Rows, []cell{
				clientCell(one.Addr), number(one.Items), looks, ruleCell(one.Rule), words(one.Helo), words(one.PTR),
			})
		}
	}
	return t, looksGood
}

// Changed reports whether anything would have been decided otherwise.
func (v *trialView) Changed() bool {
	d := v.Summary
	return d.Refused.Items+d.Passed.Items+d.Harder+d.Softer > 0
}
