package dnstest

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// Zone is a zone text, parsed: the records of each name. Tests that need no sockets, as those in a
// testing/synctest bubble, ask it directly.
type Zone map[string][]dns.RR

// Parse reads a zone text. An error in it fails the test, and so does a misbehaviour there is not.
func Parse(t testing.TB, text string) Zone {
	t.Helper()
	zone := Zone{}
	parser := dns.NewZoneParser(strings.NewReader(text), ".", "zone text")
	parser.SetDefaultTTL(300)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		if word, _, ok := directive(rr); ok && behaviours[word] == nil {
			t.Fatalf("no such misbehaviour: %s", rr)
		}
		name := dns.CanonicalName(rr.Header().Name)
		zone[name] = append(zone[name], rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	return zone
}

// Reply makes the proper reply to query, whatever misbehaviour the zone asks for.
func (z Zone) Reply(query *dns.Msg) *dns.Msg {
	reply := new(dns.Msg).SetReply(query)
	reply.RecursionAvailable = true
	name, qtype := query.Question[0].Name, query.Question[0].Qtype
	for range len(z) + 1 { // a loop ends there
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

// as returns a copy of rr that spells its owner as it was asked for.
func as(name string, rr dns.RR) dns.RR {
	rr = dns.Copy(rr)
	rr.Header().Name = name
	return rr
}

// exists tells whether name or a name below it has records (RFC 8020 §2).
func (z Zone) exists(name string) bool {
	for owner := range z {
		if dns.IsSubDomain(name, owner) {
			return true
		}
	}
	return false
}

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

// behaviour returns the word that name and type of q have in the list of the package comment, or "".
func (z Zone) behaviour(q dns.Question) string {
	for _, rr := range z[q.Name] {
		word, only, ok := directive(rr)
		if ok && (only == "" || only == dns.TypeToString[q.Qtype]) {
			return word
		}
	}
	for _, label := range dns.SplitDomainName(q.Name) {
		if _, ok := behaviours[label]; ok {
			return label
		}
	}
	return ""
}

// directive reads a TXT record "dnstest" "WORD", perhaps with a third string for the one type it is about.
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
