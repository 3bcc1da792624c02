package dnscache

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// FuzzCanonical checks that a canonical name is its own canonical name and comes back unchanged from the
// wire: otherwise the answer to it would not match the question.
func FuzzCanonical(f *testing.F) {
	for _, name := range []string{
		"mx.example.org", "MX.example.org.", ".", `a\.b`, `a\032b`, "a b", "é.example", `a\`, "a..b", "\x00",
		strings.Repeat("a", 63) + ".b", strings.Repeat("a", 64) + ".b",
		strings.Repeat("a.", 126) + "a", strings.Repeat("a.", 126) + "aa", // 255 octets on the wire, and 256
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, ok := canonical(text)
		if !ok {
			return
		}
		if again, ok := canonical(name); !ok || again != name {
			t.Errorf("%q: canonical %q, but then %q", text, name, again)
		}
		packet, err := question{name, dns.TypeA}.query(true).Pack()
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		m := new(dns.Msg)
		if err := m.Unpack(packet); err != nil || !strings.EqualFold(m.Question[0].Name, name) {
			t.Errorf("%q came back as %q, %v", name, m.Question[0].Name, err)
		}
	})
}
