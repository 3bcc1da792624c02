package dnscache

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net"
	"slices"

	"github.com/miekg/dns"
)

// CaseRandomization selects the servers that names are sent to with letters of random case, which their
// replies must repeat: one more bit that a forger must guess for each letter (draft-vixie-dnsext-dns0x20).
// It applies to UDP only: whoever can write into a TCP connection has seen the question. A server that
// does not repeat the case is asked again over TCP, each time.
type CaseRandomization string

// The servers that are sent random case.
const (
	CaseAuto CaseRandomization = "auto" // all but those on loopback addresses, where nobody is in between
	CaseOn   CaseRandomization = "on"   // all
	CaseOff  CaseRandomization = "off"  // none
)

// Check returns an error unless c is one of the constants. Config also takes "", which is CaseAuto.
func (c CaseRandomization) Check() error {
	switch c {
	case CaseAuto, CaseOn, CaseOff:
		return nil
	}
	return fmt.Errorf("%q is none of auto, on, off", string(c))
}

// mixes reports whether a query to server gets random case.
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
	name   []byte // the name of the question, a part of packet
	plain  []byte // the name before its case was mixed; nil if it was not mixed
}

// pack packs query, which has one question, with its name in random case if mixed. It returns an error if
// the name is not a valid one.
func pack(query *dns.Msg, mixed bool) (packed, error) {
	packet, err := query.Pack()
	if err != nil {
		return packed{}, err
	}
	end := headerSize
	for packet[end] != 0 { // the first name of a message is never compressed
		end += 1 + int(packet[end])
	}
	p := packed{query: query, packet: packet, name: packet[headerSize : end+1]}
	if mixed {
		p.plain = slices.Clone(p.name)
		mixCase(p.name)
	}
	return p, nil
}

// mixCase gives each letter of a name in wire format a random case. The length octets of the labels are not
// letters: they are below 64 (RFC 1035 §3.1). The bits come from crypto/rand, as the ID does: a server that
// sees them must not be able to predict those of other queries.
func mixCase(name []byte) {
	random := make([]byte, len(name))
	rand.Read(random) // never fails
	for i, c := range name {
		if lower := c | 0x20; 'a' <= lower && lower <= 'z' {
			name[i] = c ^ random[i]&0x20
		}
	}
}

// reply returns the message in packet if it is a reply to p, nil if it is not, and errSuspect if nothing but
// the case is wrong. It writes the plain name into packet, so that records whose names point to it (RFC 1035
// §4.1.4) do not have the random case.
func (p packed) reply(packet []byte) (*dns.Msg, error) {
	same := len(packet) > headerSize && bytes.HasPrefix(packet[headerSize:], p.name)
	if same && p.plain != nil {
		copy(packet[headerSize:], p.plain)
	}
	m := match(p.query, packet)
	if m != nil && p.plain != nil && !same && len(m.Question) > 0 {
		return nil, errSuspect
	}
	return m, nil
}
