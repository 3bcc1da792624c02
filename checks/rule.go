package checks

import (
	"slices"
	"strings"
)

// Rule is one thing that can be wrong with a client: a row of the table All.
type Rule struct {
	Name    string             // its only spelling: TOML key, header token, log value, README row
	Doc     string             // what is wrong, as a clause: README, `rules`, reply
	Fix     string             // what the sender's administrator has to change, as a sentence
	Code    Code               // the reply of a reject
	Actions [3]Action          // by Profile
	Score   float64            // weight in the summed score
	On      Form               // the forms of HELO it looks at; with others it is skipped
	Reads   Answers            // if one of them is not known at all, there is nothing to judge: unsure
	Clears  Answers            // if one of them failed, it could have cleared the client: no fail, unsure
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
type Answers uint8

// The answers that a rule can depend on.
const (
	PTRNames  Answers = 1 << iota // the client's PTR names
	PTRAddrs                      // the PTR names and their addresses
	HeloAddrs                     // the addresses of the HELO name
	HeloMX                        // the MX hosts of the HELO name
)

// Index returns the place of the rule of that name in All, or -1.
func Index(name string) int {
	return slices.IndexFunc(All, func(r Rule) bool { return r.Name == name })
}
