package checks

import (
	"slices"
	"strings"
)

// Rule is one thing that can be wrong with a client: a row of the table All.
//
// Problem sees a failed lookup as an empty answer and need not care; Reads and Clears say what the evaluator
// makes of that. Reads are the answers that the rule accuses by: it is skipped where none was asked for, and
// unsure where all of them failed. Clears are the answers that could have cleared the client: where one of them
// failed, a fail becomes unsure, since the missing answer may be the proof.
//
// For example, helo-ip-mismatch has Reads and Clears HeloAddrs. A is 192.0.2.9 and not the client's address:
// fail. AAAA failed besides: it might be the client's, so unsure. Both failed: nothing to accuse by, unsure.
// helo-own-name has Clears Proof: it passes for a client whose PTR name or address proves that it is one of our
// hosts, and is unsure while one of those lookups has failed, but not for a failed lookup that proves nothing,
// such as that of a PTR name in another domain.
// helo-unresolvable has Clears HeloAddrs|HeloMX and no Reads: it accuses by what is not there, so that one
// failed lookup is enough to be unsure.
type Rule struct {
	Name    string             // its only spelling: TOML key, header token, log value, README row
	Doc     string             // what is wrong, as a clause: README, `rules`, reply
	Fix     string             // what the sender's administrator has to change, as a sentence
	Code    Code               // the reply of a reject
	Actions [3]Action          // by Profile
	Score   float64            // weight in the summed score
	On      Form               // the forms of HELO it looks at; with others it is skipped
	Reads   Answers            // the answers that it accuses by
	Clears  Answers            // the answers that could clear the client
	Problem func(*Case) string // what is wrong, in the case's own words, or "": pure, and quick
}

// Code is the reply code of RFC 5321 §4.2 and the enhanced status code of RFC 3463 of a reject.
type Code struct {
	Reply    int
	Enhanced string
}

// temporary is the same fault as a temporary failure: both codes change class together, because an MTA
// takes a reply whose classes differ for malformed.
func (c Code) temporary() Code {
	return Code{450, "4" + strings.TrimPrefix(c.Enhanced, "5")}
}

// dnsTrouble is the reply of an unsure rule: RFC 3463 §3.5, directory server failure.
var dnsTrouble = Code{451, "4.4.3"}

// Answers is a set of DNS answers.
type Answers uint16

// The answers that a rule can depend on.
const (
	PTRNames     Answers = 1 << iota // the client's PTR names
	PTRAddrs                         // the PTR names and their addresses
	PTRLists                         // the block lists' word on the confirmed ones
	PTRDenied                        // the PTR names where a deny list has some
	HeloAddrs                        // the addresses of the HELO name
	HeloMX                           // the MX hosts of the HELO name
	HeloSPF                          // what the SPF record of the HELO name says of the client
	BrandSPF                         // what that of the brand's domain says, for a HELO name below one
	HeloLists                        // the block lists' word on the HELO name
	HeloHosts                        // the NS hosts of the HELO name and the addresses of them and the MX hosts
	SeenNetworks                     // where a fleet's hosts have seen the HELO name
	SeenNames                        // what HELO names they have seen the client say

	// Proof is what can prove that the HELO name is the client's: its PTR names, the addresses of those that
	// belong to the HELO name's owner, and the HELO name's addresses of the client's family. A rule that it clears
	// passes for a client that is proven, see Case.Proven.
	Proof
)

// Index returns the place of the rule of that name in All, or -1.
func Index(name string) int {
	return slices.IndexFunc(All, func(r Rule) bool { return r.Name == name })
}
