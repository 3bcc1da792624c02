package checks

import (
	"net/netip"
	"strings"
	"time"

	"github.com/gaissmai/bart"
)

// Exemptions says which clients are not judged. The zero value exempts nobody. It must not be
// modified once in use. Only Session asks it.
type Exemptions struct {
	Authenticated bool // exempts clients that have logged in
	Private       bool // exempts clients in networks that have no place in the public DNS

	Denied *DenyList // whom entries of the list, see List, do not exempt; nil is nobody

	networks bart.Lite           // clients in these
	allow    bart.Table[[]Allow] // by network
	mended   []Allow             // those of them until "mended", in order
}

// Allow is an entry of the allow list. A client must be in the network and have the name confirmed; a
// field that is not set is not required. A name in HELO alone never counts: anybody can say it.
type Allow struct {
	Network netip.Prefix
	Name    string    // canonical; ".example.org" is everything under it
	Until   time.Time // when the entry expires; zero is never
	Mended  bool      // it is not needed any more once its clients have no fault: see Probation
	Reason  string    // for the administrator

	Who string // who added it to a list, see Exemptions.List; "" is the configuration's own

	listed bool
}

// Clients returns which clients an entry is for: its network, its name, or both with a blank between.
func (a *Allow) Clients() string {
	if !a.Network.IsValid() {
		return a.Name
	}
	return strings.TrimSpace(a.Network.String() + " " + a.Name)
}

// Network exempts a network.
func (e *Exemptions) Network(p netip.Prefix) { e.networks.Insert(p.Masked()) }

// Allow exempts what an entry of the allow list says.
func (e *Exemptions) Allow(a Allow) {
	if a.Mended {
		e.mended = append(e.mended, a)
	}
	networks := []netip.Prefix{a.Network}
	if !a.Network.IsValid() {
		networks = []netip.Prefix{
			netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0),
		}
	}
	for _, p := range networks {
		e.allow.Modify(p.Masked(), func(list []Allow, _ bool) ([]Allow, bool) { return append(list, a), false })
	}
}

// List exempts what an entry of a list says that is not the configuration's own: unless the configuration's own
// deny list has the client.
func (e *Exemptions) List(a Allow) {
	a.listed = true
	e.Allow(a)
}

// address returns why a client is exempt by its address alone, or "".
func (e *Exemptions) address(client netip.Addr) string {
	switch {
	case !client.IsValid():
		return "no-address"
	case e.Private && Private(client):
		return "private"
	case e.networks.Contains(client):
		return AllowList
	default:
		return ""
	}
}

// login returns why a client that has logged in is exempt, or "".
func (e *Exemptions) login() string {
	if e.Authenticated {
		return "authenticated"
	}
	return ""
}

// AllowList stands for the allow list: as a reason to be exempt, and in the place of a rule's name where a failed
// lookup left open whether the client is.
const AllowList = "allow"

// listed returns why a client is exempt by the allow list, or "". open reports that it may be: that a lookup which
// failed, or whose answer is stale, could have confirmed the name of an entry.
func (e *Exemptions) listed(f *Facts, now time.Time) (reason string, open bool) {
	entry, open := e.Entry(f, now)
	if entry != nil {
		reason = AllowList
	}
	return reason, open
}

// Entry returns the entry of the allow list that exempts a client, or nil. open is as for Session: an entry may.
func (e *Exemptions) Entry(f *Facts, now time.Time) (entry *Allow, open bool) {
	if !f.Client.IsValid() {
		return nil, false
	}
	for _, entries := range e.allow.Supernets(netip.PrefixFrom(f.Client, f.Client.BitLen())) {
		for i := range entries {
			a := &entries[i]
			switch {
			case a.Expired(now), a.listed && e.Denied.has(f):
			case a.Name == "" || f.anyConfirmed(Names{a.Name}.Match):
				return a, false
			default:
				open = open || f.mayConfirm(Names{a.Name}.Match)
			}
		}
	}
	return nil, open
}

// Expired reports whether an entry has expired.
func (a *Allow) Expired(now time.Time) bool { return !a.Until.IsZero() && now.After(a.Until) }
