package dnscache

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// FuzzMatch checks that nothing is taken for a reply but one to our question with our ID, as we
// spelled it where that counts. The one exception is a refusal that is nothing but a header.
func FuzzMatch(f *testing.F) {
	query := question{"mx.example.org.", dns.TypeA}.query(true)
	query.Id = 1
	seedReplies(f, query)
	spelled, err := pack(query, false)
	if err != nil {
		f.Fatal(err)
	}
	mixed := spelled
	mixed.plain = slices.Clone(spelled.name)
	mixed.name = []byte("\x02mX\x07Example\x03ORG\x00") // not random, so that a seed can have it
	f.Fuzz(func(t *testing.T, packet []byte) {
		for _, sent := range []packed{spelled, mixed} {
			checkReply(t, sent, packet)
		}
	})
}

// seedReplies adds replies to query, and what is nearly one.
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
		m := message(f, query, dns.RcodeSuccess, "mx.example.org. CNAME b.example.", "b.example. A 192.0.2.1")
		m.Question[0].Name = name
		packet := add(m)
		f.Add(packet[:headerSize])
		f.Add(packet[:len(packet)-1])
		m.Answer, m.Truncated = nil, true
		packet = add(m)
		packet[5] = 2 // QDCOUNT, for one question
		f.Add(packet)
	}
	refusal := message(f, query, dns.RcodeRefused)
	refusal.Question = nil
	add(refusal)
	f.Add([]byte{})
}

func checkReply(t *testing.T, sent packed, packet []byte) {
	m, err := sent.reply(slices.Clone(packet))
	if m == nil || err != nil {
		if m != nil || err != nil && !errors.Is(err, errDoubt) {
			t.Errorf("got %v, %v", m, err)
		}
		return
	}
	if len(packet) < headerSize || binary.BigEndian.Uint16(packet) != sent.query.Id || packet[2]&0x80 == 0 {
		t.Fatalf("taken with another ID, or no reply: %x", packet)
	}
	if packet[2]>>3&0xf != dns.OpcodeQuery {
		t.Errorf("taken with another opcode: %x", packet)
	}
	switch count := binary.BigEndian.Uint16(packet[4:]); {
	case count == 0 && len(m.Question) == 0:
		if m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError {
			t.Errorf("an answer to no question: %v", m)
		}
	case count != 1 || len(m.Question) != 1 || !sameQuestion(m.Question[0], sent.query.Question[0]):
		t.Errorf("taken for another question: %v", m)
	case sent.plain != nil && !strings.HasPrefix(string(packet[headerSize:]), string(sent.name)):
		t.Errorf("taken in another case: %x", packet)
	}
}
