package evidence

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/clean"
)

// Letter is what the letter about a week says besides the report.
type Letter struct {
	Host  string         // the machine, for a week without records
	Now   time.Time      // as for Tally.Compare
	Allow []checks.Allow // entries that have ended, or will end soon
}

// letterWidth is that of a line of mail (RFC 5322 §2.1.1: 78), less what quoted-printable would break.
const letterWidth = 75

// Write returns the subject and the text of the letter: a page that says what a postmaster has to look at. It
// is about decisions of a daemon only. The subject is ASCII, and only the notes of Allow can have other
// characters. The report has to be of a Tally that compares.
func (l *Letter) Write(r *Report) (subject, text string) {
	s := &Section{changes: (&counts{}).changed(l.Now.Add(-sevenDays))}
	s.changes.hosts = []string{clean.Report(l.Host)}
	if len(r.Sections) > 0 && r.Sections[0].DNS == kinds[0].name {
		s = &r.Sections[0]
	}
	c := s.changes
	var b strings.Builder
	say(&b, fmt.Sprintf("%s to %s UTC: %s", c.from.UTC().Format(minute), c.to.UTC().Format(minute),
		strings.Join(c.hosts, ", ")), "")
	b.WriteByte('\n')
	say(&b, c.summary(), "")
	if len(c.silent) > 0 {
		say(&b, "Without any record in this week: "+strings.Join(c.silent, ", ")+".", "")
	}
	c.writeLooks(&b)
	c.writeChange(&b)
	s.writeEnforce(&b)
	l.writeAllow(&b, r.Allow)
	b.WriteByte('\n')
	say(&b, "The attached page has the evidence of all records: the figures, the clients, the rules with "+
		"examples, and the configuration to paste.", "")
	if unread := r.Unreadable(); unread != "" {
		say(&b, unread, "")
	}
	const day = time.DateOnly
	on := Plural(len(c.hosts), "host")
	if len(c.hosts) == 1 {
		on = c.hosts[0]
	}
	subject = fmt.Sprintf("helo-milter on %s, %s to %s: %s", on, c.from.UTC().Format(day), c.to.UTC().Format(day),
		c.short(s))
	return subject, b.String()
}

// short is the end of the subject.
func (c *changes) short(s *Section) string {
	switch n := len(s.enforceable()); {
	case c.week.judged == 0:
		return "no mail was judged"
	case c.looks > 0:
		return Plural(c.looks, "client") + " to look at"
	case n > 0:
		return Plural(n, "rule") + " could be enforced"
	default:
		return "nothing to do"
	}
}

// summary says what was refused, or would have been.
func (c *changes) summary() string {
	w := &c.week
	if w.judged == 0 {
		text := "No mail was judged in this week. "
		if w.transactions > 0 {
			return text + Plural(w.transactions, "transaction") + " of exempt clients were recorded."
		}
		return text + "Is the milter running, does the MTA ask it (smtpd_milters in main.cf, INPUT_MAIL_FILTER in " +
			"sendmail.mc), and are these its decision logs?"
	}
	text := "The milter judged " + Plural(w.judged, "transaction") + " from " + Plural(c.clients, "client") + ". "
	these := fmt.Sprintf("%s of them (%s), from %s", Group(w.wanted), percent(w.wanted, w.judged),
		Plural(c.wanted, "client"))
	switch {
	case w.wanted == 0:
		return text + "It would refuse none of them."
	case w.refused == 0:
		return text + "It would have refused " + these + "; in observe mode it refuses nothing."
	case w.refused == w.wanted:
		return text + "It refused " + these + "."
	default:
		return text + "By its rules it would refuse " + these + ", and it did refuse " + Group(w.refused) + "."
	}
}

func (c *changes) writeLooks(b *strings.Builder) {
	if c.week.judged == 0 {
		return
	}
	heading(b, "NEEDS A LOOK")
	if c.looks == 0 {
		say(b, "Nothing: no client that was or would be refused looks legitimate.", "  ")
		return
	}
	say(b, "These look legitimate, and were or would be refused. \"helo-milter check --mail ADDRESS "+
		"HELO\" prints a letter to their postmaster; [[allow]] exempts them.", "  ")
	writeClients(b, c.looksTop, c.looks)
}

func writeClients(b *strings.Builder, list []TopClient, of int) {
	for _, t := range list {
		line := fmt.Sprintf("%s  %s, %s, last on %s", t.Client, t.Rule, often(t.Refused), t.Last.Format("01-02"))
		say(b, line, "    ")
		names := "HELO " + head(strconv.Quote(t.Helo), 30)
		if t.PTR != "" {
			names += ", PTR " + tail(t.PTR, 28)
		}
		if t.Helo+t.PTR != "" {
			b.WriteString("      " + names + "\n")
		}
	}
	if of > len(list) {
		fmt.Fprintf(b, "    and %s more\n", Group(of-len(list)))
	}
}

func often(n int) string {
	if n == 1 {
		return "once"
	}
	return Group(n) + " times"
}

func (c *changes) writeChange(b *strings.Builder) {
	heading(b, "SINCE THE WEEK BEFORE")
	w, v := &c.week, &c.before
	if v.judged == 0 || w.judged == 0 {
		say(b, "These logs have no judged mail of both weeks, so there is nothing to compare.", "  ")
		return
	}
	table(b, "  ", "lrrrr", [][]string{
		{"", "THIS WEEK", "", "BEFORE", ""},
		{"judged", Group(w.judged), "", Group(v.judged), ""},
		{
			"refused, or would be", Group(w.wanted), percent(w.wanted, w.judged),
			Group(v.wanted), percent(v.wanted, v.judged),
		},
		{
			"lookups failed", Group(w.unsure), percent(w.unsure, w.judged),
			Group(v.unsure), percent(v.unsure, v.judged),
		},
	})
	if len(c.newRules) > 0 {
		say(b, "Rules with hits now, and none before: "+strings.Join(c.newRules, ", ")+".", "  ")
	}
	if len(c.goneRules) > 0 {
		say(b, "Rules with hits before, and none now: "+strings.Join(c.goneRules, ", ")+".", "  ")
	}
	if c.fresh > 0 {
		say(b, fmt.Sprintf("Refused now, and not before: %s.", Plural(c.fresh, "client")), "  ")
		writeClients(b, c.freshTop, c.fresh)
	}
}

// enforceable are the rules that are recommended and not enforced yet.
func (s *Section) enforceable() (rules []string) {
	for _, rung := range s.Ladder {
		if rung.Recommendation == Enforce && !rung.Enforced {
			rules = append(rules, rung.Rule)
		}
	}
	return rules
}

func (s *Section) writeEnforce(b *strings.Builder) {
	heading(b, "COULD BE ENFORCED NOW")
	text := "Nothing more than is enforced already."
	switch rules := s.enforceable(); {
	case s.Judged == 0:
		text = "Nothing: there is no evidence."
	case len(s.Missing) > 0:
		text = "Nothing yet: " + strings.Join(s.Missing, ". ") + "."
	case len(rules) > 0:
		text = fmt.Sprintf("%s. With the configuration on the attached page, %s of %s from %s on would have been "+
			"refused, and none of these looks legitimate.", strings.Join(rules, ", "), Group(s.Enforce),
			Plural(s.Clients, "client"), s.From.Format(time.DateOnly))
	case !slices.ContainsFunc(s.Ladder, func(r Rung) bool { return r.Recommendation == Enforce }):
		text = "Nothing: the attached page has the reasons."
	}
	say(b, text, "  ")
}

// writeAllow is about entries that the administrator should look at. An entry that is still needed is on the page only.
func (l *Letter) writeAllow(b *strings.Builder, allowed []Allowed) {
	needless := slices.DeleteFunc(slices.Clone(allowed), func(a Allowed) bool { return !a.Mended })
	if len(l.Allow)+len(needless) == 0 {
		return
	}
	heading(b, "ALLOW ENTRIES")
	for i := range l.Allow {
		a := &l.Allow[i]
		who := a.Clients()
		if a.Reason != "" {
			who += fmt.Sprintf(" (%s)", clean.Terminal(a.Reason))
		}
		end := " ends on "
		if a.Expired(l.Now) {
			end = " has no effect: it ended on "
		}
		say(b, who+end+a.Until.Add(-1).Format(time.DateOnly), "  ")
	}
	for i := range needless {
		say(b, needless[i].Title()+": "+needless[i].Standing(), "  ")
	}
}

func heading(b *strings.Builder, text string) { b.WriteString("\n" + text + "\n") }

// say writes a text in lines of mail.
func say(b *strings.Builder, text, indent string) {
	for _, line := range wrap(text, letterWidth-len(indent)) {
		b.WriteString(indent + line + "\n")
	}
}
