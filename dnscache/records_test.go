package dnscache

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

const textZone = `
example.org.                    SOA   ns.example.org. root.example.org. 1 300 300 300 60
example.org.                    NS    ns2.example.org.
example.org.                    NS    NS.example.net.
example.org.                    TXT   "v=spf1 -all"
example.org.                    TXT   "other"
mx.example.org.                 A     192.0.2.1
joined.example.org.             TXT   "v=spf1 ip4:192.0" ".2.1 " "" "-all"
quoted.example.org.             TXT   "a\"b\\c\\\"" "\\" "032"
escaped.example.org.            TXT   "\000\009\127\128\255" "\065\;\."
latin.example.org.              TXT   "é"
empty.example.org.              TXT   ""
empties.example.org.            TXT   "" ""
some.example.org.               TXT   ""
some.example.org.               TXT   "text"
bare.example.org.               TXT   \# 0
bare.example.org.               NS    \# 0
half.example.org.               TXT   \# 0
half.example.org.               TXT   "text"
alias.example.org.              CNAME alias2.example.net.
alias2.example.net.             CNAME joined.example.org.
dangling.example.org.           CNAME nowhere.example.net.
odd.example.org.                NS    not\ a\ host.example.
odd.example.org.                NS    .
broken.example.org.             TXT   "v=spf1 -all"
broken.example.org.             NS    ns.example.org.
broken.example.org.             TXT   "dnstest" "servfail" "TXT"
foreign-owner.example.org.      TXT   "text"
foreign-owner.example.org.      NS    ns.example.org.
`

func TestLookupText(t *testing.T) {
	r, _ := resolverOf(t, textZone, Config{})
	for _, test := range []struct{ lookup, want string }{
		{"TXT example.org", `"v=spf1 -all" "other"`},
		{"TXT Example.ORG.", `"v=spf1 -all" "other"`},
		{"TXT joined.example.org", `"v=spf1 ip4:192.0.2.1 -all"`}, // RFC 7208 §3.3
		{"TXT quoted.example.org", `"a\"b\\c\\\"\\032"`},          // no escape across strings
		{"TXT escaped.example.org", `"\x00\t\x7f\x80\xffA;."`},    // octets
		{"TXT latin.example.org", `"é"`},                          // as they came
		{"TXT empty.example.org", `""`},                           //
		{"TXT empties.example.org", `""`},                         //
		{"TXT some.example.org", `"" "text"`},                     //
		{"TXT bare.example.org", "malformed records, temporary"},  //
		{"TXT half.example.org", `"text"`},                        //
		{"TXT alias.example.org", `"v=spf1 ip4:192.0.2.1 -all"`},  // through a chain
		{"TXT dangling.example.org", "NXDOMAIN, not found"},       //
		{"TXT mx.example.org", "NODATA, not found"},               //
		{"TXT none.example.org", "NXDOMAIN, not found"},           //
		{"TXT broken.example.org", "SERVFAIL, temporary"},         //
		{"TXT foreign-owner.example.org", `"text"`},               //
		{"TXT a..example.org", "not a DNS name, not found"},       //
		{"NS example.org", "ns2.example.org. NS.example.net."},    // order and case as they came
		{"NS odd.example.org", `not\ a\ host.example. .`},         //
		{"NS bare.example.org", "malformed records, temporary"},   //
		{"NS broken.example.org", "ns.example.org."},              // only its TXT fails
		{"NS foreign-owner.example.org", "ns.example.org."},       //
		{"NS mx.example.org", "NODATA, not found"},                //
		{"NS none.example.org", "NXDOMAIN, not found"},            //
		{"NS servfail.example.org", "SERVFAIL, temporary"},        //
		{"NS " + strings.Repeat("a", 64) + ".org", "not a DNS name, not found"},
	} {
		t.Run(test.lookup, func(t *testing.T) {
			for _, when := range []string{"asked", "cached"} {
				if got := resolve(t.Context(), r, test.lookup); got != test.want {
					t.Errorf("%s: got %s, want %s", when, got, test.want)
				}
			}
		})
	}
}

// Each of many records is a text, over TCP.
func TestManyTexts(t *testing.T) {
	text := strings.Repeat("x", 300)
	line := `example.org. TXT "` + text[:255] + `" "` + text[255:] + `"` + "\n"
	r, _ := resolverOf(t, strings.Repeat(line, 190), Config{})
	texts, err := r.LookupTXT(t.Context(), "example.org")
	if err != nil || !slices.Equal(texts, slices.Repeat([]string{text}, 190)) {
		t.Errorf("%d texts, %v; want all 190", len(texts), err)
	}
}

// Callers may modify what they get.
func TestTextsBelongToTheCaller(t *testing.T) {
	r, _ := resolverOf(t, textZone, Config{})
	for range 2 {
		texts, _ := r.LookupTXT(t.Context(), "example.org")
		nss, _ := r.LookupNS(t.Context(), "example.org")
		if texts[0] != "v=spf1 -all" || nss[0].Host != "ns2.example.org." {
			t.Fatalf("changed by an earlier caller: %q %v", texts, nss[0])
		}
		slices.Reverse(texts)
		nss[0].Host = "."
	}
}

func TestBadEscapes(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{`\`, ""},
		{`a\`, "a"},
		{`\1`, "1"},
		{`\12`, "12"},
		{`\12x`, "12x"},
		{`\x12`, "x12"},
		{`\256`, "\x00"},
		{`\999`, "\xe7"},
		{`\\\`, `\`},
	} {
		if got := string(appendOctets(nil, test.text)); got != test.want {
			t.Errorf("%s: got %q, want %q", test.text, got, test.want)
		}
	}
}

// FuzzText checks that a text has the octets of the wire, and that escapes are read as miekg/dns reads them.
func FuzzText(f *testing.F) {
	for _, text := range []string{"", "v=spf1 -all", `a"b\c`, "\x00\x7f\x80\xff", `\"\\\065\`, `\256\999\1`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n := len(s); n < 256 {
			// The root, TXT, IN, TTL 0, the length of the data, and that of the string.
			packet := []byte{0, 0, 16, 0, 1, 0, 0, 0, 0, byte((n + 1) >> 8), byte(n + 1), byte(n)}
			rr, _, err := dns.UnpackRR(append(packet, s...), 0)
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := text(rr); !ok || got != s {
				t.Errorf("%q came as %q, %v", s, got, ok)
			}
		}
		var wire [512]byte
		record := &dns.TXT{Hdr: dns.RR_Header{Name: "."}, Txt: []string{s}}
		end, err := dns.PackRR(record, wire[:], 0, nil, false)
		if err == nil && string(appendOctets(nil, s)) != string(wire[12:end]) {
			t.Errorf("%q: got %q, want %q", s, appendOctets(nil, s), wire[12:end])
		}
	})
}
