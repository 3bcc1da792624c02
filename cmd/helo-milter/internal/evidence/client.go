package evidence

import (
	"net/netip"
	"slices"
	"strings"

	"helo-milter/checks"
)

// looks are reasons to think that a client's mail is good.
type looks uint8

const (
	confirmed looks = 1 << iota // a confirmed PTR name is the HELO or of its organisation
	spfPass                     // the SPF record of the HELO name allows the client
	named                       // a confirmed PTR name that does not look dynamic, whatever was said in HELO
	ham                         // somebody has labelled its mail so
	allowed                     // on the allow list
	login                       // somebody in the client's network has logged in
	spam                        // somebody has labelled its mail so: no reason, but against some
)

// settled are the looks when all records are known: good names do not excuse a client of which all that was
// labelled is spam.
func (l looks) settled(loggedIn bool) looks {
	if l&(spam|ham) == spam {
		l &^= confirmed | spfPass | named
	}
	if loggedIn {
		l |= login
	}
	return l
}

// client is what is kept of a client that was judged or is on the allow list.
type client struct {
	hit, spoke ruleSet // the rules that failed, and those that had a word to say
	looks      looks
	judged     bool // and not only allowed
	refused    int  // transactions
	last       Example
	lastTime   int64
	lastRule   int8
}

// Example is a client that a rule has hit. Its texts are clean.
type Example struct {
	Client netip.Addr `json:"client"`
	Helo   string     `json:"helo"`
	PTR    string     `json:"ptr"`  // a confirmed one, if there is one
	Good   bool       `json:"good"` // it looks good, see Step.Against
}

// looksOf are the looks that a record by itself can show.
func looksOf(r *checks.Record) looks {
	var l looks
	if labelled(r, "ham") {
		l |= ham
	}
	if labelled(r, "spam") {
		l |= spam
	}
	if r.Facts.Named() {
		l |= named
	}
	for i := range r.Facts.Greetings {
		g := &r.Facts.Greetings[i]
		if r.Facts.Owns(g.Helo) {
			l |= confirmed
		}
		if slices.Contains(g.SPF.Values, "pass") {
			l |= spfPass
		}
	}
	return l
}

func example(r *checks.Record) Example {
	names := r.Facts.Confirmed()
	if len(names) == 0 && len(r.Facts.PTR.Values) > 0 {
		names = []string{r.Facts.PTR.Values[0].Name}
	}
	ptr := strings.Join(names[:min(len(names), 1)], "")
	return Example{Client: r.Client, Helo: clean(r.Facts.LastHelo().Raw), PTR: clean(ptr)}
}

// maxExamples is how many clients are shown of a rule.
const maxExamples = 3

// example keeps the first clients, and rather those that look good: they are what somebody should look at.
func (c *ruleCounts) example(e Example) {
	if slices.ContainsFunc(c.examples, func(x Example) bool { return x.Client == e.Client }) {
		return
	}
	c.examples = append(c.examples, e)
	slices.SortStableFunc(c.examples, func(a, b Example) int { return count(b.Good) - count(a.Good) })
	c.examples = c.examples[:min(len(c.examples), maxExamples)]
}

// network is what one owner is thought to have.
func network(addr netip.Addr) netip.Prefix {
	bits := 24
	if addr.Is6() {
		bits = 48
	}
	prefix, _ := addr.Prefix(bits) // of no address, the zero Prefix
	return prefix
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// clean makes text from the network fit for every output: each rune that is not printable ASCII becomes "?",
// and it is cut after 64.
func clean(text string) string {
	const limit = 64
	b := make([]byte, 0, limit)
	for _, r := range text {
		if len(b) == limit {
			return string(b[:limit-2]) + ".."
		}
		if r < ' ' || r > '~' {
			r = '?'
		}
		b = append(b, byte(r))
	}
	return string(b)
}
