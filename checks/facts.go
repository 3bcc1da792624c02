package checks

import (
	"net/netip"
	"slices"

	"helo-milter/checks/enum"
)

// Status says how a DNS question ended. The order is that of how much is known.
type Status uint8

// The ends of a DNS question. A failure (timeout, SERVFAIL, REFUSED, ...) is never the same as Missing:
// only Missing is an answer.
const (
	Unasked Status = iota // not asked for
	Failed                // no answer: nothing is known, and nothing may be held against the client
	Missing               // NXDOMAIN or NODATA: the DNS says that there is none
	Found
)

var statusWords = enum.Words[Status]{
	{Unasked, "unasked"}, {Failed, "failed"}, {Missing, "missing"}, {Found, "found"},
}

func (s Status) String() string { return statusWords.Text(s) }

// MarshalText implements encoding.TextMarshaler.
func (s Status) MarshalText() ([]byte, error) { return statusWords.Marshal(s) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Status) UnmarshalText(text []byte) error { return statusWords.Unmarshal(s, text) }

// Answer is what the DNS said to one question.
type Answer[T any] struct {
	Status Status `json:"status"`
	Values []T    `json:"values,omitempty"` // only when Found
	// Stale values were true once and could not be asked anew (RFC 8767): a rule may pass on them, and
	// never fail. Only when Found.
	Stale bool   `json:"stale,omitempty"`
	Err   string `json:"error,omitempty"` // only when Failed: why, in a word or two
}

// Host is a host name in canonical form with what it resolves to. A PTR name of the client is looked up
// in the client's address family only, and its lists only when it is confirmed.
type Host struct {
	Name  string             `json:"name"`
	Addrs Answer[netip.Addr] `json:"addrs"`
	Lists Answer[string]     `json:"lists,omitzero"` // the block lists that have its organisational domain
}

// Greeting is one HELO or EHLO with what the DNS knows of its name. Names that cannot be in the public
// DNS are not looked up.
type Greeting struct {
	Helo Helo               `json:"helo"`
	A    Answer[netip.Addr] `json:"a"`
	AAAA Answer[netip.Addr] `json:"aaaa"`
	MX   Answer[string]     `json:"mx"`           // asked when there is no address, or with NS
	SPF  Answer[string]     `json:"spf,omitzero"` // one of spf.Result for the client; none is Missing
	// BrandSPF is SPF for the organisational domain; asked only for a name below a brand's domain for which
	// nothing in this greeting vouches.
	BrandSPF Answer[string] `json:"brand_spf,omitzero"`
	Lists    Answer[string] `json:"lists,omitzero"` // the block lists that have its organisational domain
	NS       Answer[string] `json:"ns,omitzero"`    // of its zone; asked only when there is a deny list
	Hosts    []Host         `json:"hosts,omitzero"` // those of MX and NS; with NS
	// Seen is what a fleet's hosts have seen of the name; nil is unasked: no answer came in time.
	Seen *SeenHelo `json:"seen,omitempty"`
}

// Addrs returns the IPv4 and the IPv6 addresses of the name, which must not be modified.
func (g *Greeting) Addrs() []netip.Addr {
	if len(g.AAAA.Values) == 0 {
		return slices.Clip(g.A.Values)
	}
	return slices.Concat(g.A.Values, g.AAAA.Values)
}

// Site is who we are: a greeting that claims to be us is a lie.
type Site struct {
	Hostname  string       `json:"hostname,omitempty"`  // the MTA's own name
	Names     Names        `json:"names,omitempty"`     // our names
	Addresses []netip.Addr `json:"addresses,omitempty"` // our public addresses
}

// owns reports whether a name is ours.
func (s *Site) owns(name string) bool { return name == s.Hostname || s.Names.Match(name) }

// MaxPTR is how many PTR names of a client are looked at: the HELO's own name and those of its organisation come
// first, then those that an entry of the allow list covers, then the alphabet decides. RFC 7208 §4.6.4 has the
// same limit for the same reason, that a client must not choose how much we ask.
const MaxPTR = 10

// Facts is all that is known when a session is judged.
type Facts struct {
	Client    netip.Addr   `json:"client"`    // unmapped; the zero Addr when the MTA named none
	PTR       Answer[Host] `json:"ptr"`       // sorted by name, at most MaxPTR
	PTRCount  int          `json:"ptr_count"` // how many PTR names there are in all
	Greetings []Greeting   `json:"greetings"` // different ones, in the order they were last said
	// Unheard reports that the client did send HELO or EHLO, but its name was not recorded: a log's facts,
	// never a daemon's. There are no greetings then, and only the client's address can be judged.
	Unheard  bool `json:"unheard,omitempty"`
	Login    bool `json:"login,omitempty"`    // the client had logged in
	Degraded bool `json:"degraded,omitempty"` // the resolver had more failures than answers
	Site     Site `json:"site"`
	// Lists are the block lists that were asked. Those that list a name are in the name's Lists.
	Lists []string `json:"lists,omitempty"`
	// Seen is what a fleet's hosts have seen of the client; nil is unasked, as in Greeting.
	Seen *SeenClient `json:"seen,omitempty"`
	// MTAResolve is the MTA's result where it differs from ours. No rule reads it.
	MTAResolve MTAResolve `json:"mta_resolve,omitzero"`
}

// MTAResolve is an MTA's own result for its client's name: its {client_resolve}, {client_name} and
// {client_ptr}. It looks at one PTR name only, and to Sendmail one whose lookup fails is FORGED.
type MTAResolve struct {
	Resolve string `json:"resolve"` // OK, FAIL (there is no PTR), FORGED or TEMP
	Name    string `json:"name"`    // when it is OK; text from the network, like PTR
	PTR     string `json:"ptr"`
}

// Differs reports whether that is another result than ours. Where either is unknown, it is not.
func (m *MTAResolve) Differs(iprev string) bool {
	words := map[string]string{"OK": "pass", "FAIL": "permerror", "FORGED": "fail", "TEMP": "temperror"}
	theirs := words[m.Resolve]
	return theirs != "" && iprev != "none" && iprev != theirs
}

// Confirmed returns the PTR names that resolve back to the client: FCrDNS, RFC 8601 §2.7.3.
func (f *Facts) Confirmed() []string {
	var names []string
	for _, h := range f.PTR.Values {
		if slices.Contains(h.Addrs.Values, f.Client) {
			names = append(names, h.Name)
		}
	}
	return names
}

func (f *Facts) anyConfirmed(match func(name string) bool) bool {
	return slices.ContainsFunc(f.PTR.Values, func(h Host) bool {
		return slices.Contains(h.Addrs.Values, f.Client) && match(h.Name)
	})
}

// Owns reports whether a confirmed PTR name of the client is the HELO name or of its organisation.
func (f *Facts) Owns(h Helo) bool {
	return h.Name != "" && f.anyConfirmed(func(name string) bool { return sameOrg(name, h.Name) })
}

// Named reports whether the client has a confirmed PTR name that somebody gave it: one that does not look
// like that of a dynamic address.
func (f *Facts) Named() bool {
	return f.anyConfirmed(func(name string) bool { return !lookOf(name, f.Client).generic() })
}

// mayConfirm reports whether the client may have a confirmed PTR name that matches, for all we know: the lookup of
// the names or of such a name's addresses failed, or its answer is stale.
func (f *Facts) mayConfirm(match func(name string) bool) bool {
	open := func(h Host) bool { return (h.Addrs.Status == Failed || h.Addrs.Stale) && match(h.Name) }
	return f.PTR.Status == Failed || f.PTR.Stale || slices.ContainsFunc(f.PTR.Values, open)
}

func anyName(string) bool { return true }

// LastHelo returns the HELO that counts as the client's name: the last one said.
func (f *Facts) LastHelo() Helo {
	if n := len(f.Greetings); n > 0 {
		return f.Greetings[n-1].Helo
	}
	if f.Unheard {
		return Helo{Form: FormUnheard}
	}
	return Helo{Form: FormMissing}
}

// Iprev returns the result of the iprev method of RFC 8601 §2.7.3. One confirmed name is a pass
// whatever became of the others; only when none confirms does a failed lookup leave it open, and so does a
// stale answer, which can prove nothing against the client.
func (f *Facts) Iprev() string {
	switch {
	case f.PTR.Status == Unasked:
		return "none"
	case f.anyConfirmed(anyName):
		return "pass"
	case f.mayConfirm(anyName):
		return "temperror"
	case f.PTR.Status == Missing:
		return "permerror"
	default:
		return "fail"
	}
}
