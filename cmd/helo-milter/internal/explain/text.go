package explain

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"helo-milter/checks/clean"
)

// Wide is the length of a line for a terminal, and Narrow that of a line of mail, in characters (RFC 5322 §2.1.1
// has 78, less what quoting adds).
const Wide, Narrow = 100, 72

// WholeHelo is how much of a HELO is shown: no host name is longer (RFC 1035 §2.3.4).
const WholeHelo = 255

// Paragraph prints a text behind a heading, with the lines that follow beneath the first. Lines are of at
// most width characters; a word that is longer stays whole, since it may be there to be copied. Several
// blanks stay several: they may be what a client said. The text is made fit for a terminal; the heading is ours.
func Paragraph(out io.Writer, heading, text string, width int) {
	column := utf8.RuneCountInString(heading)
	line, at := heading, column
	for word := range strings.SplitSeq(clean.Terminal(strings.TrimSpace(text)), " ") {
		length := utf8.RuneCountInString(word)
		switch {
		case at == column:
		case at+1+length > width:
			fmt.Fprintln(out, line)
			line, at = strings.Repeat(" ", column), column
		default:
			line, at = line+" ", at+1
		}
		line, at = line+word, at+length
	}
	fmt.Fprintln(out, line)
}

// Coloured is a terminal. It gets results and verdicts in colours, and any other writer plain text.
type Coloured struct{ io.Writer }

// paint gives text the colour of a result or verdict, where out has colours.
func paint(out io.Writer, result, text string) string {
	code := map[string]string{
		"fail": "31", "reject": "31", "unsure": "33", "tempfail": "33", "pass": "32", "accept": "32",
	}[result]
	if _, coloured := out.(Coloured); !coloured || code == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
