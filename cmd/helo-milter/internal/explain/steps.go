package explain

import (
	"fmt"
	"io"
	"slices"

	"helo-milter/checks"
)

// Steps prints the steps of an advice, in lines of at most width characters: Wide or Narrow.
func Steps(out io.Writer, a *checks.Advice, width int) {
	for i, step := range a.Steps {
		Paragraph(out, fmt.Sprintf("  %d. ", i+1), step.Text, width)
		for _, record := range step.Records {
			fmt.Fprintln(out, "      ", record)
		}
		tooLong := func(s checks.Setting) bool { return len(s.Line)+35 > width }
		for _, s := range step.Settings {
			if slices.ContainsFunc(step.Settings, tooLong) {
				fmt.Fprintf(out, "       %s:\n         %s\n", s.Place, s.Line)
			} else {
				fmt.Fprintf(out, "       %-26s  %s\n", s.Place, s.Line)
			}
		}
	}
	if a.Example && len(a.Steps) > 0 {
		Paragraph(out, "  ", a.Name+" is an example; use the mail server's own name instead.", width)
	}
}
