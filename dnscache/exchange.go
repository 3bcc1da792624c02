package dnscache

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// maxWrong bounds the messages that are passed over while we wait for the reply to one query. So many
// are no accident: somebody guesses, and each further one we look at is one more guess for him.
const maxWrong = 5

// errSuspect is an exchange without a reply that can be believed: maxWrong messages were not to the
// query, or one spelled its name differently. Over TCP no stranger can put in a word.
var errSuspect = errors.New("no reply to be believed")

// wire is the exchange of real life.
type wire struct {
	spelling CaseRandomization
	tls      *tls.Config // but for the name of the server
}

// newWire returns the wire for cfg.
func newWire(cfg Config) *wire {
	return &wire{cfg.CaseRandomization, &tls.Config{
		RootCAs:    cfg.RootCAs,
		MinVersion: tls.VersionTLS12, // RFC 9325 §3.1.1
	}}
}

// exchange is the ExchangeFunc of sockets. Each query has one of its own, so that a forger has to guess
// its port too (RFC 5452 §9.2), and it is connected, so that nobody but the server is heard and an
// ICMP error ends the wait at once. What does not belong to the query or cannot be read is passed
// over, until ctx ends or there are maxWrong of them.
func (w *wire) exchange(ctx context.Context, network, server string, query *dns.Msg) (*dns.Msg, error) {
	socket, err := w.dial(ctx, network, server)
	if err != nil {
		return nil, err
	}
	conn := &dns.Conn{Conn: socket, UDPSize: ednsSize}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	sent, err := pack(query, w.spelling.mixes(socket.RemoteAddr()))
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(sent.packet); err != nil {
		return nil, err
	}
	for range maxWrong {
		packet, err := conn.ReadMsgHeader(nil)
		if errors.Is(err, dns.ErrShortRead) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if reply, err := sent.reply(packet); reply != nil || err != nil {
			return reply, err
		}
	}
	return nil, errSuspect
}

// dial connects to a server of Config.Servers. One that is to be asked over TLS is, whatever network
// says. Its connection serves one query, as those of TCP do. That costs one round trip more than TCP
// and, on loopback, about a millisecond of both processors, where UDP takes 60 µs and TCP 130 µs
// (BenchmarkExchange); session tickets would spare a tenth of it.
func (w *wire) dial(ctx context.Context, network, text string) (net.Conn, error) {
	server, err := parseServer(text)
	if err != nil {
		return nil, err
	}
	if server.network == "tls" {
		cfg := w.tls.Clone()
		cfg.ServerName = server.name
		dialer := tls.Dialer{Config: cfg}
		return dialer.DialContext(ctx, "tcp", server.address)
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, network, server.address)
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
		if m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError || !complete(m, packet) {
			return nil
		}
		return m
	}
	// The header is believed, not the length: Unpack takes what is there for all there is to be.
	if len(m.Question) != 1 || questions(packet) != 1 || !sameQuestion(m.Question[0], query.Question[0]) {
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

// questions is QDCOUNT in the header of packet (RFC 1035 §4.1.1).
func questions(packet []byte) uint16 {
	return binary.BigEndian.Uint16(packet[4:])
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
