// Package past reads mail that has been: what a host wrote down of the clients that handed it over, in its
// log or in the Received fields of what it delivered. Everything in there is text from the network.
package past

import (
	"net/netip"
	"strings"
	"time"

	"helo-milter/checks"
)

// Hop is the hand-over of a message, or the attempt, as the receiving host recorded it. A field that it did
// not record is zero: unknown, which is never the same as missing.
type Hop struct {
	Place   string     // FILE:LINE, or the file of a message
	Time    time.Time  // when the host wrote it
	By      string     // the receiving host's name, in canonical form
	Client  netip.Addr // unmapped; the zero Addr when nothing came over a network
	Helo    string     // what the client said, if Said; "" when it is known to have said nothing
	Said    bool       // whether the host wrote that down: most logs do not
	Reverse Reverse
	Name    string // the PTR name that Reverse is about, in canonical form
	User    bool   // the client had logged in
	From    string
	To      []string
	QueueID string
	Spam    Label
}

// Reverse is what the receiving host found out about the client's PTR names. It looked at one only.
type Reverse uint8

// What is recorded of a PTR name. Most hosts write the same for a client without one, with one that does not
// lead back, and for a failed lookup: that is Unrecorded.
const (
	Unrecorded Reverse = iota
	Nameless           // there is none
	Forged             // Name does not lead back to the client
	Unchecked          // Name was not looked up
	Confirmed          // Name leads back: FCrDNS
)

// Label is what somebody else thought of a message.
type Label uint8

// The labels.
const (
	Unlabelled Label = iota
	Ham
	Spam
)

// Broken is a part of a source that should have been a hop, or a decision, and cannot be read. The rest of
// the source can.
type Broken struct {
	Place  string // FILE:LINE
	Reason string
}

func (b *Broken) Error() string { return b.Place + ": " + b.Reason }

// notRecorded is why an answer failed that nobody can give any more.
const notRecorded = "not recorded"

// Facts are what the host knew of the hop when it happened. What it did not write down is a failed lookup:
// nobody is accused for that.
func (h *Hop) Facts(site checks.Site) *checks.Facts {
	f := &checks.Facts{Client: h.Client, PTR: h.ptr(), Site: site, Unheard: !h.Said, Login: h.User}
	f.PTRCount = len(f.PTR.Values)
	if h.Helo == "" {
		return f
	}
	g := checks.Greeting{Helo: checks.ParseHelo(h.Helo)}
	if g.Helo.Form&(checks.FormPublic|checks.FormUnknownTLD) != 0 {
		if h.Reverse == Confirmed && g.Helo.Name == h.Name {
			h.isClient(&g)
		} else {
			g.A = failed[netip.Addr]()
			g.AAAA = failed[netip.Addr]()
			g.MX, g.SPF = failed[string](), failed[string]()
		}
	}
	f.Greetings = []checks.Greeting{g}
	return f
}

func (h *Hop) ptr() checks.Answer[checks.Host] {
	host := checks.Host{Name: h.Name}
	switch h.Reverse {
	case Unrecorded:
		return failed[checks.Host]()
	case Nameless:
		return checks.Answer[checks.Host]{Status: checks.Missing}
	case Unchecked:
		host.Addrs = failed[netip.Addr]()
	case Forged:
		host.Addrs.Status = checks.Missing
	case Confirmed:
		host.Addrs = checks.Answer[netip.Addr]{Status: checks.Found, Values: []netip.Addr{h.Client}}
	}
	return checks.Answer[checks.Host]{Status: checks.Found, Values: []checks.Host{host}}
}

// isClient fills in what the DNS says of a HELO name that led back to the client. Its SPF record matters to no
// rule then.
func (h *Hop) isClient(g *checks.Greeting) {
	itself := checks.Answer[netip.Addr]{Status: checks.Found, Values: []netip.Addr{h.Client}}
	none := checks.Answer[netip.Addr]{Status: checks.Missing}
	g.A, g.AAAA = itself, none
	if h.Client.Is6() {
		g.A, g.AAAA = none, itself
	}
	g.SPF.Status = checks.Missing
}

func failed[T any]() checks.Answer[T] {
	return checks.Answer[T]{Status: checks.Failed, Err: notRecorded}
}

// tidy makes text from the network fit to be handed on. Names become printable ASCII, so that they can be
// shown as they are: a name with anything else is no host name before and after. The rest, which is quoted
// wherever it is shown, becomes UTF-8, for JSON.
func (h *Hop) tidy() {
	for _, name := range []*string{&h.By, &h.Name, &h.QueueID} {
		*name = strings.Map(func(c rune) rune {
			if c < ' ' || '~' < c {
				return '?'
			}
			return c
		}, *name)
	}
	for _, text := range []*string{&h.Helo, &h.From} {
		*text = strings.ToValidUTF8(*text, "?")
	}
	for i, to := range h.To {
		h.To[i] = strings.ToValidUTF8(to, "?")
	}
}

func (l Label) String() string { return [...]string{"", "ham", "spam"}[l] }
