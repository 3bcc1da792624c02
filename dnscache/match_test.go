package dnscache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// FuzzMatch checks that only a reply with the query's question and ID is accepted, in the query's spelling if
// its case is random. The one exception is a refusal that is nothing but a header.
func FuzzMatch(f *testing.F) {
	query := question{"mx.example.org.", dns.TypeA}.query(true)
	query.Id = 1
	seedReplies(f, query)
	mixed := query.Copy()
	mixed.Question[0].Name = "mX.Example.ORG." // not random, so that a seed can have it
	f.Fuzz(func(t *testing.T, packet []byte) {
		for _, query := range []*dns.Msg{query, mixed} {
			sent, err := pack(query)
			if err != nil {
				t.Fatal(err)
			}
			checkReply(t, sent, packet)
		}
	})
}

// seedReplies adds replies to query, and packets that nearly are.
func seedReplies(f *testing.F, query *dns.Msg) {
	add := func(m *dns.Msg) []byte {
		m.Compress = true
		packet, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packet)
		return slices.Clone(packet)
	}
	for _, name := range []string{"mx.example.org.", "mX.Example.ORG.", "mx.example.com."} {
		m := response(f, query, dns.RcodeSuccess, "mx.example.org. CNAME b.example.", "b.example. A 192.0.2.1")
		m.Question[0].Name = name
		packet := add(m)
		f.Add(packet[:headerSize])
		f.Add(packet[:len(packet)-1])
		m.Answer, m.Truncated = nil, true
		packet = add(m)
		packet[5] = 2 // QDCOUNT, for one question
		f.Add(packet)
	}
	refusal := response(f, query, dns.RcodeRefused)
	refusal.Question = nil
	add(refusal)
	f.Add([]byte{})
}

func checkReply(t *testing.T, sent packed, packet []byte) {
	m, err := sent.reply(slices.Clone(packet))
	if m == nil || err != nil {
		if m != nil || err != nil && !errors.Is(err, errCase) {
			t.Errorf("got %v, %v", m, err)
		}
		return
	}
	if len(packet) < headerSize || binary.BigEndian.Uint16(packet) != sent.query.Id || packet[2]&0x80 == 0 {
		t.Fatalf("accepted with another ID, or not a reply: %x", packet)
	}
	if packet[2]>>3&0xf != dns.OpcodeQuery {
		t.Errorf("accepted with another opcode: %x", packet)
	}
	switch count := binary.BigEndian.Uint16(packet[4:]); {
	case count == 0 && len(m.Question) == 0:
		if m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError {
			t.Errorf("accepted data without a question: %v", m)
		}
	case count != 1 || len(m.Question) != 1 || !sameQuestion(m.Question[0], sent.query.Question[0]):
		t.Errorf("accepted for another question: %v", m)
	case !bytes.Equal(sent.name, sent.plain) && !strings.HasPrefix(string(packet[headerSize:]), string(sent.name)):
		t.Errorf("accepted in another case: %x", packet)
	}
}

func TestMatch(t *testing.T) {
	q := question{"mx.example.org.", dns.TypeA}
	query := q.query(true)
	for _, test := range []struct {
		story string
		spoil func(*dns.Msg)
		want  bool
	}{
		{"the reply", func(*dns.Msg) {}, true},
		{"another case", func(m *dns.Msg) { m.Question[0].Name = "MX.example.org." }, true},
		{"another ID", func(m *dns.Msg) { m.Id++ }, false},
		{"a query", func(m *dns.Msg) { m.Response = false }, false},
		{"another opcode", func(m *dns.Msg) { m.Opcode = dns.OpcodeStatus }, false},
		{"another name", func(m *dns.Msg) { m.Question[0].Name = "example.org." }, false},
		{"another type", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAAAA }, false},
		{"another class", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, false},
		{"two questions", func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, false},
		{"no question", func(m *dns.Msg) { m.Question = nil }, false},
		{"no question, NXDOMAIN", func(m *dns.Msg) { m.Question, m.Rcode = nil, dns.RcodeNameError }, false},
		{"no question, FORMERR", func(m *dns.Msg) { m.Question, m.Rcode = nil, dns.RcodeFormatError }, true},
	} {
		m := response(t, query, dns.RcodeSuccess)
		test.spoil(m)
		packet, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		if got := match(query, packet) != nil; got != test.want {
			t.Errorf("%s: accepted %v, want %v", test.story, got, test.want)
		}
	}
}

func TestMatchBrokenPackets(t *testing.T) {
	q := question{"mx.example.org.", dns.TypeA}
	query := q.query(true)
	packet, err := response(t, query, dns.RcodeSuccess, "mx.example.org. A 192.0.2.1").Pack()
	if err != nil {
		t.Fatal(err)
	}
	end := 12 + len("?mx?example?org?") + 4 // header and question
	for size := range packet {
		if match(query, packet[:size]) != nil {
			t.Errorf("accepted %d octets of %d", size, len(packet))
		}
	}
	packet[2] |= 2 // TC: the rest may be cut off anywhere
	for size := range packet {
		if got, want := match(query, packet[:size]) != nil, size >= end; got != want {
			t.Errorf("truncated to %d octets: accepted %v, want %v", size, got, want)
		}
	}
}
