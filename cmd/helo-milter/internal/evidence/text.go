package evidence

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// width is that of the text, in columns.
const width = 100

// Text returns the report for a terminal: the conclusion first, and what to paste last, next to the prompt.
func (r *Report) Text() string {
	var b strings.Builder
	paragraph(&b, r.Apart(), "")
	for i := range r.Sections {
		s := &r.Sections[i]
		fmt.Fprintf(&b, "\nEVIDENCE from %s with judged mail, %s to %s\nDNS facts: %s.\n\n", Plural(s.Days, "day"),
			s.From.Format(time.DateOnly), s.To.Format(time.DateOnly), s.Kind())
		paragraph(&b, s.Summary(), "")
		b.WriteByte('\n')
		s.writeFigures(&b)
		s.writeHosts(&b)
		if s.Judged > 0 {
			s.writeTop(&b)
			s.writeRules(&b)
			s.writeLabels(&b)
			s.writeLadder(&b, i == 0)
			s.writeTOML(&b)
		}
	}
	r.writeAllow(&b)
	if text := r.Unreadable(); text != "" {
		b.WriteString("\n" + text + "\n")
	}
	return strings.TrimLeft(b.String(), "\n")
}

func (s *Section) writeFigures(b *strings.Builder) {
	var rows [][]string
	for _, f := range s.Figures() {
		rows = append(rows, []string{f.Name, f.Count, f.Share, f.Note})
	}
	table(b, "  ", "lrrl", rows)
	if causes := s.UnsureBy(); causes != "" {
		paragraph(b, "unsure by cause (transactions): "+causes, "  ")
	}
}

func (s *Section) writeHosts(b *strings.Builder) {
	const columns, longest = 4, 19 // as many as fit
	for i, list := range s.HostTables(columns) {
		if i == 0 {
			b.WriteString("\nDECISIONS BY HOST\n")
		}
		rows := [][]string{{""}}
		for _, h := range list {
			rows[0] = append(rows[0], head(h.Name, longest))
		}
		for _, r := range HostRows(list) {
			rows = append(rows, append([]string{r.Name}, r.Cells...))
		}
		table(b, "  ", "lrrrr", rows)
		b.WriteByte('\n')
	}
	if len(s.Hosts) > 1 {
		paragraph(b, hostNote, "  ")
	}
}

func (s *Section) writeTop(b *strings.Builder) {
	if len(s.Top) == 0 {
		return
	}
	fmt.Fprintf(b, "\nWOULD BE REFUSED: %d of %s (+ looks legitimate)\n", len(s.Top), Plural(s.RefusedBy, "client"))
	rows := [][]string{{"CLIENT", "MAIL", "LAST", "RULE", "HELO", "PTR"}}
	taken := 4 // the indent, and the gap between the last two columns
	for _, t := range s.Top {
		rows = append(rows, []string{
			t.Client.String() + mark(t.Good), Group(t.Refused), t.Last.Format("01-02"), t.Rule, t.Helo, t.PTR,
		})
	}
	for _, column := range columns(rows)[:4] {
		taken += column + 2
	}
	for _, row := range rows[1:] {
		half := max(8, (width-taken)/2)
		row[4], row[5] = head(row[4], half), tail(row[5], half)
	}
	table(b, "  ", "lrlll", rows)
}

// mark follows a client that looks legitimate.
func mark(good bool) string {
	if good {
		return " +"
	}
	return ""
}

func (s *Section) writeRules(b *strings.Builder) {
	active := s.Active()
	if len(active) == 0 {
		return
	}
	days := Plural(s.Trend[0].Days, "day")
	fmt.Fprintf(b, "\nRULES, with the trend from %s on, %s per character\n", s.Trend[0].From, days)
	rows := [][]string{{"RULE", "CLIENTS", "NETWORKS", "MAIL", "REFUSED", "UNSURE", "TREND"}}
	for _, r := range active {
		rows = append(rows, []string{
			r.Rule, Group(r.Clients), Group(r.Networks), Group(r.Hits), Group(r.Refused), Group(r.Unsure),
			sparkline(r.Trend),
		})
	}
	table(b, "  ", "lrrrrrl", rows)
	if unsure := s.OnlyUnsure(); unsure != "" {
		paragraph(b, "no hits, but unsure (transactions): "+unsure, "  ")
	}
}

// sparkline draws a trend in ASCII. Only zero is drawn as "_".
func sparkline(trend []int) string {
	const levels = "_.:-=+*#"
	top := max(1, slices.Max(trend))
	line := make([]byte, len(trend))
	for i, n := range trend {
		line[i] = levels[(n*(len(levels)-1)+top-1)/top]
	}
	return string(line)
}

func (s *Section) writeLabels(b *strings.Builder) {
	if !s.Labelled() {
		return
	}
	fmt.Fprintf(b, "\nLABELLED MAIL: hits of each rule among %s ham and %s spam\n", Group(s.Ham), Group(s.Spam))
	rows := [][]string{{"RULE", "HAM", "", "SPAM", ""}}
	for _, r := range s.Active() {
		rows = append(rows, []string{
			r.Rule, Group(r.Ham), percent(r.Ham, s.Ham), Group(r.Spam), percent(r.Spam, s.Spam),
		})
	}
	table(b, "  ", "lrrrr", rows)
}

func (s *Section) writeLadder(b *strings.Builder, explain bool) {
	rungs := s.Rungs()
	if len(rungs) == 0 {
		b.WriteString("\nRECOMMENDATIONS: none, because no rule hit any client.\n")
		return
	}
	b.WriteString("\nRECOMMENDATIONS, safest first: clients that each rule hits\n")
	rows := [][]string{{"ADVICE", "RULE", "OF LEGITIMATE-LOOKING", "OF ALL JUDGED"}}
	for _, rung := range rungs {
		advice := string(rung.Recommendation)
		if rung.Enforced {
			advice += "*"
		}
		rows = append(rows, []string{advice, rung.Rule, rung.Good.String(), rung.All.String()})
	}
	var lines strings.Builder
	table(&lines, "  ", "llll", rows)
	heading, rest, _ := strings.Cut(lines.String(), "\n")
	fmt.Fprintln(b, heading)
	for i, line := range strings.Split(strings.TrimSuffix(rest, "\n"), "\n")[:len(rungs)] {
		fmt.Fprintln(b, line)
		s.writeRung(b, &rungs[i])
	}
	if slices.ContainsFunc(rungs, func(s Rung) bool { return s.Enforced }) {
		b.WriteString("  * already enforced by this configuration\n")
	}
	b.WriteString("  " + s.Idle() + "\n")
	if explain {
		b.WriteByte('\n')
		paragraph(b, Caveat, "  ")
	}
}

func (s *Section) writeRung(b *strings.Builder, rung *Rung) {
	const indent = "           "
	paragraph(b, rung.Why, indent)
	examples := s.Examples(rung.Rule)
	switch rung.Recommendation {
	case Never:
		examples = nil
	case Enforce, Wait: // one is enough; those of Look should all be looked at
		examples = examples[:1]
	}
	for _, e := range examples {
		line := fmt.Sprintf("%s%s HELO %q", e.Client, mark(e.Good), head(e.Helo, 30))
		if e.PTR != "" {
			line += " PTR " + tail(e.PTR, 30)
		}
		fmt.Fprintln(b, indent+line)
	}
}

func (r *Report) writeAllow(b *strings.Builder) {
	if len(r.Allow) == 0 {
		return
	}
	b.WriteString("\n" + strings.ToUpper(allowHeading) + "\n")
	for i := range r.Allow {
		paragraph(b, r.Allow[i].Title(), "  ")
		paragraph(b, r.Allow[i].Standing(), "    ")
	}
}

const tomlIndent = "    "

func (s *Section) writeTOML(b *strings.Builder) {
	if s.TOML == "" {
		return
	}
	b.WriteByte('\n')
	paragraph(b, "TO PASTE, "+s.Pasting(), "")
	b.WriteByte('\n')
	for line := range strings.Lines(s.TOML) {
		b.WriteString(strings.TrimRight(tomlIndent+line, " \n") + "\n")
	}
}

// table writes rows in columns, aligned left ("l") or right ("r").
func table(b *strings.Builder, indent, aligned string, rows [][]string) {
	widths := columns(rows)
	for _, row := range rows {
		line := indent
		for i, cell := range row {
			space := strings.Repeat(" ", widths[i]-len(cell))
			if i < len(aligned) && aligned[i] == 'r' {
				line += space + cell + "  "
			} else {
				line += cell + space + "  "
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

func columns(rows [][]string) []int {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	return widths
}

// head and tail cut a text at its end and at its beginning. The end of a host name says whose it is.
func head(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return text[:n-2] + ".."
}

func tail(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return ".." + text[len(text)-n+2:]
}

// paragraph writes a text in lines of at most width columns.
func paragraph(b *strings.Builder, text, indent string) {
	for _, line := range wrap(text, width-len(indent)) {
		b.WriteString(indent + line + "\n")
	}
}

func wrap(text string, width int) []string {
	var lines []string
	for len(text) > width {
		at := strings.LastIndexByte(text[:width+1], ' ')
		if at <= 0 {
			break
		}
		lines = append(lines, text[:at])
		text = text[at+1:]
	}
	return append(lines, text)
}
