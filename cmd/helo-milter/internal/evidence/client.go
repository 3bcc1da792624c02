package evidence

import (
	"net/netip"
	"slices"
	"strings"

	"helo-milter/checks"
	"helo-milter/checks/clean"
)

// looks are signs that a client's mail is legitimate.
type looks uint8

const (
	confirmed looks = 1 << iota // a confirmed PTR name is the HELO or of its organisation
	spfPass                     // the SPF record of the HELO name allows the client
	named                       // a confirmed PTR name that does not look dynamic, whatever the HELO
	ham                         // some of its mail is labelled ham
	allowed                     // on the allow list
	login                       // a user in the client's network has logged in
	spam                        // some of its mail is labelled spam: not a sign, but against some of them
)

// settled returns the looks once all records are read: names and SPF do not count for a client whose labelled
// mail is all spam.
func (l looks) settled(loggedIn bool) looks {
	if l&(spam|ham) == spam {
		l &^= confirmed | spfPass | named
	}
	if loggedIn {
		l |= login
	}
	return l
}

// client is a client that was judged or is on the allow list. There may be a million, so it is small.
type client struct {
	hit, spoke ruleSet // the rules that failed, and those that could be evaluated
	last       int64   // time of the last refused transaction, Unix seconds
	refused    int32   // transactions that would be refused
	looks      looks   // all that its records show
	settled    looks   // those that count, by the last Report: the next record may change them
	times      times
	by         uint8 // the rule of the last refused transaction: 1 + its index in checks.All; 0 is none
}

// judged reports whether a client was judged at least once; else it is only on the allow list.
func (c *client) judged() bool { return c.times&everJudged != 0 }

// good reports whether the client looks legitimate to the rule that refused it last. Its looks must be settled.
func (c *client) good() bool { return c.by > 0 && c.settled&against(int(c.by)-1) != 0 }

// maxClients is how many clients of a kind are distinguished: the first ones.
const maxClients = 1_000_000

// client returns the client of an address. The pointer is valid until the next call.
func (c *counts) client(addr netip.Addr) *client {
	key := addr.As16() // without a zone
	place, known := c.places[key]
	switch {
	case known:
	case len(c.clients) >= c.limit:
		c.more, c.beyond = true, client{}
		return &c.beyond
	default:
		place = int32(len(c.clients))
		c.places[key] = place
		c.clients = append(c.clients, client{})
	}
	return &c.clients[place]
}

// kept reports whether a client is not beyond the limit.
func (c *counts) kept(who *client) bool { return who != &c.beyond }

// looks returns the looks of a client that is shown. They have to be settled.
func (c *counts) looks(addr netip.Addr) looks { return c.clients[c.places[addr.As16()]].settled }

// LooksGood reports whether a client, by the live records so far, looks legitimate to a rule: whether that it is hit is
// evidence against the rule. Of a client that is not known, and to what is no rule, it is false.
func (t *Tally) LooksGood(client netip.Addr, rule string) bool {
	c, i := t.kinds[0], checks.Index(rule)
	place, known := c.places[client.As16()]
	if !known || i < 0 {
		return false
	}
	return c.clients[place].looks.settled(c.logins[network(client)])&against(i) != 0
}

// Example is a client that a rule has hit. Helo and PTR are printable ASCII of at most 64 bytes.
type Example struct {
	Client netip.Addr `json:"client"`
	Helo   string     `json:"helo"`
	PTR    string     `json:"ptr"`  // a confirmed name, if there is one
	Good   bool       `json:"good"` // it looks legitimate, see Rung.Against
}

// looksOf returns the looks that a single record shows.
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

// maxExamples is how many clients are shown for a rule.
const maxExamples = 3

// wants reports whether a client may become an example: legitimate-looking ones first, since they should be
// looked at, and then those seen first.
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

// network returns the network that is taken to belong to one owner: an IPv4 /24 or an IPv6 /48.
func network(addr netip.Addr) netip.Prefix {
	bits := 24
	if addr.Is6() {
		bits = 48
	}
	prefix, _ := addr.Prefix(bits) // the zero Prefix for the zero Addr
	return prefix
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
