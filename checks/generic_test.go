package checks

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// String is for the tables: the names of what is true.
func (l look) String() string {
	var has []string
	for i, is := range []bool{l.address, l.dialup, l.fixed, l.mail} {
		if is {
			has = append(has, []string{"address", "dialup", "fixed", "mail"}[i])
		}
	}
	return strings.Join(has, " ")
}

// TestLookAddress4: the client is 203.0.113.9, and every name is under example.org.
func TestLookAddress4(t *testing.T) {
	client := netip.MustParseAddr("203.0.113.9")
	for _, left := range []string{
		"203.0.113.9", "203-0-113-9", "203_0_113_9", "203-0.113_9", // separators, mixed ones, too
		"203x0x113x9",                // a letter separates as well
		"9.113.0.203", "9-113-0-203", // reversed, as in in-addr.arpa
		"ip203-0-113-9", "host203-0-113-9x", // a word glued to it, at either side
		"bras-base-01-203-0-113-9",          // other numbers before it
		"203-0-113-9-7.3", "h1.203-0-113-9", // and after it
		"203.203-0-113-9", "203-0-203-0-113-9", // it begins anew in the middle
		"203-000-113-009", "203.000.113.009", "009-113-000-203", // zero-padded
		"203000113009", "h203000113009", "009113000203", // and concatenated
		"20301139", "dsl20301139x", "91130203", // not padded and concatenated
		"3405803785", "ip-3405803785-a", "158400715", // a number, and with the bytes reversed
		"cb007109", "097100cb", "ipcb007109", "h-cb007109", "0xcb007109", "cb007109host", // hexadecimal
		"cb-00-71-09", "cb.00.71.09", "09-71-00-cb", "a-cb-00-71-09", // in bytes
		"9.113.0.203.dyn", "pool-203-0-113-9.city.state", // labels without numbers
		"a-9-113.0-203.b", "host9-113-dynamic.0-203-r.retail", // over two labels, and a word between
		"9.red-203-0-113.dynamicip",               // the host's number before its network's
		"par-1-113-9.w203-0.abo",                  // by halves
		"cable-9-113.203-0.isp",                   // by halves, one of them reversed
		`a\.b-203-0-113-9`, "\xff203-0-113-9\x00", // what the DNS can have and a host name cannot
	} {
		if !lookOf(left+".example.org", client).address {
			t.Errorf("%s has not %s", left, client)
		}
	}
	for _, left := range []string{
		"mail", "a", "", "-",
		"203-0-113", "0-113-9", "203-0", "113-9", // three octets, and two
		"2030-113-9", "203-0113-9", "203-0-1139",
		"1203-0-113-9", "203-0-113-90", "203-0-113-19", "203-0-13-9", // one digit too many, or another one
		"0203-0-113-9", "203-0000-113-9", // more zeros than padding needs
		"203-0-7-113-9", "9-113-5.0-203", // another number between
		"0-203-9-113", "113-203-9-0", // no provider's order
		"203011309", "120301139", "203011390", "2030001130090", // another number
		"13405803785", "34058037850", "3405803786",
		"cb00710", "cb0071090", "acb007109", "cb007109d", "0cb007109", // a longer or shorter run
		"cb-0-71-9", "cb-00-71", "cb-00-71-090", "cb-00-05-71-09",
		strings.Repeat("9", 60), strings.Repeat("f", 60), // more than an integer holds
	} {
		if lookOf(left+".example.org", client).address {
			t.Errorf("%s has %s", left, client)
		}
	}
}

// TestLookAddress6: the client is 2001:db8::9, and every name is under example.org.
func TestLookAddress6(t *testing.T) {
	client := netip.MustParseAddr("2001:db8::9")
	arpa := "9" + strings.Repeat(".0", 23) + ".8.b.d.0.1.0.0.2"
	for _, left := range []string{
		"20010db8000000000000000000000009", "h20010db8000000000000000000000009-x", // 32 nibbles
		"90000000000000000000000" + "08bd01002",  // reversed
		arpa, strings.ReplaceAll(arpa, ".", "-"), // as in ip6.arpa
		"2001-0db8-0000-0000-0000-0000-0000-0009",      // padded groups
		"20010db800000000.0000000000000009",            // network and host
		"2001-db8-0-0-0-0-0-9", "2001.db8.0.0.0.0.0.9", // groups
		"ip6-2001-db8-0-0-0-0-0-9-dsl", "c-2001-db8-0-0-0-0-0-9.hsd1",
		"2001-db8--9", "dyn-2001-db8--9", "2001-db8--9-dsl.pool", "ipv6host2001-db8--9", // compressed
	} {
		if !lookOf(left+".example.org", client).address {
			t.Errorf("%s has not %s", left, client)
		}
	}
	for _, left := range []string{
		"2001-db8-9", "2001-db8", "2001-db8-0-0-0-0-9", // not all of it
		"2001-db8--90", "2001-db8--19", "12001-db8--9", "2001-db8--a-9", // another address
		"2001-db8-0-0-0-0-0-90", "a2001-db8-0-0-0-0-0-9",
		"20010db800000000000000000000009", // 31 nibbles
		"00000009", "0-0-0-9",             // what an IPv4 address might be
	} {
		if lookOf(left+".example.org", client).address {
			t.Errorf("%s has %s", left, client)
		}
	}
}

// TestLookClient: the same names with other clients.
func TestLookClient(t *testing.T) {
	for _, tt := range []struct {
		name, client string
		want         bool
	}{
		{"1-2-3-4.example.org", "1.2.3.4", true},
		{"11-2-3-45.example.org", "1.2.3.4", false},             // its digits are in it
		{"a1234.example.org", "1.2.3.4", false},                 // four digits could be anything
		{"1000001.example.org", "100.0.0.1", false},             // six, too
		{"100001.example.org", "0.1.134.161", false},            // as a number, too
		{"01020304.example.org", "1.2.3.4", true},               // hexadecimal without a letter
		{"16909060.example.org", "1.2.3.4", true},               // the smallest numbers have eight digits
		{"203-0-113-9.example.org", "203.0.113.8", false},       // the neighbour's
		{"203-0-113-9.example.org", "::ffff:203.0.113.9", true}, // mapped
		{"2001-db8--9.example.org", "2001:db8::9%eth0", true},   // a zone is not in names
		{"host-1.example.org", "::1", false},                    // not each pair of dashes is an address
		{"host--.example.org", "::", false},
		{"203-0-113-9.example.org", "2001:db8::9", false},
		// A provider's hosts, each of them a public suffix or directly under one.
		{"ec2-203-0-113-9.us-west-2.compute.amazonaws.com", "203.0.113.9", true},
		{"ec2-203-0-113-9.compute-1.amazonaws.com", "203.0.113.9", true},
		{"9.113.0.203.bc.googleusercontent.com", "203.0.113.9", true},
		// The address reaches into the registrable domain: a large host's default names, 113.ip-51-75-202.eu.
		{"9.ip-203-0-113.eu", "203.0.113.9", true},
		{"h9.ip203-0-113.example.org", "203.0.113.9", true},
		{"113-9.w203-0.fr", "203.0.113.9", true},
		{"9-113.203-0.co.uk", "203.0.113.9", true},
		{"71-09.cb-00.com", "203.0.113.9", true},
		{"00-71-09.ipcb.com", "203.0.113.9", false},
		{"ns1.ip203-0-113-9.eu", "203.0.113.9", true}, // wholly in it
		{"203-0-113-9.co.uk", "203.0.113.9", true},
		{"203-0-113-9.net", "203.0.113.9", true},
		{"h1.ipcb007109.de", "203.0.113.9", true},
		{"2001-db8--9.online", "2001:db8::9", true},
		{"00000009.20010db8.net", "2001:db8::9", false},
		{"90000000000000000000000.08bd01002.net", "2001:db8::9", true},
		// A name of its own in such a domain, which good mail comes from: it lacks the last octet.
		{"ns3132923.ip-203-0-113.eu", "203.0.113.9", false},
		{"vps-7f3a9d02.ip-203-0-113.eu", "203.0.113.9", false},
		{"10.ip-203-0-113.eu", "203.0.113.9", false}, // the neighbour's
		{"ip-203-0-113.eu", "203.0.113.9", false},
		// Domains that have digits of their own.
		{"m15-126.126.com", "126.15.126.15", false},
		{"m113-9.163.com", "163.113.9.163", false},
		{"n4.8-15.example.org", "4.8.15.16", false},
		{"mx4.4-8-15.com", "4.8.15.16", false},
		{"1.1und1.de", "1.1.1.1", false},
		{"9.113.0.203.in-addr.arpa", "203.0.113.9", true}, // a HELO: the name of its PTR record
	} {
		if got := lookOf(tt.name, netip.MustParseAddr(tt.client)).address; got != tt.want {
			t.Errorf("%s with %s: %t", tt.name, tt.client, got)
		}
	}
	if l := lookOf("203-0-113-9.example.org", netip.Addr{}); l != (look{}) {
		t.Errorf("an address of nobody: %s", l)
	}
}

// TestLookWords: the client's address is in no name.
func TestLookWords(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"dynamic.example.org", "dialup"},
		{"dsl123.example.org", "dialup"}, // a digit ends a word
		{"a.2adsl-1.example.org", "dialup"},
		{"x_ppp_y.example.org", "dialup"},
		{"c-1.hsd1.example.org", "dialup"},
		{"h1-2.dynamic-ip.example.org", "dialup"},
		{"generaldynamics.example.org", ""}, // a word within a word
		{"dynamicinternet.example.org", ""},
		{"cables.example.org", ""},
		{"dynamic.com", ""}, // whose name it is
		{"host.dsl.net", ""},
		{"dsl.co.uk", ""},
		{"pc.dsl.co.uk", ""},
		{"home.example.org", ""}, // somebody's own server
		{"mobile.example.org", ""},
		{"client7.example.org", ""}, // a hosted one
		{"host5.cust.example.org", ""},
		{"sdsl-7.example.org", ""}, // a business line
		{"nat.example.org", ""},
		{"static-7.example.org", "fixed"},
		{"dsl-7-static.example.org", "dialup fixed"},
		{"vps7.example.org", "fixed"},
		{"staticip.pool.example.org", "dialup fixed"},
		{"mx1.example.org", "mail"},
		{"smtp02.dsl.example.org", "dialup mail"},
		{"out7.example.org", "mail"},
		{"mta-pool1.example.org", "dialup mail"}, // a sender's pool
		{"mailpool.example.org", ""},
		{"host.example.org", ""}, // what every line is called
		{"xn--dsl-fka.example.org", "dialup"},
		{"pc.dyn.ddnss.de", ""}, // at home with a name of his own, under what others share
		{"com", ""},
		{"dsl", ""},
		{"", ""},
		{".", ""},
		{"dsl..example.org", ""}, // no name
		{"203.0.113.9", ""},      // no domain
		{strings.Repeat("dsl.", 250) + "example.org", "dialup"},
		{strings.Repeat(`\000`, 250) + ".example.org", ""},
	} {
		if got := lookOf(tt.name, netip.MustParseAddr("198.51.100.77")).String(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestLookSpares: names that no rule may ever catch, with the clients that come nearest to it.
func TestLookSpares(t *testing.T) {
	for _, tt := range []struct{ name, client string }{
		{"a85-218.smtp-out.us-west-2.amazonses.com", "85.218.2.0"},
		{"a85-218.smtp-out.us-west-2.amazonses.com", "54.240.85.218"},
		{"o167-89-97-77.outbound-mail.sendgrid.net", "167.89.97.77"},
		{"mail-we0-f182.google.com", "74.125.82.182"},
		{"66-220-155-151.mail-pages.facebook.com", "66.220.155.151"},
		{"out203-205-221-128.mail.qq.com", "203.205.221.128"},
		{"mx.dynamicinternet.com", "192.0.2.1"},
		{"mail.generaldynamics.com", "192.0.2.1"},
		{"ns1-155.akam.net", "193.108.91.155"},
		{"ns1-155.akam.net", "1.155.1.155"},
		{"m17-178.vip.126.com", "126.17.178.126"},
		{"m17-178.vip.126.com", "17.178.126.0"}, // only the domain has the third number
		{"m17-178.vip.126.com", "220.181.17.178"},
		{"mail.dynv6.example", "192.0.2.1"},
		{"foo.dynv6.example", "192.0.2.1"},
		{"foo.online", "192.0.2.1"},
		{"pc.foo.online", "192.0.2.1"},
		{"203-0-113.online", "203.0.113.9"}, // three octets are a network
		{"mail.203-0-113-9.example", "203.0.113.9"},
		{"com", "203.0.113.9"},
		{"dsl.online", "192.0.2.1"},
	} {
		if l := lookOf(tt.name, netip.MustParseAddr(tt.client)); (l.address || l.dialup) && !l.mail {
			t.Errorf("%s with %s is caught: %s", tt.name, tt.client, l)
		}
	}
}

// TestVocabulary: a word means one thing, can be found, and is nothing that hexadecimal could spell.
func TestVocabulary(t *testing.T) {
	all := slices.Concat(dialupWords, fixedWords, mailWords)
	for _, w := range all {
		if strings.IndexFunc(w, notLetter) >= 0 || strings.IndexFunc(w, notHex) < 0 {
			t.Errorf("%q is no such word", w)
		}
	}
	if len(vocabulary) != len(all) {
		t.Errorf("%d words, but %d different ones", len(all), len(vocabulary))
	}
}

// spellings is an address as a provider might write it.
func spellings(a netip.Addr) []string {
	b := a.AsSlice()
	r := slices.Clone(b)
	slices.Reverse(r)
	if a.Is4() {
		dashed := func(format string, b []byte) string { return fmt.Sprintf(format, b[0], b[1], b[2], b[3]) }
		return []string{
			dashed("%d-%d-%d-%d", b), dashed("%d-%d-%d-%d", r),
			dashed("%03d-%03d-%03d-%03d", b), dashed("%03d%03d%03d%03d", b),
			dashed("%02x-%02x-%02x-%02x", b), hex.EncodeToString(b), hex.EncodeToString(r),
		}
	}
	nibbles := strings.Split(hex.EncodeToString(b), "")
	forwards := strings.Join(nibbles, "-")
	slices.Reverse(nibbles)
	padded := strings.ReplaceAll(a.StringExpanded(), ":", "-")
	return []string{hex.EncodeToString(b), forwards, strings.Join(nibbles, "-"), padded}
}

// FuzzLook: whatever the name is, nothing is seen where there is nothing to look at, and a label with
// the client's address is seen.
func FuzzLook(f *testing.F) {
	for _, name := range []string{
		"example.org", "203-0-113-9.dsl.example.org", "7.8.example.org", "a.compute.amazonaws.com", "com",
		"", ".", "\xff", "xn--", `\000.example.org`, strings.Repeat("9-", 400) + "f.example.org",
	} {
		f.Add(name, []byte{203, 0, 113, 9})
		f.Add(name, netip.MustParseAddr("2001:db8::9").AsSlice())
	}
	f.Fuzz(func(t *testing.T, name string, bytes []byte) {
		name = Canonical(name)
		client, _ := netip.AddrFromSlice(bytes)
		client = client.Unmap()
		l := lookOf(name, client)
		bare := orgDomain(name) == "" || orgDomain(name) == name // no label has a word that counts
		if bare && (l.dialup || l.fixed || l.mail) || registry(name) == name && l.address {
			t.Errorf("%q with %s: %s", name, client, l)
		}
		if !client.IsValid() {
			return
		}
		for _, s := range spellings(client) {
			full := "-" + s + "-." + name
			seen := registry(full) != "" && registry(full) != full
			if lookOf(full, client).address != seen {
				t.Errorf("%q with %s: %t", full, client, !seen)
			}
		}
	})
}

func BenchmarkLook(b *testing.B) {
	for _, bb := range []struct{ story, name, client string }{
		{"mail", "mail.example.org", "203.0.113.9"},
		{"dynamic", "host-203-0-113-9.dsl.city.example.org", "203.0.113.9"},
		{"ipv6", "host-2001-db8--9.dsl.city.example.org", "2001:db8::9"},
		{"hostile", strings.Repeat("12345678-", 100) + "a.example.org", "203.0.113.9"},
	} {
		client := netip.MustParseAddr(bb.client)
		b.Run(bb.story, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				lookOf(bb.name, client)
			}
		})
	}
}
