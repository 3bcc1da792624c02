// Package dnstest is a DNS server for tests. It answers as a recursive server would from one zone text, and
// misbehaves on request.
//
//	server := dnstest.Start(t, `
//	mx.example.org.            A     192.0.2.1
//	192.0.2.1                  PTR   mx.example.org.
//	slow.example.org.          A     192.0.2.2
//	192.0.2.2                  TXT   "dnstest" "servfail"
//	mx.example.org.            TXT   "dnstest" "drop" "AAAA"
//	`)
//	resolver, err := dnscache.New(dnscache.Config{Servers: []string{server.Addr()}})
//
// # Zone
//
// The text is a zone file (RFC 1035 §5) with any names and types and a default TTL of 300 s; it needs no
// delegation and no NS records. An owner that is an address stands for its reverse name. CNAMEs are followed.
// A name that does not exist gets NXDOMAIN, a type that does not exist NODATA, both with the closest SOA
// record of the text at or above the name, or else with one for the root, of 300 s. An error in the text, or a
// misbehaviour that does not exist, fails the test.
//
// # Misbehaviour
//
// A name misbehaves if one of its labels is a word of the list below, as does slow.example.org above, or if
// it has a TXT record "dnstest" "WORD". A third string limits that to one type: mx.example.org above has an
// address, but does not answer for AAAA. At the root the record is for all names that do not misbehave in
// another way: a habit of the server.
//
//	.                          TXT   "dnstest" "lowercase"
//
// These records are not part of any answer. "As usual" is the reply from the zone. Unless stated otherwise,
// the behaviour is the same on UDP and TCP.
//
//	servfail          SERVFAIL
//	refused           REFUSED
//	notimp            NOTIMP
//	formerr           FORMERR to a query with EDNS, else as usual
//	badvers           BADVERS to a query with EDNS, else as usual
//	header-only       REFUSED in a reply without the question
//	lame              an empty answer, neither authoritative nor from a recursive server
//	no-soa            as usual, but without an SOA record
//	cname-loop        a CNAME to itself
//	drop              no answer
//	drop-first        no answer to the first query for the name and type, then as usual
//	slow              as usual, 600 ms later
//	truncate          over UDP an empty answer with the TC bit, over TCP as usual
//	truncate-dead     over UDP an empty answer with the TC bit, over TCP the connection is closed
//	garbage           a reply that cannot be decoded
//	garbage-first     a reply that cannot be decoded, then as usual
//	short             the header counts a record that is missing
//	wrong-id          a false answer with another ID, then as usual
//	wrong-question    a false answer to another question with the right ID, then as usual
//	case-sensitive    NXDOMAIN if the name was asked with an upper-case letter, else as usual
//	lowercase         over UDP all names in lower case, whatever was asked, over TCP as usual
//	lowercase-no-tcp  over UDP all names in lower case, over TCP no answer
//	flood             over UDP ten false answers with another ID, then as usual; over TCP as usual
//	wrong-flood       over UDP ten false answers with another ID, over TCP as usual
//	garbage-flood     over UDP ten replies that cannot be decoded, over TCP as usual
//	foreign-owner     a record of another owner, then those asked for
//
// False answers carry 203.0.113.66, 2001:db8::bad and false.example.
//
// # How to add a misbehaviour
//
// It is a row of behaviours in behaviours.go, a word and a function of one query with the reply from the
// zone, and a line in the list above: a test compares the two. A name in the zone of TestDifficultServer in
// package dnscache, and a row in its table, then show what a resolver makes of it.
package dnstest

import (
	"net"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Server is a running DNS server.
type Server struct {
	addr    string
	zone    Zone
	closing chan struct{}
	stops   []func()

	mu      sync.Mutex
	queries map[dns.Question]int
}

// Start serves zone on a loopback port, over UDP and TCP, until the test ends.
func Start(t testing.TB, zone string) *Server {
	t.Helper()
	s, err := NewServer(zone)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// NewServer is Start for what is no test: the caller must close the server.
func NewServer(zone string) (*Server, error) {
	records, err := parse(zone)
	if err != nil {
		return nil, err
	}
	udp, tcp, err := listen()
	if err != nil {
		return nil, err
	}
	s := newServer(records, udp.LocalAddr())
	s.serve(&dns.Server{PacketConn: udp})
	s.serve(&dns.Server{Listener: tcp})
	return s, nil
}

func newServer(zone Zone, addr net.Addr) *Server {
	return &Server{
		addr:    addr.String(),
		zone:    zone,
		closing: make(chan struct{}),
		queries: map[dns.Question]int{},
	}
}

// Close stops the server, and waits until it has ended.
func (s *Server) Close() {
	close(s.closing) // before the wait for replies that are slow
	for _, stop := range s.stops {
		stop()
	}
}

// Addr returns HOST:PORT of the server: the same for UDP and TCP, and without tls:// for TLS.
func (s *Server) Addr() string {
	return s.addr
}

// Queries returns the number of queries for a name and type so far, over UDP and TCP together. The final dot
// of the name is optional.
func (s *Server) Queries(name string, qtype uint16) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queries[dns.Question{Name: dns.CanonicalName(name), Qtype: qtype, Qclass: dns.ClassINET}]
}

// listen listens on a port that is free for both UDP and TCP.
func listen() (net.PacketConn, net.Listener, error) {
	var err error
	for range 10 {
		var udp net.PacketConn
		if udp, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			break
		}
		var tcp net.Listener
		if tcp, err = net.Listen("tcp", udp.LocalAddr().String()); err == nil {
			return udp, tcp, nil
		}
		udp.Close()
	}
	return nil, nil, err
}

// serve starts server, which Close stops.
func (s *Server) serve(server *dns.Server) {
	server.Handler = s
	started, ended := make(chan struct{}), make(chan struct{})
	server.NotifyStartedFunc = func() { close(started) }
	go func() {
		defer close(ended)
		server.ActivateAndServe()
	}()
	select {
	case <-started:
	case <-ended:
	}
	s.stops = append(s.stops, func() {
		server.Shutdown()
		<-ended
	})
}

// ServeDNS answers one query. It makes Server a dns.Handler.
func (s *Server) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	asked := query.Question[0]
	asked.Name = dns.CanonicalName(asked.Name)
	s.mu.Lock()
	s.queries[asked]++
	first := s.queries[asked] == 1
	s.mu.Unlock()

	reply := s.zone.Reply(query)
	c := conversation{s, w, query, reply, first}
	if misbehave, ok := behaviours[s.zone.behaviour(asked)]; ok {
		misbehave(c)
		return
	}
	c.send(reply)
}
