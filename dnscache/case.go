package dnscache

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/miekg/dns"
)

// CaseRandomization selects the servers that names are sent to with letters of random case, which their
// replies must repeat: one more bit that a forger must guess for each letter (draft-vixie-dnsext-dns0x20).
// It applies to UDP only: whoever can write into a TCP connection has seen the question.
//
// A server that does not repeat the case is asked again over TCP, each time. One that finds nothing in
// random case, or does not repeat it and gives no answer over TCP, is asked plainly for an hour, unless it
// has shown in the last ten minutes that it copes.
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

// mixes reports whether queries to server, one of Config.Servers, get random case over UDP.
func (c CaseRandomization) mixes(text string) bool {
	server, err := parseServer(text)
	return err == nil && server.network == "udp" && (c == CaseOn || c == CaseAuto && !server.loopback())
}

// loopback reports whether the server is on this host by its address, or by the name localhost. The
// unspecified address is that of this host, too (net.Dial).
func (s server) loopback() bool {
	host, _, _ := net.SplitHostPort(s.address)
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && (addr.Unmap().IsLoopback() || addr.IsUnspecified())
}

// headerSize is where the question starts in a message, in octets (RFC 1035 §4.1.1).
const headerSize = 12

// packed is a query as it is sent.
type packed struct {
	query  *dns.Msg
	packet []byte
	name   []byte // the name of the question, a part of packet
	plain  []byte // the name in lower case
}

// pack packs query, which has one question. It returns an error if the name is not a valid one.
func pack(query *dns.Msg) (packed, error) {
	packet, err := query.Pack()
	if err != nil {
		return packed{}, err
	}
	end := headerSize
	for packet[end] != 0 { // the first name of a message is never compressed
		end += 1 + int(packet[end])
	}
	p := packed{query: query, packet: packet, name: packet[headerSize : end+1]}
	for _, c := range p.name { // the length octets of the labels are below 'A' (RFC 1035 §3.1)
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		p.plain = append(p.plain, c)
	}
	return p, nil
}

// reply returns the message in packet if it is a reply to p, nil if it is not, and errCase if nothing but the
// case is wrong, which counts if the query has capital letters. It writes the plain name into packet, so that
// records whose names point to it (RFC 1035 §4.1.4) do not have the random case.
func (p packed) reply(packet []byte) (*dns.Msg, error) {
	same := len(packet) > headerSize && bytes.HasPrefix(packet[headerSize:], p.name)
	if same {
		copy(packet[headerSize:], p.plain)
	}
	m := match(p.query, packet)
	if m != nil && !same && !bytes.Equal(p.name, p.plain) && len(m.Question) > 0 {
		return nil, errCase
	}
	return m, nil
}

// wrong returns why packet is not the reply to p, as Config.OnPassedOver has it. err is that of reply.
func (p packed) wrong(packet []byte, err error) string {
	switch {
	case err != nil:
		return "case"
	case binary.BigEndian.Uint16(packet) != p.query.Id: // ReadMsgHeader has seen a whole header
		return "id"
	default:
		return "content"
	}
}
