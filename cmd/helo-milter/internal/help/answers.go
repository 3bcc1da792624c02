package help

import (
	"net/netip"
	"slices"
	"strings"

	"helo-milter/checks"
	"helo-milter/checks/clean"
)

// answer is what the DNS said to one question, as text that may be shown.
type answer struct {
	Of, Type string // the question
	Text     string // what was said
	Note     string // what that means, or ""
}

// shown is how many values of an answer are shown.
const shown = 10

// answers are what the DNS said of a client and of the greeting that it sent last. Why a lookup failed is our
// business: it may name our own servers.
func answers(f *checks.Facts) []answer {
	list := []answer{say(f.Client.String(), "PTR", &f.PTR, func(h checks.Host) string { return h.Name })}
	family := familyOf(f.Client)
	addrs := func(name, kind string, a *checks.Answer[netip.Addr]) {
		said := say(name, kind, a, netip.Addr.String)
		if a.Status == checks.Found && kind == family { // the other family's are never the client's
			said.Note = leads(slices.Contains(a.Values, f.Client))
		}
		list = append(list, said)
	}
	for i := range f.PTR.Values {
		h := &f.PTR.Values[i]
		addrs(h.Name, family, &h.Addrs)
	}
	if n := len(f.Greetings); n > 0 {
		g := &f.Greetings[n-1]
		text := func(value string) string { return value }
		addrs(g.Helo.Name, "A", &g.A)
		addrs(g.Helo.Name, "AAAA", &g.AAAA)
		list = append(list, say(g.Helo.Name, "MX", &g.MX, text), say(g.Helo.Name, "SPF", &g.SPF, text))
	}
	seen := map[[2]string]bool{}
	return slices.DeleteFunc(list, func(a answer) bool {
		question := [2]string{a.Of, a.Type}
		again := seen[question]
		seen[question] = true
		return a.Text == "" || again
	})
}

// familyOf is the type of the records with such addresses.
func familyOf(client netip.Addr) string {
	if client.Is6() {
		return "AAAA"
	}
	return "A"
}

// leads says whether a name's addresses have that of the client.
func leads(there bool) string {
	if there {
		return "this server"
	}
	return "not this server"
}

// say is an answer in words; its text is "" where nobody asked.
func say[T any](of, kind string, a *checks.Answer[T], text func(T) string) answer {
	said := answer{Of: clean.Terminal(of), Type: kind}
	switch a.Status {
	case checks.Failed:
		said.Text = "could not be asked: no answer"
	case checks.Missing:
		said.Text = "no record"
	case checks.Found:
		var values []string
		for _, v := range a.Values[:min(len(a.Values), shown)] {
			values = append(values, clean.Terminal(text(v)))
		}
		said.Text = strings.Join(values, ", ")
		if len(a.Values) > shown {
			said.Text += ", …"
		}
	}
	return said
}

// answers are the same for a ticket.
func (t *Ticket) answers() []answer {
	list := []answer{t.PTR.say(t.Client.String(), "PTR")}
	if t.PTR.Leads {
		list[0].Note = "leads back to this server"
	}
	if name := checks.ParseHelo(t.Helo).Name; name != "" && !t.Cut() {
		said := t.Addr.say(name, familyOf(t.Client))
		if t.Addr.Status == checks.Found {
			said.Note = leads(t.Addr.Leads)
		}
		list = append(list, said)
	}
	return slices.DeleteFunc(list, func(a answer) bool { return a.Text == "" })
}

// Open reports whether a lookup failed, so that not all is known of the client.
func (t *Ticket) Open() bool {
	return t.Unsure || t.PTR.Status == checks.Failed || t.Addr.Status == checks.Failed
}

// Named reports whether the PTR record is as it should be.
func (t *Ticket) Named() bool {
	ofPTR := func(rule string) bool { return strings.HasPrefix(rule, "ptr-") }
	return t.PTR.Leads && !slices.ContainsFunc(t.Rules, ofPTR)
}

func (s *Said) say(of, kind string) answer {
	a := &checks.Answer[string]{Status: s.Status}
	if s.Value != "" {
		a.Values = []string{s.Value}
	}
	said := say(of, kind, a, func(value string) string { return value })
	switch {
	case s.Status != checks.Found:
	case s.Value == "":
		said.Text = "a record that is too long for this link"
	case s.More > 0:
		said.Text += " and others"
	}
	return said
}
