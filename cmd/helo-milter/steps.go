package main

import (
	"fmt"
	"io"
	"slices"

	"helo-milter/checks"
)

// advise prints the steps of an advice.
func advise(out io.Writer, a *checks.Advice, width int) {
	for i, step := range a.Steps {
		paragraph(out, fmt.Sprintf("  %d. ", i+1), step.Text, width)
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
		paragraph(out, "  ", a.Name+" is an example; use the mail server's own name instead.", width)
	}
}
