package checks

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/gaissmai/bart"
)

// Deny is an entry of the deny list. One of its fields is set.
type Deny struct {
	Helo    Pattern      // what the client says, and the MX and NS hosts of its HELO name
	PTR     Pattern      // what its reverse DNS says, confirmed or not
	Network netip.Prefix // the client, and the addresses of its HELO name and of those hosts
}

// Pattern is a text to compare names with: "pc.example.org" is that name, ".example.org" everything
// under it, "/^pc[0-9]+\./" what that regular expression (RE2) finds, anchored only where it says so.
// Upper case is lower case.
type Pattern struct {
	text string
	re   *regexp.Regexp
}

func (p Pattern) String() string { return p.text }

// MarshalText implements encoding.TextMarshaler.
func (p Pattern) MarshalText() ([]byte, error) { return []byte(p.text), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Pattern) UnmarshalText(text []byte) error {
	s := string(text)
	expr, isExpr := strings.CutPrefix(s, "/")
	if !isExpr {
		if strings.Trim(s, ".") == "" {
			return errors.New("empty: give a name, a \".suffix\" or a \"/regular expression/\"")
		}
		p.text, p.re = Canonical(s), nil
		return nil
	}
	expr, closed := strings.CutSuffix(expr, "/")
	if !closed || expr == "" {
		return fmt.Errorf("%q is a regular expression without a closing slash", s)
	}
	re, err := regexp.Compile("(?i)" + expr)
	if err != nil {
		return fmt.Errorf("%q: %w", s, err)
	}
	p.text, p.re = s, re
	return nil
}

// MatchesAnyName reports whether a regular expression matches names that have nothing in common but to be
// names.
func (p Pattern) MatchesAnyName() bool {
	if p.re == nil {
		return false
	}
	for _, name := range []string{"mail.kvx.example", "b7-2.uy.test", "post.zqo.invalid", "4.hd.localhost"} {
		if !p.re.MatchString(name) {
			return false
		}
	}
	return true
}

// DenyList is what the administrator does not want to see. Nil is an empty one. It must not be modified
// once in use.
type DenyList struct {
	helos, ptrs patterns
	networks    bart.Lite
}

// Add puts an entry on the list.
func (d *DenyList) Add(entry Deny) {
	d.helos.add(entry.Helo)
	d.ptrs.add(entry.PTR)
	if entry.Network.IsValid() {
		d.networks.Insert(entry.Network.Masked())
	}
}

// Hosts reports whether an entry can match the MX and NS hosts of a HELO name, and they have to be looked
// up.
func (d *DenyList) Hosts() bool {
	return d != nil && (d.helos.any() || d.networks.Size() > 0)
}

// has reports whether the list has a client, as far as lookups that have not failed can tell.
func (d *DenyList) has(f *Facts) bool {
	if d == nil {
		return false
	}
	found := Evaluate(f, d, "")
	return slices.ContainsFunc(deniers, func(rule int) bool { return found[rule].Result == Fail })
}

// deniers are the rules that read a deny list.
var deniers = []int{Index("helo-denied"), Index("helo-host-denied"), Index("ptr-denied")}

func (d *DenyList) hasPTR() bool { return d != nil && d.ptrs.any() }

func (d *DenyList) helo(text string) bool { return d != nil && d.helos.match(text) }

func (d *DenyList) ptr(name string) bool { return d != nil && d.ptrs.match(name) }

func (d *DenyList) network(addr netip.Addr) bool {
	return d != nil && addr.IsValid() && d.networks.Contains(addr)
}

// patterns finds the pattern of a name without trying each that is a plain text.
type patterns struct {
	names map[string]bool // exact ones, and suffixes with their dot
	exprs []*regexp.Regexp
}

func (p *patterns) any() bool { return len(p.names)+len(p.exprs) > 0 }

func (p *patterns) add(pattern Pattern) {
	switch {
	case pattern.re != nil:
		p.exprs = append(p.exprs, pattern.re)
	case pattern.text != "":
		if p.names == nil {
			p.names = map[string]bool{}
		}
		p.names[pattern.text] = true
	}
}

func (p *patterns) match(name string) bool {
	for entry := range entriesFor(name) {
		if p.names[entry] {
			return true
		}
	}
	return slices.ContainsFunc(p.exprs, func(re *regexp.Regexp) bool { return re.MatchString(name) })
}
