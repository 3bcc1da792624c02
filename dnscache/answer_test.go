package dnscache

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// response returns a reply to query with lines of zone text as the answer section.
func response(t testing.TB, query *dns.Msg, rcode int, answer ...string) *dns.Msg {
	t.Helper()
	m := new(dns.Msg).SetRcode(query, rcode)
	m.RecursionAvailable = true
	for _, line := range answer {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	return m
}

// An answer section may have records in any order, foreign ones, and chains.
func TestRead(t *testing.T) {
	for _, test := range []struct{ story, answer, want string }{
		{"plain", "mx.example.org. A 192.0.2.1", "192.0.2.1"},
		{"another case", "MX.example.ORG. A 192.0.2.1", "192.0.2.1"},
		{"a foreign owner", "other.example.org. A 192.0.2.1", "NODATA"},
		{"a foreign owner beside it", "other.example.org. A 192.0.2.1; mx.example.org. A 192.0.2.2", "192.0.2.2"},
		{"another class", "mx.example.org. CH A 192.0.2.1", "NODATA"},
		{"another type", "mx.example.org. AAAA 2001:db8::1", "NODATA"},
		{"a chain in reverse order", "c.example.org. A 192.0.2.1; b.example.org. CNAME c.example.org.; " +
			"mx.example.org. CNAME b.example.org.", "192.0.2.1"},
		{"a chain with data at its start", "mx.example.org. CNAME b.example.org.; mx.example.org. A 192.0.2.1; " +
			"b.example.org. A 192.0.2.2", "192.0.2.1"},
		{"a chain without data", "mx.example.org. CNAME b.example.org.", "NODATA"},
		{"a loop", "mx.example.org. CNAME b.example.org.; " +
			"b.example.org. CNAME mx.example.org.", "CNAME chain too long"},
		{"a record without data", `mx.example.org. A \# 0`, "malformed records"},
	} {
		q := question{"mx.example.org.", dns.TypeA}
		m := response(t, q.query(true), dns.RcodeSuccess, strings.Split(test.answer, "; ")...)
		result, _ := read(m, q)
		got := texts(result)[0]
		if got != test.want {
			t.Errorf("%s: got %s, want %s", test.story, got, test.want)
		}
		m.Rcode = dns.RcodeNameError
		if result, _ := read(m, q); !isFailure(result) {
			t.Errorf("%s: NXDOMAIN with records gave values", test.story)
		}
	}
}

// samples are data of all record types that are looked up.
var samples = []struct {
	qtype uint16
	data  string
}{
	{dns.TypeA, "192.0.2.1"},
	{dns.TypeAAAA, "2001:db8::1"},
	{dns.TypePTR, "host.example.org."},
	{dns.TypeMX, "10 host.example.org."},
	{dns.TypeNS, "ns.example.org."},
	{dns.TypeTXT, `"v=spf1 \"\\" "\200 -all" ""`},
}

// FuzzAnswer reads packets as if they came from a server, and checks that all values are from records of the
// name that was asked, or of a chain of aliases that starts there.
func FuzzAnswer(f *testing.F) {
	for i, sample := range samples {
		q := question{"mx.example.org.", sample.qtype}
		record := "b.example.org. 300 " + dns.TypeToString[q.qtype] + " " + sample.data
		for _, rcode := range []int{dns.RcodeSuccess, dns.RcodeNameError, dns.RcodeServerFailure} {
			m := response(f, q.query(true), rcode, record, "mx.example.org. 60 CNAME b.example.org.")
			m.Id = 1
			packet, err := m.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(packet, uint8(i))
		}
	}
	f.Fuzz(func(t *testing.T, packet []byte, i uint8) {
		q := question{"mx.example.org.", samples[int(i)%len(samples)].qtype}
		query := q.query(true)
		query.Id = 1
		m := match(query, packet)
		if m == nil {
			return
		}
		result, ttl := read(m, q)
		if ttl < 0 || ttl > maxTTL {
			t.Errorf("TTL %v", ttl)
		}
		if len(texts(result)) == 0 {
			t.Fatal("neither values nor a failure")
		}
		if octets(result) == 0 {
			t.Errorf("%v has no weight in the cache", result)
		}
		if isFailure(result) {
			return
		}
		for _, value := range texts(result) {
			if !slices.Contains(reachable(m, q), value) {
				t.Errorf("%s is from no record of %s: %v", value, q, m)
			}
		}
	})
}

// reachable returns the values of all records whose owner can be reached from q by aliases: the slow and
// simple way.
func reachable(m *dns.Msg, q question) []string {
	reached := map[string]bool{q.name: true}
	for range m.Answer {
		for _, rr := range m.Answer {
			if cname, ok := rr.(*dns.CNAME); ok && reached[strings.ToLower(cname.Hdr.Name)] {
				reached[strings.ToLower(cname.Target)] = true
			}
		}
	}
	var own []dns.RR
	for _, rr := range m.Answer {
		h := rr.Header()
		if h.Class == dns.ClassINET && h.Rrtype == q.qtype && reached[strings.ToLower(h.Name)] {
			own = append(own, rr)
		}
	}
	if len(own) == 0 {
		return nil
	}
	return texts(values(own))
}

func isFailure(result any) bool {
	_, ok := result.(*failure)
	return ok
}

// texts returns the values as display does, or the text of a failure.
func texts(result any) []string {
	if f, ok := result.(*failure); ok {
		return []string{f.text}
	}
	return display(0, result)
}

// FuzzTTL reads a chain of two links that ends in an address, in NXDOMAIN or in NODATA, and compares the TTL
// with a minimum that is computed the simple way.
func FuzzTTL(f *testing.F) {
	for _, ttl := range []uint32{0, 1, 60, 3600, 86400, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
		f.Add(ttl, uint32(300), uint32(60), uint32(60), uint8(0))
		f.Add(uint32(300), ttl, uint32(60), uint32(60), uint8(1))
		f.Add(uint32(86400), uint32(86400), ttl, uint32(86400), uint8(2))
		f.Add(uint32(86400), uint32(86400), uint32(86400), ttl, uint8(3))
	}
	f.Fuzz(func(t *testing.T, link, end, soa, minimum uint32, kind uint8) {
		q := question{"mx.example.org.", dns.TypeA}
		m := response(t, q.query(true), dns.RcodeSuccess, "mx.example.org. CNAME b.example.org.")
		m.Answer[0].Header().Ttl = link
		used, most := []uint32{link}, maxTTL
		if kind%4 == 0 {
			m.Answer = append(m.Answer, response(t, m, 0, "b.example.org. A 192.0.2.1").Answer...)
			m.Answer[1].Header().Ttl = end
			used = append(used, end)
		} else {
			m.Ns = response(t, m, 0, "example.org. SOA . . 1 1 1 1 1").Answer
			m.Ns[0].Header().Ttl, m.Ns[0].(*dns.SOA).Minttl = soa, minimum
			used, most = append(used, soa, minimum), maxNegTTL
		}
		switch kind % 4 {
		case 1:
			m.Rcode = dns.RcodeNameError
		case 2:
			m.Ns, used = nil, []uint32{0} // without an SOA record it is not kept
		}
		want := most
		for _, ttl := range used {
			if ttl > math.MaxInt32 { // RFC 2181 §8
				ttl = 0
			}
			want = min(want, time.Duration(ttl)*time.Second)
		}
		if _, got := read(m, q); got != want {
			t.Errorf("kept for %v, want %v: %v", got, want, m)
		}
	})
}
