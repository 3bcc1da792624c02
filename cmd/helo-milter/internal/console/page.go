package console

import (
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"helo-milter/checks"
	"helo-milter/checks/clean"
	"helo-milter/cmd/helo-milter/internal/evidence"
)

//go:embed page.css
var stylesheet string

//go:embed page.js
var script string

//go:embed *.html
var sources embed.FS

// templates are those of the files. html/template escapes what enters them; what could mislead a reader is cleaned
// before.
var templates = sync.OnceValue(func() *template.Template {
	t := template.New("").Funcs(evidence.Funcs()).Funcs(template.FuncMap{
		"utc":      func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
		"machine":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"share":    func(x float64) string { return fmt.Sprintf("%.0f %%", 100*x) },
		"report":   clean.Report,
		"typed":    typed,
		"at":       func(base string, view any) based { return based{base, view} },
		"sentence": sentence,
	})
	t = template.Must(t.Parse(evidence.Charts()))
	return template.Must(t.ParseFS(sources, "*.html"))
})

// based is data of a template with what leads to the first page.
type based struct {
	Base string
	View any
}

// frame is what every page has.
type frame struct {
	Base  string
	Title string
	Name  string // of the template
	Live  string // what sends the part that changes; "" is nothing
	Menu  []menuItem
	View  view

	Host, Mode, Profile string
	Source              string
	Notes               []string
}

type menuItem struct {
	Path, Title string
	Here        bool
}

func (c *Console) frame(r *http.Request, p *page, view view) *frame {
	s := c.settings.Load()
	f := &frame{
		Base: p.base(), Title: p.title, View: view, Mode: s.Config.Mode.String(), Profile: s.Config.Profile.String(),
	}
	if p.every > 0 {
		f.Live = p.base() + "live/" + strings.TrimPrefix(r.URL.EscapedPath(), "/console/")
	}
	f.Host = s.Config.Judge.Site.Hostname
	if f.Host == "" {
		f.Host, _ = os.Hostname()
	}
	f.Host = clean.Report(f.Host)
	for i := range pages {
		if one := &pages[i]; one.menu == one.path {
			f.Menu = append(f.Menu, menuItem{one.path, one.title, one.path == p.menu})
		}
	}
	f.Source, f.Notes = c.about()
	return f
}

// about says what the evidence is made of, and what a reader has to know of it.
func (c *Console) about() (source string, notes []string) {
	g, s := c.evidence(), c.settings.Load()
	at := g.standing()
	days, log := int(keptTime/(24*time.Hour)), "The decision log"
	switch {
	case at.Fleet:
		log = "What the hosts of the fleet share"
		source = fmt.Sprintf("%s of the last %d days, of %s of the fleet.", plural(at.Records, "decision"), days,
			plural(at.Hosts, "host"))
	case at.Logged:
		source = fmt.Sprintf("%s of the last %d days, read from %s.", plural(at.Records, "decision"), days,
			clean.Terminal(s.Config.DecisionLog))
	default:
		source = fmt.Sprintf("%s since the start of the daemon on %s UTC.", plural(at.Records, "decision"),
			c.began.UTC().Format("2006-01-02 15:04"))
	}
	lines, bytes := c.recent.size()
	source += fmt.Sprintf(" In memory: the last %s (%.1f MiB, at most %d), and at most %s.", plural(lines, "decision"),
		float64(bytes)/(1<<20), maxRecent>>20, plural(maxClients, "client"))
	c.mu.Lock()
	next, tail := c.next, c.tail
	c.mu.Unlock()
	if tail != nil {
		if away := tail.away(); away != "" {
			notes = append(notes, away)
		}
	}
	if at.Reading {
		notes = append(notes, fmt.Sprintf("%s is being read: %.0f %% so far.", log, 100*at.Share))
	}
	if next != nil {
		notes = append(notes, fmt.Sprintf("The configuration has changed, or a day has passed: the decisions are judged "+
			"again, %.0f %% so far. Until then these are the figures from before.", 100*next.standing().Share))
	}
	notes = append(notes, at.losses()...)
	if n := s.Dropped(); n > 0 {
		notes = append(notes, plural(int(n), "decision")+" came too fast to be shown here.")
	}
	return source, notes
}

// maxLacks is how many hosts are named of which something is missing.
const maxLacks = 5

// losses say what the evidence has not.
func (s *standing) losses() (notes []string) {
	if n := len(s.Lacks); n > 0 {
		text := strings.Join(s.Lacks[:min(n, maxLacks)], "; ")
		if n > maxLacks {
			text += "; and of " + plural(n-maxLacks, "further host")
		}
		notes = append(notes, "Missing in these figures, as far as is known: "+text+".")
	}
	switch {
	case s.Broken > 0 && s.Fleet:
		notes = append(notes, plural(s.Broken, "record")+" of the fleet could not be read.")
	case s.Broken > 0:
		notes = append(notes, plural(s.Broken, "line")+" of the decision log could not be read.")
	}
	return notes
}

// Text is what is wrong.
func (w *wrong) Text() string { return w.text }

// render writes a template. The part "main" of a page is the template of its name.
func render(w io.Writer, name string, f *frame) error {
	f.Name = f.View.template()
	return templates().ExecuteTemplate(w, name, f)
}

// Main is the part of a page that changes.
func (f *frame) Main() (template.HTML, error) {
	var b strings.Builder
	if err := templates().ExecuteTemplate(&b, f.Name, f); err != nil {
		return "", err
	}
	return template.HTML(b.String()), nil // what a template has made
}

// group and plural are how the report writes numbers.
func group(n int) string { return evidence.Group(n) }

func plural(n int, noun string) string { return evidence.Plural(n, noun) }

// rowView is a decision in a list.
type rowView struct {
	*checks.Record
	Host          string // of the fleet; "" without one
	PTR, From, To string
	Found         []foundRule
}

// foundRule is a rule that failed, or was unsure.
type foundRule struct {
	Rule            string
	Unsure, Decided bool
}

// rowOf is a row with its host, which has a column where there is a fleet.
func (c *Console) rowOf(host string, r *checks.Record) *rowView {
	v := rowOf(r)
	if c.settings.Load().Fleet != nil {
		v.Host = cmp.Or(host, r.MTA, "?")
	}
	return v
}

func rowOf(r *checks.Record) *rowView {
	v := &rowView{Record: r, From: r.MailFrom}
	switch ptr := &r.Facts.PTR; {
	case len(ptr.Values) > 0:
		v.PTR = ptr.Values[0].Name
	case ptr.Status == checks.Failed:
		v.PTR = "the lookup failed"
	case ptr.Status == checks.Missing:
		v.PTR = "no PTR"
	}
	if len(r.RcptTo) > 0 {
		v.To = r.RcptTo[0]
	}
	for _, f := range r.Findings {
		v.Found = append(v.Found, foundRule{f.Rule, f.Result == checks.Unsure, f.Rule == r.Verdict.Rule})
	}
	return v
}

// Refused reports whether the policy wanted to refuse it.
func (v *rowView) Refused() bool { return refuses(v.Record) }

// LetThrough reports whether a message that the policy wanted to refuse was not.
func (v *rowView) LetThrough() bool { return v.Refused() && v.Verdict.Did == "accept" }

// Key tells rows apart: a session may have several decisions.
func (v *rowView) Key() string {
	return fmt.Sprintf("%s-%d-%s", v.ID, v.Time.UnixMilli(), clean.Token(v.QueueID))
}

// More is how many recipients there are beside the first.
func (v *rowView) More() int { return max(0, len(v.RcptTo)-1) }

// typed is what somebody has typed, or was made to by a link, as it can be shown to be changed: with lines, and with "?"
// for what is not printable.
func typed(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, strings.ReplaceAll(text, "\r\n", "\n"))
}

// sentence makes one of a clause.
func sentence(clause string) string {
	first, size := utf8.DecodeRuneInString(clause)
	return strings.ToUpper(string(first)) + clause[size:] + "."
}
