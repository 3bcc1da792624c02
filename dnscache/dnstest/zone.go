package dnstest

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// Zone is a parsed zone text: the records of each name, in the form of dns.CanonicalName. Tests without
// sockets, as those in a testing/synctest bubble, ask it directly.
type Zone map[string][]dns.RR

// Parse parses a zone text. An error in it fails the test, and so does a misbehaviour that does not exist.
func Parse(t testing.TB, text string) Zone {
	t.Helper()
	zone, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func parse(text string) (Zone, error) {
	zone := Zone{}
	parser := dns.NewZoneParser(strings.NewReader(text), ".", "zone text")
	parser.SetDefaultTTL(300)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		if word, _, ok := directive(rr); ok && behaviours[word] == nil {
			return nil, fmt.Errorf("no such misbehaviour: %s", rr)
		}
		name := dns.CanonicalName(rr.Header().Name)
		if addr, err := netip.ParseAddr(strings.TrimSuffix(name, ".")); err == nil {
			name, _ = dns.ReverseAddr(addr.String())
			rr.Header().Name = name
		}
		zone[name] = append(zone[name], rr)
	}
	return zone, parser.Err()
}

// Reply returns the reply to query, without any misbehaviour that the zone asks for.
func (z Zone) Reply(query *dns.Msg) *dns.Msg {
	reply := new(dns.Msg).SetReply(query)
	reply.RecursionAvailable = true
	name, qtype := query.Question[0].Name, query.Question[0].Qtype
	for range len(z) + 1 { // ends a loop
		var alias *dns.CNAME
		for _, rr := range z[dns.CanonicalName(name)] {
			if _, _, ok := directive(rr); ok {
				continue
			}
			if rr.Header().Rrtype == qtype {
				reply.Answer = append(reply.Answer, as(name, rr))
			} else if cname, ok := rr.(*dns.CNAME); ok {
				alias = cname
			}
		}
		if alias == nil {
			break
		}
		reply.Answer = append(reply.Answer, as(name, alias))
		name = alias.Target
	}
	if n := len(reply.Answer); n > 0 && reply.Answer[n-1].Header().Rrtype == qtype {
		return reply
	}
	if !z.exists(name) {
		reply.Rcode = dns.RcodeNameError
	}
	reply.Ns = []dns.RR{z.soa(name)}
	return reply
}

// as returns a copy of rr whose owner is spelled as name.
func as(name string, rr dns.RR) dns.RR {
	rr = dns.Copy(rr)
	rr.Header().Name = name
	return rr
}

// exists reports whether name or a name below it has records (RFC 8020 §2).
func (z Zone) exists(name string) bool {
	for owner := range z {
		if dns.IsSubDomain(name, owner) {
			return true
		}
	}
	return false
}

// soa returns the SOA record closest to name.
func (z Zone) soa(name string) dns.RR {
	name = dns.CanonicalName(name)
	for off, end := 0, name == "."; !end; off, end = dns.NextLabel(name, off) {
		records := z[name[off:]]
		if at := slices.IndexFunc(records, isSOA); at >= 0 {
			return records[at]
		}
	}
	return record(". 300 SOA . . 1 300 300 300 300")
}

func isSOA(rr dns.RR) bool {
	return rr.Header().Rrtype == dns.TypeSOA
}

// behaviour returns the word of behaviours that applies to the name and type of q, or "": that of the name's
// own record, of a label, or of the root's record.
func (z Zone) behaviour(q dns.Question) string {
	if word := z.directed(q.Name, q.Qtype); word != "" {
		return word
	}
	for _, label := range dns.SplitDomainName(q.Name) {
		if _, ok := behaviours[label]; ok {
			return label
		}
	}
	return z.directed(".", q.Qtype)
}

// directed returns the word of the directive at name for a type, or "".
func (z Zone) directed(name string, qtype uint16) string {
	for _, rr := range z[name] {
		word, only, ok := directive(rr)
		if ok && (only == "" || only == dns.TypeToString[qtype]) {
			return word
		}
	}
	return ""
}

// directive parses a TXT record "dnstest" "WORD" "TYPE", where the type is optional. It reports false for any
// other record.
func directive(rr dns.RR) (word, only string, ok bool) {
	txt, ok := rr.(*dns.TXT)
	if !ok || len(txt.Txt) < 2 || txt.Txt[0] != "dnstest" {
		return "", "", false
	}
	if len(txt.Txt) > 2 {
		only = txt.Txt[2]
	}
	return txt.Txt[1], only, true
}
