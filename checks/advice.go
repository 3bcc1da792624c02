package checks

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// Advice is what a client's administrator must change so that no rule fails again. All of it is safe in a
// terminal, a zone file and a configuration: a name that is not is never advised.
type Advice struct {
	Name    string // what the client should be called: in HELO, in its PTR record and in the DNS
	Example bool   // Name is a placeholder: the facts suggest no name
	Names   bool   // names or DNS records are wrong; false if the client is only on a list
	Fixed   bool   // they are of a provider, and nobody who sends mail by it can change them
	Steps   []Step // in the order in which to take them
}

// Step is one thing to change.
type Step struct {
	Text     string    // as a sentence or two
	Records  []string  // lines of a zone, or a part of a record
	Settings []Setting // of which the reader's mail server has one
}

// ofHelo reports whether the step is to set the HELO name.
func (s Step) ofHelo() bool { return len(s.Settings) > 0 }

// Setting is where and how a mail server sets its HELO name.
type Setting struct{ Place, Line string }

// exampleName stands for the name of a client that has none.
const exampleName = "mail.example.org"

// Advise returns the advice for the client of a record. A name that it did not send was not looked up as a
// HELO: its SPF record may fail, or a block list have it. So judge makes a record of the client as if it had
// sent that name, and what is wrong then comes first. judge is nil where the DNS cannot be asked.
func Advise(r *Record, judge func(helo string) *Record) Advice {
	name := r.Facts.bestName(r.RcptTo)
	if name == "" {
		return advise(r, exampleName, true)
	}
	a := AdviseName(r, name)
	if judge == nil || r.Helo.Name == name || !slices.ContainsFunc(a.Steps, Step.ofHelo) {
		return a
	}
	judged := AdviseName(judge(name), name).Steps
	// Whether the name leads to the client is known now.
	a.Steps = without(a.Steps, without(r.Facts.address(name), judged))
	a.Steps = slices.Insert(a.Steps, slices.IndexFunc(a.Steps, Step.ofHelo), without(judged, a.Steps)...)
	return a
}

// without returns the steps that are not among others.
func without(steps, others []Step) []Step {
	return slices.DeleteFunc(slices.Clone(steps), func(step Step) bool {
		return slices.ContainsFunc(others, func(s Step) bool { return s.Text == step.Text })
	})
}

// AdviseName returns the advice for a client that is to be called by a certain name.
func AdviseName(r *Record, name string) Advice { return advise(r, name, false) }

func advise(r *Record, name string, example bool) Advice {
	names := failuresOf(r).ofNames()
	return Advice{name, example, names, names && r.Facts.ofMicrosoft365(), steps(r, name, example)}
}

// bestName is the name that needs the fewest changes: a confirmed one, preferably that of the HELO; the HELO
// name if it resolves to the client; a PTR name that does not resolve yet, or that only lacks its final dot;
// the HELO name if that does not resolve. A name that is known to be in use elsewhere is never chosen, nor an
// organisational domain: one more address would mislead its visitors. "" is none.
func (f *Facts) bestName(rcpts []string) string {
	g := Greeting{Helo: f.LastHelo()}
	if n := len(f.Greetings); n > 0 {
		g = f.Greetings[n-1]
	}
	helo := g.Helo.Name
	distance := func(name string) int {
		switch {
		case name == helo:
			return 0
		case sameOrg(name, helo):
			return 1
		}
		return 2
	}
	names := f.Confirmed()
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(distance(a), distance(b)) })
	if slices.Contains(g.Addrs(), f.Client) {
		names = append(names, helo)
	}
	for _, name := range f.claimed(&g) {
		ofRcpt := func(rcpt string) bool { return Domain(rcpt) == name }
		others := f.Site.owns(name) || brandOf(name) != nil || slices.ContainsFunc(rcpts, ofRcpt)
		if isHostName(name) && orgDomain(name) != name && !others {
			names = append(names, name)
		}
	}
	if i := slices.IndexFunc(names, f.fits); i >= 0 {
		return names[i]
	}
	return ""
}

// claimed returns the names that the client claims and that may be made to lead to it: those of its PTR
// records and that of its last greeting.
func (f *Facts) claimed(last *Greeting) (names []string) {
	for _, h := range f.PTR.Values {
		if unresolved(h.Addrs) {
			names = append(names, h.Name)
		}
	}
	meant := f.withoutDot().name
	elsewhere := func(g Greeting) bool {
		return g.Helo.Name == meant && slices.ContainsFunc(g.Addrs(), Public)
	}
	if !slices.ContainsFunc(f.Greetings, elsewhere) {
		names = append(names, meant)
	}
	if unresolved(last.A, last.AAAA) {
		names = append(names, last.Helo.Name)
	}
	return names
}

// unresolved reports whether the DNS says that a name has no address on the Internet.
func unresolved(answers ...Answer[netip.Addr]) bool {
	return !slices.ContainsFunc(answers, func(a Answer[netip.Addr]) bool {
		return a.Status < Missing || slices.ContainsFunc(a.Values, Public)
	})
}

// fits reports whether no rule has anything against a client that is called so in HELO, PTR and DNS.
func (f *Facts) fits(name string) bool {
	itself := Answer[netip.Addr]{Status: Found, Values: []netip.Addr{f.Client}}
	called := &Facts{
		Client: f.Client, Site: f.Site, PTRCount: 1,
		PTR:       Answer[Host]{Status: Found, Values: []Host{{Name: name, Addrs: itself}}},
		Greetings: []Greeting{{Helo: ParseHelo(name), A: itself}},
	}
	failed := func(found Finding) bool { return found.Result == Fail }
	return !slices.ContainsFunc(Evaluate(called, nil, ""), failed)
}

// failures are the rules that failed and count.
type failures map[string]bool

func failuresOf(r *Record) failures {
	failed := failures{}
	for _, found := range r.Findings {
		if found.Result == Fail && found.Action != Off {
			failed[found.Rule] = true
		}
	}
	return failed
}

func (f failures) any(rules ...string) bool {
	return slices.ContainsFunc(rules, func(rule string) bool { return f[rule] })
}

// ofHelo reports whether there is anything wrong that another HELO could cure.
func (f failures) ofHelo() bool {
	for rule := range f {
		if strings.HasPrefix(rule, "helo-") && rule != "helo-host-denied" {
			return true
		}
	}
	return false
}

// ofNames reports whether there is more wrong than that somebody listed the client.
func (f failures) ofNames() bool {
	for rule := range f {
		if !strings.HasSuffix(rule, "-denied") && !strings.HasSuffix(rule, "-listed") {
			return true
		}
	}
	return false
}
