package help

import (
	"embed"
	"html/template"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"helo-milter/checks"
	"helo-milter/checks/clean"
)

//go:embed page.css
var stylesheet string

// script expects of the server: unnamed events of PAGE/events, each with what renderLive writes, the first
// one at once; and that a POST with the header X-Requested-With is answered with a status of 2xx, whatever
// comes of it.
//
//go:embed page.js
var script string

//go:embed page.html rule.html
var sources embed.FS

// templates are those of page.html and rule.html. html/template escapes what enters them; what could mislead
// a reader is cleaned before, and stands in an element that shows it from left to right. Links are relative, since
// a proxy may put us below a path.
var templates = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"sentence": sentence,
		"badge":    func(c colour) badge { return badges[c] },
		"utc":      func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
		"machine":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	}).ParseFS(sources, "*.html"))
})

// renderPage writes the page of a ticket.
func renderPage(w io.Writer, s *State) error { return templates().ExecuteTemplate(w, "page", s.see()) }

// renderLive writes the part of it that changes: what is in the element with the id "live".
func renderLive(w io.Writer, s *State) error { return templates().ExecuteTemplate(w, "live", s.see()) }

// renderRule writes the page of a rule.
func renderRule(w io.Writer, rule *checks.Rule) error {
	return templates().ExecuteTemplate(w, "rule", &ruleView{rule})
}

// renderRules writes what this host is, and the list of rules.
func renderRules(w io.Writer) error { return templates().ExecuteTemplate(w, "rules", groups()) }

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

// quote is for what was said: a SMTP command has at most 512 bytes (RFC 5321 §4.5.3.1.4).
func quote(text string) string { return clean.Quoted(text, 512) }

// sentence makes one of a clause.
func sentence(clause string) string {
	first, size := utf8.DecodeRuneInString(clause)
	return strings.ToUpper(string(first)) + clause[size:] + "."
}

// Badge is the row's.
func (r row) Badge() badge {
	b := badges[r.Colour]
	if r.Colour == red && !r.Known {
		b.Word = "Wrong now"
	}
	return b
}

// Wrong reports whether there is something to change, as far as anybody knows.
func (r row) Wrong() bool { return r.Colour != green && r.Colour != amber }

// Sentence is what the rule says, as it is now.
func (r row) Sentence() string {
	switch r.Colour {
	case green:
		return sentence("no longer: " + r.Rule.Doc)
	case amber:
		return sentence("not known now: " + r.Rule.Doc)
	default:
		return sentence(r.Rule.Doc)
	}
}

// Good reports whether nothing is wrong.
func (h half) Good() bool { return h.Colour == green }

// Done reports whether there is nothing left to test.
func (v *view) Done() bool { return v.Banner().Badge == badges[green] }

// greeting is what a client said, as text that may be shown.
type greeting struct {
	Sent, Cut bool
	Text      string
}

// Said is the greeting of the ticket.
func (v *view) Said() greeting {
	return greeting{!v.Ticket.Silent(), v.Ticket.Cut(), quote(v.Ticket.Helo)}
}

// Heard is that of the next session.
func (v *view) Heard() greeting {
	return greeting{v.Next.Helo.Form != checks.FormMissing, false, quote(v.Next.Helo.Raw)}
}

// Then is what the DNS said when the client was judged.
func (v *view) Then() []answer { return v.Ticket.answers() }

// Answers is what it says now.
func (v *view) Answers() []answer { return answers(v.Now.Facts) }

// Seconds until the DNS may be asked again.
func (v *view) Seconds() int { return int((v.Wait + time.Second - 1) / time.Second) }

// Tested reports whether what is shown of the DNS is that of a test, not of a session.
func (v *view) Tested() bool { return v.Now == v.Test }

// Failed reports whether a test ended without a result.
func (v *view) Failed() bool { return v.Now == nil && v.Test != nil }
