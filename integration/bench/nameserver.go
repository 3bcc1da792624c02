package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"helo-milter/integration/rig"
)

// nameserver is a resolver in this process that knows the clients of all pools without a list, and answers
// after a delay.
type nameserver struct {
	conn      net.PacketConn
	delay     time.Duration
	delayed   chan delayed
	questions atomic.Int64
}

// serve starts a nameserver on port 53 of an address.
func serve(t rig.T, address string, delay time.Duration) *nameserver {
	conn, err := net.ListenPacket("udp", net.JoinHostPort(address, "53"))
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	s := &nameserver{conn: conn, delay: delay, delayed: make(chan delayed, 10_000)}
	go s.read()
	go s.send()
	return s
}

// delayed is an answer that is sent later.
type delayed struct {
	due    time.Time
	answer []byte
	to     net.Addr
}

// send sends answers when they are due, which is in the order of the questions. It sleeps in the kernel: where nothing
// else runs, a timer of Go's runtime comes up to a millisecond late (epoll_wait(2) counts in milliseconds), and that
// would count as the milter's.
func (s *nameserver) send() {
	for d := range s.delayed {
		for wait := time.Until(d.due); wait > 0; wait = time.Until(d.due) {
			ts := syscall.NsecToTimespec(wait.Nanoseconds())
			_ = syscall.Nanosleep(&ts, nil)
		}
		_, _ = s.conn.WriteTo(d.answer, d.to)
	}
}

func (s *nameserver) read() {
	defer close(s.delayed)
	for {
		packet := make([]byte, 1232)
		n, from, err := s.conn.ReadFrom(packet)
		if err != nil {
			return
		}
		came := time.Now()
		s.questions.Add(1)
		answer := answerTo(packet[:n])
		if s.delay == 0 {
			_, _ = s.conn.WriteTo(answer, from)
			continue
		}
		s.delayed <- delayed{came.Add(s.delay), answer, from}
	}
}

// Types and codes of the DNS (RFC 1035 §3.2.2, §4.1.1).
const (
	typeA    = 1
	typeSOA  = 6
	typePTR  = 12
	typeTXT  = 16
	typeAAAA = 28
	response = 0x8180 // an answer with recursion
	noName   = 3      // NXDOMAIN
	ttl      = 86400
)

// answerTo returns the answer to a question (RFC 1035 §4), nil if it is none. Its case is kept.
func answerTo(query []byte) []byte {
	labels, last, end := readName(query)
	if labels == nil || len(query) < end+4 {
		return nil
	}
	name := strings.ToLower(strings.Join(labels, "."))
	data, exists := lookUp(name, binary.BigEndian.Uint16(query[end:]))
	reply := append([]byte(nil), query[:end+4]...)
	binary.BigEndian.PutUint16(reply[2:], response)
	copy(reply[4:12], "\x00\x01\x00\x01\x00\x00\x00\x00")
	if data != nil {
		return append(reply, record(12, binary.BigEndian.Uint16(query[end:]), data)...)
	}
	if !exists {
		reply[3] |= noName
	}
	copy(reply[6:10], "\x00\x00\x00\x01") // no answer, and the zone's SOA (RFC 2308 §2)
	return append(reply, record(last, typeSOA, append(make([]byte, 2+4*4), "\x00\x00\x0e\x10"...))...)
}

// lookUp returns the data of a record, or whether there is the name.
func lookUp(name string, qtype uint16) (data []byte, exists bool) {
	if octets, ok := strings.CutSuffix(name, ".in-addr.arpa"); ok {
		var a [4]byte
		n, _ := fmt.Sscanf(octets, "%d.%d.%d.%d", &a[3], &a[2], &a[1], &a[0])
		host := reverse(netip.AddrFrom4(a))
		if n < len(a) || host == "" || qtype != typePTR {
			return nil, n == len(a) && host != ""
		}
		for label := range strings.SplitSeq(host, ".") {
			data = append(append(data, byte(len(label))), label...)
		}
		return append(data, 0), true
	}
	addr, exists := forward(name)
	if exists && qtype == typeA {
		return addr.AsSlice(), true
	}
	return nil, exists
}

// readName reads the labels of a question, and where the last of them and what follows begin.
func readName(query []byte) (labels []string, last, end int) {
	for end = 12; end < len(query) && query[end] != 0; {
		next := end + 1 + int(query[end])
		if next > len(query) {
			return nil, 0, 0
		}
		labels = append(labels, string(query[end+1:next]))
		last, end = end, next
	}
	return labels, last, end + 1
}

// record returns a resource record whose owner is at an offset of the packet.
func record(owner int, rtype uint16, data []byte) []byte {
	r := binary.BigEndian.AppendUint16(nil, 0xc000|uint16(owner))
	r = binary.BigEndian.AppendUint16(r, rtype)
	r = binary.BigEndian.AppendUint16(r, 1) // class IN
	r = binary.BigEndian.AppendUint32(r, ttl)
	r = binary.BigEndian.AppendUint16(r, uint16(len(data)))
	return append(r, data...)
}
