package checks

import (
	"net/netip"
	"time"
)

// Census knows what the hosts of a fleet have seen of clients before. Its methods do not block: an answer comes once, or
// the channel is closed without one, both soon.
type Census interface {
	Client(client netip.Addr) <-chan SeenClient
	Helo(client netip.Addr, name string) <-chan SeenHelo // a name in canonical form
}

// SeenDays is how many days a Census looks back.
const SeenDays = 7

// SeenClient is what was seen of a client before this session.
type SeenClient struct {
	Names int `json:"names"` // different HELO names that it said
}

// SeenHelo is what was seen of a HELO name before this session. The counts are bounded: from some dozens on they are
// lower bounds.
type SeenHelo struct {
	Networks      int       `json:"networks"`       // of clients that said it: /24 for IPv4, /48 for IPv6
	Organisations int       `json:"organisations"`  // organisational domains of those clients' confirmed PTR names
	Since         time.Time `json:"since,omitzero"` // when this client said it first, as far as is known; zero: never
}

// The numbers from which helo-shared and helo-many fail.
const (
	sharedNetworks = 3
	manyNames      = 10
)

// Sighting is what a Census has to be told of a decision.
type Sighting struct {
	Client       netip.Addr
	Helo         string // canonical
	Organisation string // organisational domain of the first confirmed PTR name; "" is none
}

// Sighting reports what a decision adds to a Census: nothing for a client that is exempt, or whose HELO is no name.
func (d *Decision) Sighting() (s Sighting, ok bool) {
	f := d.Facts
	s = Sighting{Client: f.Client, Helo: f.LastHelo().Name}
	if d.Verdict.Exempt != "" || !f.Client.IsValid() || f.LastHelo().Form&FormName == 0 {
		return s, false
	}
	for _, name := range f.Confirmed() {
		if s.Organisation = orgDomain(name); s.Organisation != "" {
			break
		}
	}
	return s, true
}

// hear takes the answers of the census that are there, or come before its time is over. What does not is never known:
// facts that were handed out do not change.
func (l *lookups) hear() {
	if l.dns == nil || l.dns.Census == nil {
		return
	}
	until := time.Now().Add(l.dns.Patience)
	if l.asked != nil {
		l.seen, l.asked = receive(l.asked, until), nil
	}
	for _, g := range l.greeted {
		if g.asked != nil {
			g.known[0].Seen, g.asked = receive(g.asked, until), nil
		}
	}
}

// receive returns an answer that is there or comes before a moment, or nil.
func receive[T any](answers <-chan T, until time.Time) *T {
	select {
	case answer, ok := <-answers:
		if ok {
			return &answer
		}
		return nil
	default:
	}
	late := time.NewTimer(time.Until(until))
	defer late.Stop()
	select {
	case answer, ok := <-answers:
		if ok {
			return &answer
		}
	case <-late.C:
	}
	return nil
}
