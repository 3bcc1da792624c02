package checks

import (
	"iter"
	"slices"
	"strings"
)

// Names is a list of names in canonical form. "example.org" is that name alone, ".example.org" is every name
// under it.
type Names []string

// Match reports whether an entry of the list is about a name, which is in canonical form, too.
func (n Names) Match(name string) bool {
	for entry := range entriesFor(name) {
		if slices.Contains(n, entry) {
			return true
		}
	}
	return false
}

// under reports whether a name is one of the domains or is under one.
func under(name string, domains ...string) bool {
	for entry := range entriesFor(name) {
		if slices.Contains(domains, strings.TrimPrefix(entry, ".")) {
			return true
		}
	}
	return false
}

// entriesFor yields the entries of a list that are about a name: for mx.example.org these are "mx.example.org",
// ".example.org" and ".org".
func entriesFor(name string) iter.Seq[string] {
	return func(yield func(entry string) bool) {
		for rest := name; yield(rest); {
			dot := strings.IndexByte(rest[min(1, len(rest)):], '.')
			if dot < 0 {
				return
			}
			rest = rest[dot+1:]
		}
	}
}
