package evidence

import (
	"cmp"
	"slices"
	"strings"

	"helo-milter/checks"
)

// Cause is a lookup that left rules unsure, and why it did. Both are fixed texts, whatever a record says.
type Cause struct {
	Lookup string `json:"lookup"`
	Why    string `json:"why"`
	Count  int    `json:"count"` // judged transactions: one counts once for each of its causes
}

func (c Cause) String() string { return c.Lookup + ": " + c.Why }

// The lookups whose answers rules depend on.
const (
	ofPTR      = "PTR"
	ofPTRAddrs = "addresses of the PTR"
	ofAddrs    = "HELO addresses" // A and AAAA
	ofMX       = "MX"
	ofNS       = "NS"
	ofHosts    = "addresses of MX and NS" // for a deny list
	ofSPF      = "SPF"
	ofLists    = "block list"
)

// whys are why an answer failed, by its text up to a colon: those of package dnscache, and of ask_spf.go and
// recorded.go of checks.
var whys = map[string]string{
	"timeout":  "timeout",
	"SERVFAIL": "SERVFAIL",
	"REFUSED":  "REFUSED",

	"udp": "unreachable", "tcp": "unreachable", "tls": "unreachable",

	"truncated over TCP": "unusable answer", "CNAME chain too long": "unusable answer",
	"malformed records": "unusable answer", "lame": "unusable answer",

	"filtered":                          "filtered", // the resolver blocks the name
	"budget of this session is used up": "budget of the session",
	"too many questions":                "too many questions", // at once
	"permerror":                         "invalid record",     // of SPF: RFC 7208 §2.6.7
	"not recorded":                      "not recorded",
}

// The other reasons. A stale answer has expired, and could not be had anew (RFC 8767). What a block list answers
// can be about us: see noListing in checks/ask.go.
const (
	listError = "list error"
	staleOnly = "stale"
	otherwise = "other"
)

// whyFailed classes the text of a failed answer. The name of a block list comes first, or the result of SPF.
func whyFailed(text string) string {
	for range 2 {
		head, rest, more := strings.Cut(text, ": ")
		if why := whys[head]; why != "" {
			return why
		}
		if strings.HasPrefix(text, "the list says ") {
			return listError
		}
		if !more {
			break
		}
		text = rest
	}
	return otherwise
}

// why returns why an answer is not there, or not fresh, or "".
func why[T any](a *checks.Answer[T]) string {
	switch {
	case a.Status == checks.Failed:
		return whyFailed(a.Err)
	case a.Stale:
		return staleOnly
	default:
		return ""
	}
}

// causesOf returns why rules are unsure, each cause once: the answers that they depend on, and that are not there.
func causesOf(f *checks.Facts, findings []checks.Finding) (list []Cause) {
	var on checks.Answers
	for i, found := range findings {
		if found.Result == checks.Unsure {
			on |= checks.All[i].Reads | checks.All[i].Clears
		}
	}
	note := func(lookup, why string, by checks.Answers) {
		if c := (Cause{Lookup: lookup, Why: why}); why != "" && on&by != 0 && !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	note(ofPTR, why(&f.PTR), checks.PTRNames|checks.PTRAddrs|checks.PTRDenied|checks.Proof)
	for i := range f.PTR.Values {
		host := &f.PTR.Values[i]
		note(ofPTRAddrs, why(&host.Addrs), checks.PTRAddrs|checks.Proof)
		note(ofLists, why(&host.Lists), checks.PTRLists)
	}
	proof4, proof6 := checks.Proof, checks.Answers(0) // by the addresses of the client's family
	if f.Client.Is6() {
		proof4, proof6 = proof6, proof4
	}
	for i := range f.Greetings {
		g := &f.Greetings[i]
		note(ofAddrs, why(&g.A), checks.HeloAddrs|proof4)
		note(ofAddrs, why(&g.AAAA), checks.HeloAddrs|proof6)
		note(ofMX, why(&g.MX), checks.HeloMX)
		note(ofNS, why(&g.NS), checks.HeloHosts)
		note(ofSPF, why(&g.SPF), checks.HeloSPF)
		note(ofSPF, why(&g.BrandSPF), checks.BrandSPF)
		note(ofLists, why(&g.Lists), checks.HeloLists)
		for j := range g.Hosts {
			note(ofHosts, why(&g.Hosts[j].Addrs), checks.HeloHosts)
		}
	}
	return list
}

// causes counts transactions by cause, whose Count is 0 here.
type causes map[Cause]int

func (c causes) add(list []Cause) {
	for _, cause := range list {
		c[cause]++
	}
}

// list returns the causes, most transactions first.
func (c causes) list() []Cause {
	list := []Cause{}
	for cause, n := range c {
		cause.Count = n
		list = append(list, cause)
	}
	slices.SortFunc(list, func(a, b Cause) int {
		return cmp.Or(b.Count-a.Count, strings.Compare(a.Lookup, b.Lookup), strings.Compare(a.Why, b.Why))
	})
	return list
}
