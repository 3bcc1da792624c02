package evidence

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The texts and figures that the text and the HTML page share.

// Apart returns why there is more than one section, or "".
func (r *Report) Apart() string {
	if len(r.Sections) < 2 {
		return ""
	}
	return fmt.Sprintf("The DNS facts in these records were obtained in %d different ways, which cannot be "+
		"compared. Each has a section of its own below, and no figure combines them.", len(r.Sections))
}

// Summary returns the conclusion in a few sentences.
func (s *Section) Summary() string {
	var rules []string
	for _, rung := range s.Ladder {
		if rung.Recommendation == Enforce {
			rules = append(rules, rung.Rule)
		}
	}
	switch {
	case s.Judged == 0:
		return "No client was judged, so there is no evidence about the rules."
	case len(s.Missing) > 0:
		return "Nothing is recommended yet, because there is too little evidence. " +
			strings.Join(s.Missing, ". ") + "."
	case len(rules) == 0:
		return "This evidence supports enforcing no rule. The reasons are listed under the recommendations."
	}
	return fmt.Sprintf("This evidence supports enforcing %s: %s. Of %s, %s would have been refused, and none "+
		"of these looks legitimate. The configuration to paste is below.", Plural(len(rules), "rule"),
		strings.Join(rules, ", "), Plural(s.Clients, "judged client"), Group(s.Enforce))
}

// Kind returns how the DNS facts were obtained.
func (s *Section) Kind() string {
	for _, k := range kinds {
		if k.name == s.DNS {
			return k.doc
		}
	}
	return s.DNS
}

// Figure is a line of the figures at the top.
type Figure struct{ Name, Count, Share, Note string }

// Figures returns the counts of the section as a whole.
func (s *Section) Figures() []Figure {
	exempt := make([]string, len(s.Exempt))
	for i, e := range s.Exempt {
		exempt[i] = e.Name + " " + Group(e.Count)
	}
	rest := s.Transactions - s.Judged
	list := []Figure{
		{"transactions", Group(s.Transactions), "", s.From.Format(minute) + " to " + s.To.Format(minute) + " UTC"},
		{
			"exempt", Group(rest), percent(rest, s.Transactions), strings.Join(exempt, ", "),
		},
		{
			"judged", Group(s.Judged), percent(s.Judged, s.Transactions),
			s.who(),
		},
		{
			"would refuse", Group(s.Refused), percent(s.Refused, s.Judged),
			Plural(s.RefusedBy, "client") + ", under the configuration that judged the mail",
		},
		s.trouble(),
		{
			"MTA differs", Group(s.Differs), percent(s.Differs, s.Judged),
			"the MTA's own reverse DNS check had a different result",
		},
	}
	if s.Seen > 0 {
		list = append(list, Figure{
			"known to fleet", Group(s.Seen), percent(s.Seen, s.Judged), "what all hosts had seen of the client was known in time",
		})
	}
	if s.Unheard > 0 {
		list = append(list, Figure{
			"HELO not recorded", Group(s.Unheard), percent(s.Unheard, s.Judged), "HELO rules could not be evaluated",
		})
	}
	if s.Labelled() {
		list = append(list, Figure{
			"labelled", Group(s.Ham + s.Spam), percent(s.Ham+s.Spam, s.Judged),
			fmt.Sprintf("ham %s, spam %s", Group(s.Ham), Group(s.Spam)),
		})
	}
	return list
}

func (s *Section) who() string {
	who := Plural(s.Clients, "client") + " in " + Plural(s.Networks, "network") + " (IPv4 /24, IPv6 /48)"
	if s.More {
		return "the first " + who
	}
	return who
}

// trouble returns how many transactions had unsure rules. In recorded facts, that is no failed lookup.
func (s *Section) trouble() Figure {
	name, note := "lookups failed", "at least one rule unsure; PTR unknown "+Group(s.Trouble.PTR)
	if s.DNS == recorded {
		name = "not recorded"
	} else {
		note += ", resolver degraded " + Group(s.Trouble.Degraded)
	}
	return Figure{name, Group(s.Trouble.Unsure), percent(s.Trouble.Unsure, s.Judged), note}
}

// UnsureBy returns the causes of unsure rules with the most transactions, or "".
func (s *Section) UnsureBy() string {
	const most = 6
	var list []string
	for _, c := range s.Causes[:min(len(s.Causes), most)] {
		list = append(list, c.String()+" "+Group(c.Count))
	}
	text := strings.Join(list, ", ")
	if more := len(s.Causes) - most; more > 0 {
		text += ", and " + Plural(more, "more cause")
	}
	return text
}

// minute is the layout of a time.
const minute = "2006-01-02 15:04"

// Labelled reports whether some mail is labelled ham or spam.
func (s *Section) Labelled() bool { return s.Ham+s.Spam > 0 }

// Active returns the rules with hits, those with the most clients first.
func (s *Section) Active() []RuleSummary {
	list := slices.DeleteFunc(slices.Clone(s.Rules), func(r RuleSummary) bool { return r.Hits == 0 })
	slices.SortStableFunc(list, func(a, b RuleSummary) int { return b.Clients - a.Clients })
	return list
}

// OnlyUnsure returns the rules that were unsure and have no hits, with their transactions.
func (s *Section) OnlyUnsure() string {
	var list []string
	for _, r := range s.Rules {
		if r.Hits == 0 && r.Unsure > 0 {
			list = append(list, r.Rule+" "+Group(r.Unsure))
		}
	}
	return strings.Join(list, ", ")
}

// Rungs returns the rungs of the rules with hits.
func (s *Section) Rungs() []Rung {
	return slices.DeleteFunc(slices.Clone(s.Ladder), Rung.idle)
}

// Idle returns a sentence on the rules without hits.
func (s *Section) Idle() string {
	unsaid := 0
	for i := range s.Ladder {
		unsaid += count(s.Ladder[i].Recommendation == NoSay)
	}
	text := Plural(len(s.Ladder)-len(s.Rungs()), "rule") + " hit no client"
	if unsaid > 0 {
		text += fmt.Sprintf("; %d of them could not be evaluated for any client", unsaid)
	}
	return text + "."
}

func (s Rung) idle() bool { return s.All.Hit+s.Good.Hit == 0 }

// Examples returns the examples of a rule.
func (s *Section) Examples(rule string) []Example {
	i := slices.IndexFunc(s.Rules, func(r RuleSummary) bool { return r.Rule == rule })
	return s.Rules[i].Examples
}

// String returns a share such as "0 of 277, at most 1.4 %".
func (s Share) String() string {
	if s.Of == 0 {
		return "0 of 0"
	}
	digits := 1
	if s.AtMost < 0.001 {
		digits = 2
	}
	return fmt.Sprintf("%s of %s, at most %.*f %%", Group(s.Hit), Group(s.Of), digits, 100*s.AtMost)
}

// Unreadable returns what could not be read, or "".
func (r *Report) Unreadable() string {
	text := ""
	if r.Broken > 0 {
		text = Plural(r.Broken, "line") + " could not be read; --verbose shows why."
	}
	if r.Unread > 0 {
		text += " " + Plural(r.Unread, "file") + " could not be read, or only in part."
	}
	for _, lost := range r.Lost {
		text += " " + lost + "."
	}
	return strings.TrimSpace(text)
}

// Pasting returns where the lines go. They replace existing keys, since a duplicate key is an error in TOML.
func (s *Section) Pasting() string {
	text := "replacing existing keys: two lines at the top of the configuration, the rest into [rules]"
	if strings.Contains(s.TOML, "[scores]") {
		text += " and [scores]"
	}
	return text
}

// Caveat explains what the figures mean and what they cannot show.
const Caveat = "A client looks legitimate if its mail is labelled ham, if it is on the allow list or in a " +
	"network from which users log in, if its PTR confirms its HELO, or if its HELO passes SPF; and, for rules " +
	"that the careful profile does not enforce, if it has a confirmed PTR name that is not dynamic. One such " +
	"transaction is enough, but PTR and SPF do not count for a client whose labelled mail is all spam. " +
	"\"At most\" is the upper end of the 95 % confidence interval (Wilson). Legitimate mail with none of these " +
	"signs cannot be recognized here: look at the examples, and start with one rule."

// Group formats a number with commas between thousands.
func Group(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// Plural formats a number of something, such as "1 client" or "1,200 clients".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Group(n) + " " + noun + "s"
}

// percent formats n of of. It never rounds to 0 % or 100 % what is not.
func percent(n, of int) string {
	share := 100 * float64(n) / float64(max(of, 1))
	switch {
	case n > 0 && share < 0.05:
		return "<0.1 %"
	case n < of && share >= 99.95:
		return ">99.9 %"
	default:
		return fmt.Sprintf("%.1f %%", share)
	}
}
