package dnscache

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// exchange is the ExchangeFunc of real life. Each query has a socket of its own, so that a forger
// has to guess its port (RFC 5452 §9.2), and the socket is connected, so that nobody but the server
// is heard. What does not belong to the query or cannot be read is passed over.
func exchange(ctx context.Context, network, server string, query *dns.Msg) (*dns.Msg, error) {
	var dialer net.Dialer
	socket, err := dialer.DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	conn := &dns.Conn{Conn: socket, UDPSize: ednsSize}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	if err := conn.WriteMsg(query); err != nil {
		return nil, err
	}
	for {
		packet, err := conn.ReadMsgHeader(nil)
		if errors.Is(err, dns.ErrShortRead) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if reply := match(query, packet); reply != nil {
			return reply, nil
		}
	}
}

// match decodes packet and returns it if it is a reply to query, else nil (RFC 5452 §9.1).
func match(query *dns.Msg, packet []byte) *dns.Msg {
	m := new(dns.Msg)
	err := m.Unpack(packet)
	if m.Id != query.Id || !m.Response || m.Opcode != dns.OpcodeQuery {
		return nil
	}
	if err == nil && len(m.Question) == 0 {
		// Some servers refuse with nothing but a header. That is no data to be fooled by.
		if m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError {
			return nil
		}
		return m
	}
	if len(m.Question) != 1 || !sameQuestion(m.Question[0], query.Question[0]) {
		return nil
	}
	// A truncated message may end in the middle of a record: the header is all we need of it.
	if m.Truncated {
		return m
	}
	if err != nil || !complete(m, packet) {
		return nil
	}
	return m
}

func sameQuestion(a, b dns.Question) bool {
	return strings.EqualFold(a.Name, b.Name) && a.Qtype == b.Qtype && a.Qclass == b.Qclass
}

// complete tells whether m has all the records that the header of packet promises (RFC 1035
// §4.1.1). Unpack does not mind if they are missing, but then an answer would look like no answer.
func complete(m *dns.Msg, packet []byte) bool {
	for i, got := range []int{len(m.Question), len(m.Answer), len(m.Ns), len(m.Extra)} {
		if int(binary.BigEndian.Uint16(packet[4+2*i:])) != got {
			return false
		}
	}
	return true
}
