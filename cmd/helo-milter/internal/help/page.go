package help

import (
	"embed"
	"html/template"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"helo-milter/checks"
	"helo-milter/checks/clean"
)

//go:embed page.css
var stylesheet string

//go:embed page.js
var script string

//go:embed page.html rule.html
var sources embed.FS

// templates are those of page.html and rule.html. html/template escapes what enters them; what could mislead a reader
// is cleaned before.
var templates = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"quote":    quote,
		"sentence": sentence,
		"utc":      func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
		"machine":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"badge":    func(c colour) badge { return badges[c] },
		"lower":    strings.ToLower,
	}).ParseFS(sources, "*.html"))
})

// renderPage writes the page of a ticket.
func renderPage(w io.Writer, s *State) error { return templates().ExecuteTemplate(w, "page", s.see()) }

// renderLive writes the part of it that changes: what is in the element "live".
func renderLive(w io.Writer, s *State) error { return templates().ExecuteTemplate(w, "live", s.see()) }

// renderRule writes the page of a rule.
func renderRule(w io.Writer, rule *checks.Rule) error {
	return templates().ExecuteTemplate(w, "rule", ruleView{rule})
}

// renderRules writes the list of rules, with what this host is.
func renderRules(w io.Writer) error { return templates().ExecuteTemplate(w, "rules", checks.All) }

// renderGone writes the page of each link that is not valid. It must not depend on why.
func renderGone(w io.Writer) error { return templates().ExecuteTemplate(w, "gone", nil) }

// badge is how a colour is shown: never by itself, since some do not see it, and paper has none.
type badge struct{ Name, Mark, Word string }

var badges = [...]badge{
	green: {"green", "✓", "Good now"},
	blue:  {"blue", "i", "Not refused for this"},
	grey:  {"grey", "–", "Not tested yet"},
	amber: {"amber", "?", "Could not be asked"},
	red:   {"red", "✗", "Still wrong"},
}

// quote is for what a client said: whole, but for a client that says more than a host name has room for.
func quote(text string) string { return clean.Quoted(text, 512) }

// sentence makes one of a clause.
func sentence(clause string) string {
	first, size := utf8.DecodeRuneInString(clause)
	return strings.ToUpper(string(first)) + clause[size:] + "."
}

// Banner is the conclusion.
func (v *view) Banner() banner {
	known := v.Now != nil
	switch c := max(v.DNS.Colour, v.Helo.Colour); {
	case v.Exempt && v.Next.Exempt == checks.AllowList:
		return banner{green, "Accepted", "The receiving server has made an exception for this server: its mail is not " +
			"judged any more. Send the message again."}
	case !known && len(v.Ticket.Rules) > 0 && v.Test == nil:
		return banner{red, "What is wrong", ""}
	case !known && c == grey && len(v.Ticket.Rules) == 0 && v.Ticket.Unsure:
		return banner{amber, "The DNS could not be asked", "A DNS lookup failed that was needed to judge this server. " +
			"Nothing is known to be wrong. Its mail was deferred, not refused, and the server tries again by itself."}
	case !known && c == grey && len(v.Ticket.Rules) == 0:
		return banner{green, "Nothing was wrong", "This server was judged, and no rule had anything against it."}
	case c == green:
		return banner{green, "All good", "Nothing is wrong any more. Send the message again."}
	case c == blue:
		return banner{blue, "Accepted here", "This server is not refused any more. What is left below is noted only, " +
			"but other receivers may refuse mail for it."}
	case c == amber:
		return banner{amber, "The DNS could not be asked", "Not all questions got an answer, so nobody knows yet whether " +
			"everything is right. Try again in some minutes. Nothing is held against this server for it."}
	case c == red:
		return banner{red, "Still wrong", ""}
	case v.Helo.Colour == grey:
		return banner{grey, "The DNS is right, and the greeting is left", "Send any mail to us, and see below what " +
			"this server says then."}
	default:
		return banner{grey, "Half of it is tested", "See below what is not tested yet."}
	}
}

type banner struct {
	Colour      colour
	Title, Text string
}

// Wrong is the rule that a red banner names: the deciding one, if it is still so.
func (v *view) Wrong() *checks.Rule {
	rows := slices.Concat(v.DNS.Rows, v.Helo.Rows)
	for _, want := range []func(r row) bool{
		func(r row) bool { return r.Decided && r.Colour >= grey },
		func(r row) bool { return r.Colour == red },
		func(r row) bool { return r.Colour >= grey },
	} {
		if i := slices.IndexFunc(rows, want); i >= 0 {
			return rows[i].Rule
		}
	}
	return nil
}

// Then and Answers are what the DNS said.
func (v *view) Then() []answer { return v.Ticket.answers() }

// Answers is what it says now.
func (v *view) Answers() []answer { return answers(v.Now.Facts) }

// Seconds until the DNS may be asked again.
func (v *view) Seconds() int { return v.seconds() }

// Tested reports whether what is shown of the DNS is that of a test.
func (v *view) Tested() bool { return v.Now != nil && v.Now == v.Test }

// Pair is a half with its page, for a template.
func (v *view) Pair(h half) pair { return pair{v, h} }

type pair struct {
	V *view
	half
}

// Said reports whether a detail says more than the greeting and the address do.
func (r row) Said(v *view) bool {
	return r.Detail != "" && r.Detail != v.Ticket.Client.String() && r.Detail != v.Now.Helo.Raw
}

// ruleView is what the page of a rule shows.
type ruleView struct{ *checks.Rule }

// example is a server that a rule's page takes for an example (RFC 5737), and what it is to be called.
const exampleName = "mail.example.org"

// Steps are those of a server that fails the rule.
func (r ruleView) Steps() []checks.Step {
	past := checks.Recorded{Client: netip.AddrFrom4([4]byte{192, 0, 2, 1}), Said: true, Reverse: checks.ReverseMissing}
	record := &checks.Record{
		Client: past.Client, Facts: past.Facts(checks.Site{}),
		Findings: []checks.RuleFinding{{Rule: r.Name, Result: checks.Fail, Action: checks.Mark}},
	}
	return checks.AdviseName(record, exampleName).Steps
}

// Profiles are what the three profiles do.
func (r ruleView) Profiles() []string {
	words := map[checks.Action]string{
		checks.Off: "does not look at it", checks.Mark: "notes it, and refuses nobody for it alone",
		checks.TempFail: "defers the mail", checks.Reject: "refuses the mail",
	}
	var lines []string
	for i, profile := range []string{"careful", "standard", "strict"} {
		lines = append(lines, profile+" "+words[r.Actions[i]])
	}
	return lines
}
