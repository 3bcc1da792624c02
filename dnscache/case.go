package dnscache

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// CaseRandomization says to which servers a name is spelled with letters of random case, which their
// replies have to repeat: one more bit for each letter that a forger has to guess
// (draft-vixie-dnsext-dns0x20). It is for UDP only: who can write into a TCP connection has seen the
// question. A server that does not repeat the case is asked again over TCP, each time.
type CaseRandomization uint8

// To which servers the case is random.
const (
	CaseAuto CaseRandomization = iota // all but those on a loopback address: nobody is between
	CaseOn                            // all
	CaseOff                           // none
)

var caseText = []string{"auto", "on", "off"}

// String returns "auto", "on" or "off".
func (c CaseRandomization) String() string {
	if int(c) >= len(caseText) {
		return fmt.Sprintf("CaseRandomization(%d)", uint8(c))
	}
	return caseText[c]
}

// MarshalText implements encoding.TextMarshaler. It fails for a value that is none of the constants.
func (c CaseRandomization) MarshalText() ([]byte, error) {
	if int(c) >= len(caseText) {
		return nil, fmt.Errorf("%d is no case randomization", uint8(c))
	}
	return []byte(caseText[c]), nil
}

// UnmarshalText implements encoding.TextUnmarshaler. It takes what String returns, in lower case.
func (c *CaseRandomization) UnmarshalText(text []byte) error {
	i := slices.Index(caseText, string(text))
	if i < 0 {
		return fmt.Errorf("%q is none of %s", text, strings.Join(caseText, ", "))
	}
	*c = CaseRandomization(i)
	return nil
}

// mixes tells whether a query to server gets random case.
func (c CaseRandomization) mixes(server net.Addr) bool {
	udp, ok := server.(*net.UDPAddr)
	return ok && (c == CaseOn || c == CaseAuto && !udp.IP.IsLoopback())
}

// headerSize is where the question starts in a message, in octets (RFC 1035 §4.1.1).
const headerSize = 12

// packed is a query as it is sent.
type packed struct {
	query  *dns.Msg
	packet []byte
	name   []byte // that of the question, in packet
	plain  []byte // the same as it was before its case was mixed; nil if it was not
}

// pack packs query, which has one question, with its name in random case if mixed. It fails for what
// is no name.
func pack(query *dns.Msg, mixed bool) (packed, error) {
	packet, err := query.Pack()
	if err != nil {
		return packed{}, err
	}
	end := headerSize
	for packet[end] != 0 { // nothing before the first name to be compressed to
		end += 1 + int(packet[end])
	}
	p := packed{query: query, packet: packet, name: packet[headerSize : end+1]}
	if mixed {
		p.plain = slices.Clone(p.name)
		mixCase(p.name)
	}
	return p, nil
}

// mixCase gives each letter of a name in wire format a random case. The lengths between the labels
// are no letters: they are below 64 (RFC 1035 §3.1). The bits are from where the ID is from, since a
// server whose zone we ask for sees them and must not learn from them what we say to others.
func mixCase(name []byte) {
	dice := make([]byte, len(name))
	rand.Read(dice) // never fails
	for i, c := range name {
		if lower := c | 0x20; 'a' <= lower && lower <= 'z' {
			name[i] = c ^ dice[i]&0x20
		}
	}
}

// reply returns the message in packet if it is a reply to p, and nil if it is not. It fails with
// errDoubt when nothing but the case is wrong. Random case ends here: it writes the plain name into
// packet, so that the records whose names refer to it (RFC 1035 §4.1.4) have it in theirs.
func (p packed) reply(packet []byte) (*dns.Msg, error) {
	same := len(packet) > headerSize && bytes.HasPrefix(packet[headerSize:], p.name)
	if same && p.plain != nil {
		copy(packet[headerSize:], p.plain)
	}
	m := match(p.query, packet)
	if m != nil && p.plain != nil && !same && len(m.Question) > 0 {
		return nil, errDoubt
	}
	return m, nil
}
