package evidence

import (
	"fmt"
	"slices"
	"strings"

	"helo-milter/checks"
)

// pasted returns the actions of all rules once the lines are in the configuration. They refuse for
// recommended rules, and otherwise only for rules of careful that hit no client: else more would be refused
// than the report says. Rules that mark or are off stay so.
func (s *Section) pasted(before *checks.Policy) []checks.Action {
	after := slices.Clone(before.Actions)
	for i := range s.Ladder {
		rung := &s.Ladder[i]
		switch {
		case rung.Recommendation == Enforce:
			after[i] = checks.Reject
		case after[i] >= checks.TempFail && !(provable(i) && rung.idle()):
			after[i] = checks.Mark
		}
	}
	return after
}

// toml is what to paste: what makes the actions after of the policy before. own are the actions that are in
// [rules] already: all of those rules are in there again. It expects the rungs in the table's order.
func (s *Section) toml(before *checks.Policy, after []checks.Action, own []*checks.Action) string {
	var rows [][]string
	var idle, unsaid []string
	recommended := false
	for i := range s.Ladder {
		rung, action := &s.Ladder[i], after[i]
		recommended = recommended || rung.Recommendation == Enforce
		switch careful := checks.All[i].Actions[checks.Careful]; {
		case rung.Recommendation == Enforce, action != careful, own[i] != nil:
			why := rung.reason(action, before.Actions[i])
			rows = append(rows, []string{fmt.Sprintf("%s = %q", rung.Rule, action), "# " + why})
		case action >= checks.TempFail && rung.Recommendation == NoSay:
			unsaid = append(unsaid, rung.Rule)
		case action >= checks.TempFail:
			idle = append(idle, rung.Rule)
		}
	}
	if !recommended {
		return ""
	}
	var b strings.Builder
	b.WriteString("mode = \"enforce\"\nprofile = \"careful\"\n\n[rules]\n")
	table(&b, "", "ll", rows)
	also := func(what string, rules []string) {
		if len(rules) > 0 {
			comment(&b, "careful also enforces rules that "+what+": "+strings.Join(rules, ", "))
		}
	}
	also("no client failed in this period", idle)
	also("could not be evaluated for any client", unsaid)
	if before.OnDNSError >= checks.TempFail {
		comment(&b, "on_dns_error is unchanged: clients whose lookups fail may be deferred, and are not counted "+
			"as refused")
	}
	b.WriteString(thresholds(before))
	return b.String()
}

// comment writes a TOML comment in lines that fit the text, where they are indented.
func comment(b *strings.Builder, text string) {
	for _, line := range wrap(text, width-len(tomlIndent+"# ")) {
		b.WriteString("# " + line + "\n")
	}
}

// reason returns why a rule gets an action.
func (s *Rung) reason(action, before checks.Action) string {
	switch {
	case s.Recommendation == Enforce:
		why := Plural(s.All.Hit, "client") + " hit, none legitimate-looking"
		if s.Enforced {
			why += "; already enforced"
		}
		return why
	case action == before:
		return "unchanged"
	default:
		return fmt.Sprintf("not yet: the advice is %q", s.Recommendation)
	}
}

// thresholds turns off those of the summed score: marks that add up to a refusal are not part of the
// evidence.
func thresholds(p *checks.Policy) string {
	var b strings.Builder
	for _, threshold := range []struct {
		key string
		at  float64
	}{{"tempfail_at", p.TempFailAt}, {"reject_at", p.RejectAt}} {
		if threshold.at > 0 {
			fmt.Fprintf(&b, "%s = 0  # not yet: the evidence is about single rules, not scores\n", threshold.key)
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "\n[scores]\n" + b.String()
}
