package console

import (
	"net/http"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/evidence"
)

// rulesView is the ladder of the rules.
type rulesView struct {
	fine
	*evidence.Section // nil before the first decision
	Ladder            table
}

func (v *rulesView) template() string { return "rules" }
func (v *rulesView) tables() []*table { return []*table{&v.Ladder} }

func (c *Console) rules(*http.Request) (view, error) {
	v := &rulesView{Section: c.section(), Ladder: table{Name: "rules", Title: "The rules", Columns: []column{
		{"rule", "Rule", ""},
		{"advice", "Advice", ""},
		{"action", "Action now", ""},
		{"clients", "Clients hit", "n"},
		{"of", "of", "n"},
		{"good", "Good-looking hit", "n"},
		{"good_of", "of", "n"},
		{"mail", "Mail", "n"},
		{"refused", "Would refuse", "n"},
		{"unsure", "Unsure", "n"},
	}}}
	if v.Section == nil {
		return v, nil
	}
	policy := c.settings.Load().Config.Judge.Policy
	for i := range v.Section.Ladder {
		rung := &v.Section.Ladder[i]
		at := checks.Index(rung.Rule)
		sum := v.summary(rung.Rule)
		good := number(rung.Good.Hit)
		good.Bad = rung.Good.Hit > 0
		v.Ladder.Rows = append(v.Ladder.Rows, []cell{
			ruleCell(rung.Rule), words(string(rung.Recommendation)), words(policy.Actions[at].String()),
			number(rung.All.Hit), number(rung.All.Of), good, number(rung.Good.Of), number(rung.Hits), number(sum.Refused),
			number(sum.Unsure),
		})
	}
	return v, nil
}

func (v *rulesView) summary(rule string) *evidence.RuleSummary { return summaryOf(v.Section, rule) }

// summaryOf is what is counted of a rule: the rules of a section are in the order of the table.
func summaryOf(s *evidence.Section, rule string) *evidence.RuleSummary {
	return &s.Rules[checks.Index(rule)]
}

// ruleView is the evidence about a rule.
type ruleView struct {
	fine
	*checks.Rule
	Action                 checks.Action
	Set                    bool // in the configuration
	Section                *evidence.Section
	Rung                   *evidence.Rung
	Summary                *evidence.RuleSummary
	Against, For           []evidence.Example
	Days                   table
	Careful, Normal, Tough checks.Action // of the profiles
}

func (v *ruleView) template() string { return "rule" }
func (v *ruleView) tables() []*table { return []*table{&v.Days} }

func (c *Console) rule(r *http.Request) (view, error) {
	at := checks.Index(r.PathValue("name"))
	if at < 0 {
		return nil, &wrong{http.StatusNotFound, "There is no rule of this name."}
	}
	cfg := c.settings.Load().Config
	rule := &checks.All[at]
	v := &ruleView{
		Rule: rule, Action: cfg.Judge.Policy.Actions[at], Set: cfg.Actions[at] != nil, Section: c.section(),
		Careful: rule.Actions[checks.Careful], Normal: rule.Actions[checks.Standard], Tough: rule.Actions[checks.Strict],
		Days: table{Name: "days", Title: "Hits by day", Columns: []column{{"day", "Day", ""}, {"hits", "Hits", "n"}, {"judged", "Judged", "n"}}},
	}
	if v.Section == nil {
		return v, nil
	}
	for i := range v.Section.Ladder {
		if v.Section.Ladder[i].Rule == rule.Name {
			v.Rung = &v.Section.Ladder[i]
		}
	}
	v.Summary = summaryOf(v.Section, rule.Name)
	for _, e := range v.Summary.Examples {
		if e.Good {
			v.Against = append(v.Against, e)
		} else {
			v.For = append(v.For, e)
		}
	}
	for i := len(v.Summary.Trend) - 1; i >= 0; i-- {
		span := &v.Section.Trend[i]
		v.Days.Rows = append(v.Days.Rows, []cell{words(span.From), number(v.Summary.Trend[i]), number(span.Judged)})
	}
	return v, nil
}
