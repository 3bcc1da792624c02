package dnstest

import (
	"time"

	"github.com/miekg/dns"
)

// conversation is one query and the reply to it from the zone.
type conversation struct {
	server *Server
	w      dns.ResponseWriter
	query  *dns.Msg
	reply  *dns.Msg
	first  bool // the first query for its name and type
}

// behaviours are the misbehaviours that the package comment lists.
var behaviours = map[string]func(conversation){
	"servfail":      func(c conversation) { c.refuse(dns.RcodeServerFailure) },
	"refused":       func(c conversation) { c.refuse(dns.RcodeRefused) },
	"notimp":        func(c conversation) { c.refuse(dns.RcodeNotImplemented) },
	"formerr":       func(c conversation) { c.refuseEDNS(dns.RcodeFormatError) },
	"badvers":       func(c conversation) { c.refuseEDNS(dns.RcodeBadVers) },
	"header-only":   headerOnly,
	"lame":          lame,
	"no-soa":        func(c conversation) { c.reply.Ns = nil; c.send(c.reply) },
	"cname-loop":    cnameLoop,
	"drop":          func(conversation) {},
	"drop-first":    dropFirst,
	"slow":          slow,
	"truncate":      truncate,
	"truncate-dead": truncateDead,
	"garbage":       func(c conversation) { c.sendGarbage() },
	"garbage-first": func(c conversation) { c.sendGarbage(); c.send(c.reply) },
	"short":         short,
	"wrong-id":      func(c conversation) { c.sendWrongID(); c.send(c.reply) },
	"wrong-question": func(c conversation) {
		wrong := c.falseReply()
		wrong.Question[0].Name = "false.example."
		c.send(wrong)
		c.send(c.reply)
	},
	"case-sensitive": caseSensitive,
	"lowercase":      lowercase,
	"lowercase-no-tcp": func(c conversation) {
		if !c.tcp() {
			lowercase(c)
		}
	},
	"flood":         func(c conversation) { c.flood(c.sendWrongID); c.send(c.reply) },
	"wrong-flood":   func(c conversation) { c.flood(c.sendWrongID); c.sendTCP() },
	"garbage-flood": func(c conversation) { c.flood(c.sendGarbage); c.sendTCP() },
	"foreign-owner": foreignOwner,
}

// send sends m, truncated to the size that the client accepts.
func (c conversation) send(m *dns.Msg) {
	size := dns.MinMsgSize
	if opt := c.query.IsEdns0(); opt != nil {
		size = int(opt.UDPSize())
		if m.IsEdns0() == nil {
			m.SetEdns0(uint16(ednsSize), false)
		}
	}
	if !c.tcp() {
		m.Truncate(size)
	}
	c.w.WriteMsg(m)
}

const ednsSize = 1232

func (c conversation) tcp() bool {
	return c.w.RemoteAddr().Network() == "tcp"
}

// refuse sends a reply that has only an rcode.
func (c conversation) refuse(rcode int) {
	m := new(dns.Msg).SetRcode(c.query, rcode)
	m.RecursionAvailable = true
	c.send(m)
}

// refuseEDNS is refuse if the query has EDNS.
func (c conversation) refuseEDNS(rcode int) {
	if c.query.IsEdns0() == nil {
		c.send(c.reply)
		return
	}
	c.refuse(rcode)
}

// sendGarbage sends a header that counts an answer, and then a label of a kind that does not exist (RFC 1035
// §4.1.4).
func (c conversation) sendGarbage() {
	packet, err := new(dns.Msg).SetReply(c.query).Pack()
	if err != nil {
		return
	}
	packet[7] = 1 // ANCOUNT
	c.w.Write(append(packet, 0x80, 0xff, 0xff))
}

// falseReply returns a reply with data that a client must not accept.
func (c conversation) falseReply() *dns.Msg {
	m := new(dns.Msg).SetReply(c.query)
	m.RecursionAvailable = true
	m.Answer = falseRecords(m.Question[0].Name, m.Question[0].Qtype)
	return m
}

func falseRecords(owner string, qtype uint16) []dns.RR {
	data, ok := map[uint16]string{
		dns.TypeA:    "203.0.113.66",
		dns.TypeAAAA: "2001:db8::bad",
		dns.TypePTR:  "false.example.",
		dns.TypeMX:   "1 false.example.",
		dns.TypeNS:   "false.example.",
		dns.TypeTXT:  "false.example.",
	}[qtype]
	if !ok {
		return nil
	}
	return []dns.RR{record(owner + " 300 " + dns.TypeToString[qtype] + " " + data)}
}

// record parses a line that is known to be valid.
func record(line string) dns.RR {
	rr, err := dns.NewRR(line)
	if err != nil {
		panic(err)
	}
	return rr
}

func headerOnly(c conversation) {
	m := new(dns.Msg).SetRcode(c.query, dns.RcodeRefused)
	m.Question = nil
	c.w.WriteMsg(m)
}

func lame(c conversation) {
	c.send(new(dns.Msg).SetReply(c.query))
}

func cnameLoop(c conversation) {
	name := c.query.Question[0].Name
	c.reply.Rcode, c.reply.Ns = dns.RcodeSuccess, nil
	c.reply.Answer = []dns.RR{record(name + " 300 CNAME " + name)}
	c.send(c.reply)
}

func dropFirst(c conversation) {
	if !c.first {
		c.send(c.reply)
	}
}

func slow(c conversation) {
	select {
	case <-time.After(600 * time.Millisecond):
		c.send(c.reply)
	case <-c.server.closing:
	}
}

func truncate(c conversation) {
	if c.tcp() {
		c.send(c.reply)
		return
	}
	m := new(dns.Msg).SetReply(c.query)
	m.Truncated = true
	c.send(m)
}

func truncateDead(c conversation) {
	if c.tcp() {
		c.w.Close()
		return
	}
	truncate(c)
}

func short(c conversation) {
	packet, err := new(dns.Msg).SetReply(c.query).Pack()
	if err != nil {
		return
	}
	packet[7] = 1 // ANCOUNT
	c.w.Write(packet)
}

func (c conversation) sendWrongID() {
	wrong := c.falseReply()
	wrong.Id++
	c.send(wrong)
}

// flood calls send ten times if the query came over UDP.
func (c conversation) flood(send func()) {
	if c.tcp() {
		return
	}
	for range 10 {
		send()
	}
}

// sendTCP sends the reply from the zone if the query came over TCP.
func (c conversation) sendTCP() {
	if c.tcp() {
		c.send(c.reply)
	}
}

// caseSensitive answers as if the zone had no names but those without an upper-case letter.
func caseSensitive(c conversation) {
	if name := c.query.Question[0].Name; name != dns.CanonicalName(name) {
		c.reply.Rcode, c.reply.Answer, c.reply.Ns = dns.RcodeNameError, nil, []dns.RR{c.server.zone.soa(name)}
	}
	c.send(c.reply)
}

func lowercase(c conversation) {
	if !c.tcp() {
		c.reply.Question[0].Name = dns.CanonicalName(c.reply.Question[0].Name)
		for _, rr := range c.reply.Answer {
			rr.Header().Name = dns.CanonicalName(rr.Header().Name)
		}
	}
	c.send(c.reply)
}

func foreignOwner(c conversation) {
	owner := "false.example."
	c.reply.Answer = append(falseRecords(owner, c.query.Question[0].Qtype), c.reply.Answer...)
	c.send(c.reply)
}
