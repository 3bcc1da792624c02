package console

import (
	"bytes"
	"net/netip"
	"strings"
)

// ofLine returns what reports whether a line may have a decision of the filter, without decoding it: false is sure. Whose
// line it is does not count.
func (f *filter) ofLine() func(line []byte) bool {
	return every(
		f.clientOfLine(), f.wantOfLine(), f.ruleOfLine(), f.textOfLine(f.Helo), f.textOfLine(f.PTR), f.textOfLine(f.Domain),
	)
}

// every returns what reports whether all that are not nil hold for a line; nil if there is none.
func every(conditions ...func(line []byte) bool) func(line []byte) bool {
	var all []func(line []byte) bool
	for _, one := range conditions {
		if one != nil {
			all = append(all, one)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return func(line []byte) bool {
		for _, holds := range all {
			if !holds(line) {
				return false
			}
		}
		return true
	}
}

// wantOfLine returns what reports whether a line has the want of the filter, or nil.
func (f *filter) wantOfLine() func(line []byte) bool {
	word := func(want string) []byte { return []byte(`"want":"` + want + `"`) } // no text of a line has these quotes
	switch f.Want {
	case "":
		return nil
	case "refuse":
		reject, tempfail := word("reject"), word("tempfail")
		return func(line []byte) bool { return bytes.Contains(line, reject) || bytes.Contains(line, tempfail) }
	default:
		wanted := word(f.Want)
		return func(line []byte) bool { return bytes.Contains(line, wanted) }
	}
}

// ruleOfLine returns what reports whether a line has a finding of the filter's rule, or nil.
func (f *filter) ruleOfLine() func(line []byte) bool {
	if f.Rule == "" {
		return nil
	}
	wanted := []byte(`"rule":"` + f.Rule + `"`)
	return func(line []byte) bool { return bytes.Contains(line, wanted) }
}

// clientOfLine returns what reports whether the client of a line is one of the filter, or nil.
func (f *filter) clientOfLine() func(line []byte) bool {
	const key = `"client":"` // no text of a line has these quotes
	if !f.Client.IsValid() {
		return nil
	}
	if f.Client.IsSingleIP() {
		wanted := []byte(key + f.Client.Addr().String() + `"`)
		return func(line []byte) bool { return bytes.Contains(line, wanted) }
	}
	return func(line []byte) bool {
		_, rest, found := bytes.Cut(line, []byte(key))
		end := bytes.IndexByte(rest, '"')
		if !found || end < 0 || end > 45 {
			return !found // a line of another form
		}
		addr, err := netip.ParseAddr(string(rest[:end]))
		return err != nil || f.Client.Contains(addr)
	}
}

// textOfLine returns what reports whether a line has a text, in lower case, in any case; or nil, for no text and for one
// that JSON writes otherwise.
func (f *filter) textOfLine(text string) func(line []byte) bool {
	plain := func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune(`"\<>&`, r) }
	if text == "" || strings.ContainsFunc(text, plain) {
		return nil
	}
	wanted, lower := []byte(text), []byte(nil)
	return func(line []byte) bool {
		lower = append(lower[:0], line...)
		for i, b := range lower {
			if 'A' <= b && b <= 'Z' {
				lower[i] = b | 0x20
			}
		}
		return bytes.Contains(lower, wanted)
	}
}
