package evidence

import (
	"net/netip"
	"slices"
	"strings"

	"helo-milter/checks"
	"helo-milter/checks/clean"
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

// client is what is kept of a client that was judged or is on the allow list. There may be very many.
type client struct {
	hit, spoke ruleSet // the rules that failed, and those that had a word to say
	last       int64   // when it would have been refused, in seconds
	refused    int32   // transactions
	looks      looks
	judged     bool // and not only allowed
	spare      bool // one too many: nobody sees it again
}

// maxClients is how many clients of a kind are told apart: the first ones.
const maxClients = 1_000_000

// client is good until the next one is asked for.
func (c *counts) client(addr netip.Addr) *client {
	key := addr.As16() // without a zone
	place, known := c.places[key]
	switch {
	case known:
	case c.room <= 0:
		c.room = -1
		return &client{spare: true}
	default:
		c.room--
		place = int32(len(c.clients))
		c.places[key] = place
		c.clients = append(c.clients, client{})
	}
	return &c.clients[place]
}

// looks are those of a client that is shown.
func (c *counts) looks(addr netip.Addr) looks { return c.clients[c.places[addr.As16()]].looks }

// Example is a client that a rule has hit. Its texts are clean.
type Example struct {
	Client netip.Addr `json:"client"`
	Helo   string     `json:"helo"`
	PTR    string     `json:"ptr"`  // a confirmed one, if there is one
	Good   bool       `json:"good"` // it looks good, see Rung.Against
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
	helo := r.Facts.LastHelo().Raw
	return Example{Client: r.Client.WithZone(""), Helo: clean.Report(helo), PTR: clean.Report(ptr)}
}

// maxExamples is how many clients are shown of a rule.
const maxExamples = 3

// wants tells whether a client may be among those that are shown: the first ones, and rather those that look
// good, since they are what somebody should look at.
func (c *ruleCounts) wants(good bool) bool {
	n := len(c.examples)
	return n < maxExamples || good && !c.examples[n-1].Good
}

func (c *ruleCounts) example(e Example, good bool) {
	if slices.ContainsFunc(c.examples, func(x Example) bool { return x.Client == e.Client }) {
		return
	}
	e.Good = good
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
