package console

import (
	"bytes"
	"net/netip"
	"strings"
)

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
