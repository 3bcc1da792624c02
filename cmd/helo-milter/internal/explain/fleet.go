package explain

import (
	"fmt"
	"io"

	"helo-milter/checks"
	"helo-milter/checks/clean"
)

// fleet prints what the hosts of a fleet had seen of the client and of its names, if they were asked and answered.
func fleet(out io.Writer, f *checks.Facts) {
	var lines []string
	if f.Seen != nil {
		lines = append(lines, fmt.Sprintf("%s said %s", f.Client, counted(f.Seen.Names, "HELO name")))
	}
	for i := range f.Greetings {
		g := &f.Greetings[i]
		if g.Seen == nil {
			continue
		}
		line := fmt.Sprintf("%s was said from %s and %s; ", clean.Terminal(g.Helo.Name),
			counted(g.Seen.Networks, "network"), counted(g.Seen.Organisations, "organisation"))
		if g.Seen.Since.IsZero() {
			line += "never by this client"
		} else {
			line += "by this client since " + g.Seen.Since.UTC().Format("2006-01-02 15:04 UTC")
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(out, "\nfleet, in the %d days before\n", checks.SeenDays)
	for _, line := range lines {
		Paragraph(out, "  ", line, Wide)
	}
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
