package evidence

import (
	"fmt"
	"strings"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/clean"
)

// Allowed is an allow entry until "mended", and how its clients behave, by live records.
type Allowed struct {
	Network  string    `json:"network,omitempty"`
	Name     string    `json:"name,omitempty"`
	Reason   string    `json:"reason,omitempty"` // at most 64 bytes of it
	Fault    time.Time `json:"last_fault,omitzero"`
	Since    time.Time `json:"since,omitzero"` // of the first session without a fault after that
	Sessions int       `json:"sessions"`       // without a fault, since then
	Mended   bool      `json:"mended"`         // not needed any more
}

// allowHeading is that of these entries.
const allowHeading = "Allow entries until mended"

// allowed returns the entries in the order of the configuration, as it was known at the end of the last week, or else
// when the last record was made.
func (t *Tally) allowed() (list []Allowed) {
	now := t.kinds[0].to
	if !t.week.IsZero() {
		now = t.week.Add(sevenDays)
	}
	for _, c := range t.allow.Conduct() {
		a := Allowed{
			Name: clean.Report(c.Name), Reason: clean.Report(c.Reason), Fault: c.Fault.UTC(), Since: c.Since.UTC(),
			Sessions: c.Sessions, Mended: c.Mended(now),
		}
		if c.Network.IsValid() {
			a.Network = c.Network.String()
		}
		list = append(list, a)
	}
	return list
}

// Title names the entry.
func (a *Allowed) Title() string {
	title := strings.TrimSpace(a.Network + " " + a.Name)
	if a.Reason != "" {
		title += " (" + a.Reason + ")"
	}
	return title
}

// Standing says whether the entry is needed, and why.
func (a *Allowed) Standing() string {
	good := fmt.Sprintf("%s without a fault since %s", Plural(a.Sessions, "session"), a.Since.Format(time.DateOnly))
	switch {
	case a.Mended:
		return "not needed any more: " + good + "."
	case a.Sessions == 0 && a.Fault.IsZero():
		return "no session that says something about it."
	case a.Fault.IsZero():
		return "open: " + good + "; it takes " + enough + "."
	case a.Sessions == 0:
		return fmt.Sprintf("needed: the last fault was on %s.", a.Fault.Format(time.DateOnly))
	default:
		return fmt.Sprintf("needed: the last fault was on %s; %s, and it takes %s.", a.Fault.Format(time.DateOnly), good,
			enough)
	}
}

// enough is when an entry is not needed any more.
var enough = fmt.Sprintf("%d days and %d sessions", checks.ProbationTime/(24*time.Hour), checks.ProbationSessions)
