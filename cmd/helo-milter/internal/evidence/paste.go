package evidence

import (
	"fmt"
	"strings"

	"helo-milter/checks"
)

// toml is what to paste: it refuses for the recommended rules, and takes back what careful would refuse for
// beside them and was seen. It expects the steps in the table's order.
func (s *Section) toml() string {
	var rows [][]string
	var idle []string
	recommended := false
	for i := range s.Ladder {
		step := &s.Ladder[i]
		action, why := checks.Reject, plural(step.All.Hit, "client")+" hit, none that looks good"
		switch {
		case step.Advice == Enforce && step.Enforced:
			recommended = true
			why += "; enforced already"
		case step.Advice == Enforce:
			recommended = true
		case !provable(i):
			continue
		case step.Advice == NoHits:
			idle = append(idle, step.Rule)
			continue
		default:
			action, why = checks.Mark, "not yet, see the ladder; careful alone would refuse"
		}
		rows = append(rows, []string{fmt.Sprintf("%s = %q", step.Rule, action), "# " + why})
	}
	if !recommended {
		return ""
	}
	var b strings.Builder
	b.WriteString("mode = \"enforce\"\nprofile = \"careful\"\n\n[rules]\n")
	table(&b, "", "ll", rows)
	if len(idle) > 0 {
		paragraph(&b, "careful also refuses for what nobody did in this period: "+strings.Join(idle, ", "), "# ")
	}
	return b.String()
}
