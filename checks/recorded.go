package checks

import (
	"net/netip"
	"slices"
)

// Reverse is what a host recorded of its client's reverse name. Hosts look at one PTR name only.
type Reverse uint8

// What a host recorded. Most record the same for a client without a PTR name, for one whose name does not
// resolve back to it, and for a failed lookup: that is ReverseUnrecorded.
const (
	ReverseUnrecorded Reverse = iota
	ReverseMissing            // there is no PTR name
	ReverseForged             // the name does not resolve back to the client
	ReverseUnchecked          // the name was not looked up
	ReverseConfirmed          // the name resolves back: FCrDNS, RFC 8601 §2.7.3
)

// Recorded is what a host recorded of a client, in its log or in the header of a message. A field that it did
// not record is zero: unknown, which is never the same as missing.
type Recorded struct {
	Client  netip.Addr // unmapped; the zero Addr when nothing came over a network
	Helo    string     // what the client sent, if Said; "" when it is known to have sent nothing
	Said    bool       // whether the host recorded that: most logs do not
	Earlier []string   // what the client had sent in HELO before, in the same session
	Reverse Reverse
	Name    string // the PTR name that Reverse is about, in canonical form
	Login   bool   // the client had logged in
	// Confirmed are names that resolved back to the client in other records, in canonical form.
	Confirmed []string
}

// notRecorded is the error of an answer that can no longer be had.
const notRecorded = "not recorded"

func unrecorded[T any]() Answer[T] { return Answer[T]{Status: Failed, Err: notRecorded} }

// Facts returns what the host knew of the client at the time. What it did not record is a failed lookup, with
// the error "not recorded", which no rule holds against the client.
func (r *Recorded) Facts(site Site) *Facts {
	f := &Facts{Client: r.Client, PTR: r.ptr(), Site: site, Unheard: !r.Said, Login: r.Login}
	f.PTRCount = len(f.PTR.Values)
	for _, helo := range append(slices.Clone(r.Earlier), r.Helo) {
		if helo != "" {
			f.Greetings = append(f.Greetings, r.greeting(helo))
		}
	}
	return f
}

func (r *Recorded) ptr() Answer[Host] {
	host := Host{Name: r.Name}
	switch {
	case r.Reverse == ReverseMissing:
		return Answer[Host]{Status: Missing}
	case r.Name == "": // the root's name, if any: nobody's
		return unrecorded[Host]()
	}
	switch r.Reverse {
	case ReverseUnrecorded:
		return unrecorded[Host]()
	case ReverseUnchecked:
		host.Addrs = unrecorded[netip.Addr]()
	case ReverseForged:
		host.Addrs.Status = Missing
	case ReverseConfirmed:
		host.Addrs = Answer[netip.Addr]{Status: Found, Values: []netip.Addr{r.Client}}
	}
	return Answer[Host]{Status: Found, Values: []Host{host}}
}

func (r *Recorded) greeting(helo string) Greeting {
	g := Greeting{Helo: ParseHelo(helo)}
	switch {
	case g.Helo.Form&FormLookedUp == 0: // never looked up
	case r.Reverse == ReverseConfirmed && g.Helo.Name == r.Name, slices.Contains(r.Confirmed, g.Helo.Name):
		g.A = Answer[netip.Addr]{Status: Found, Values: []netip.Addr{r.Client}}
		g.AAAA.Status = Missing
		if r.Client.Is6() {
			g.A, g.AAAA = g.AAAA, g.A
		}
		g.SPF.Status = Missing // it matters to no rule then
	default:
		g.A, g.AAAA = unrecorded[netip.Addr](), unrecorded[netip.Addr]()
		g.MX, g.SPF = unrecorded[string](), unrecorded[string]()
	}
	return g
}
