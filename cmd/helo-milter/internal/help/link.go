package help

import (
	"strings"
	"time"

	"helo-milter/checks"
)

// Link returns what makes the link of a refusal, for checks.Help: url with a sealed ticket in the place of {id}.
func (k *Keys) Link(url string) func(time.Time, *checks.Facts, *checks.Verdict) string {
	before, after, _ := strings.Cut(url, "{id}")
	return func(at time.Time, f *checks.Facts, v *checks.Verdict) string {
		return before + k.Seal(NewTicket(at, f, v)) + after
	}
}
