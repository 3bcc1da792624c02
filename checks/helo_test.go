package checks_test

import (
	"encoding/json"
	"strings"
	"testing"

	"helo-milter/checks"
)

var formNames = map[checks.Form]string{
	checks.FormMissing: "missing", checks.FormMalformed: "malformed", checks.FormBareIP: "bare-ip",
	checks.FormNumeric: "numeric", checks.FormLiteral: "literal",
	checks.FormLiteralMalformed: "literal-malformed", checks.FormLocalhost: "localhost",
	checks.FormSingle: "single", checks.FormReserved: "reserved", checks.FormPrivate: "private",
	checks.FormUnknownTLD: "unknown-tld", checks.FormPublic: "public",
}

func TestParseHelo(t *testing.T) {
	label63 := strings.Repeat("a", 63)
	for _, tt := range []struct{ raw, want string }{
		{"mail.example.org", "public mail.example.org"},
		{"MAIL.EXAMPLE.ORG.", "public mail.example.org"},
		{"xn--bcher-kva.example.net", "public xn--bcher-kva.example.net"},
		{"0.r1.example.org", "public 0.r1.example.org"}, // begins like an address, and is a name
		{"1.2.3.4.example.org", "public 1.2.3.4.example.org"},
		{"3com.com", "public 3com.com"},
		{"a_b.example.org", "public a_b.example.org"},
		{"example.com", "public example.com"}, // RFC 6761 reserves it, and it is in the DNS
		{label63 + ".example.org", "public " + label63 + ".example.org"},

		{"", "malformed"},
		{".", "malformed"},
		{"..", "malformed"},
		{"mail..example.org", "malformed"},
		{".mail.example.org", "malformed"},
		{"mail.example.org..", "malformed"},
		{"-mail.example.org", "malformed"},
		{"mail-.example.org", "malformed"},
		{"mail example.org", "malformed"},
		{"mail.example.org\x00", "malformed"},
		{"<script>", "malformed"},
		{"bücher.example.org", "malformed"},
		{"gma\u0130l.com", "malformed"},     // in lower case that is gmail.com
		{"\u212a.example.org", "malformed"}, // and this is k.example.org
		{"[\u0130Pv6:2001:db8::1]", "literal-malformed"},
		{"\xff\xfe.example.org", "malformed"},
		{label63 + "a.example.org", "malformed"},
		{strings.Repeat("a.", 124) + "com.org", "malformed"}, // 255 bytes
		{strings.Repeat("a.", 300) + "org", "malformed"},
		{"[192.0.2.1", "malformed"},
		{"192.0.2.1]", "malformed"},
		{"192.0.2.1:25", "malformed"},

		{"192.0.2.1", "bare-ip 192.0.2.1"},
		{"192.0.2.1.", "bare-ip 192.0.2.1"},
		{"2001:db8::1", "bare-ip 2001:db8::1"},
		{"IPv6:2001:db8::1", "bare-ip 2001:db8::1"},
		{"::ffff:192.0.2.1", "bare-ip 192.0.2.1"},
		{"fe80::1%eth0", "bare-ip fe80::1"},

		{"2130706433", "numeric"},
		{"0x7f000001", "numeric"},
		{"0X7F000001", "numeric"},
		{"017700000001", "numeric"},
		{"1.2.3", "numeric"},
		{"1.2.3.4.5", "numeric"},
		{"256.2.3.4", "numeric"},
		{"010.2.3.4", "numeric"},
		{"0x7f.0.0.0x1", "numeric"},
		{"mail.123", "numeric"},

		{"[192.0.2.1]", "literal 192.0.2.1"},
		{"[IPv6:2001:db8::1]", "literal 2001:db8::1"},
		{"[ipv6:2001:DB8::1]", "literal 2001:db8::1"},
		{"[IPv6:::ffff:192.0.2.1]", "literal 192.0.2.1"},
		{"[192.0.2.1].", "literal-malformed"}, // a final dot is for names
		{"[IPv6:2001:db8::1].", "literal-malformed"},
		{"[192.0.2.1]..", "malformed"},
		{"[]", "literal-malformed"},
		{"[1.2.3]", "literal-malformed"},
		{"[192.0.2.01]", "literal-malformed"},
		{"[::1]", "literal-malformed"},
		{"[2001:db8::1]", "literal-malformed"},
		{"[IPv6:192.0.2.1]", "literal-malformed"},
		{"[IPv6:fe80::1%eth0]", "literal-malformed"},
		{"[IPv6:]", "literal-malformed"},
		{"[x400:abc]", "literal-malformed"},
		{"[mail.example.org]", "literal-malformed"},

		{"localhost", "localhost localhost"},
		{"LOCALHOST.", "localhost localhost"},
		{"localhost.localdomain", "localhost localhost.localdomain"},
		{"pc.localdomain", "localhost pc.localdomain"},
		{"pc.localhost", "localhost pc.localhost"},
		{"notlocalhost", "single notlocalhost"},
		{"friend", "single friend"},
		{"MY_PC", "single my_pc"},
		{"com", "single com"},
		{"test", "single test"},

		{"rad.internal", "reserved rad.internal"},
		{"a.test", "reserved a.test"},
		{"a.example", "reserved a.example"},
		{"a.invalid", "reserved a.invalid"},
		{"a.onion", "reserved a.onion"},
		{"a.alt", "reserved a.alt"},
		{"a.local", "reserved a.local"},
		{"home.arpa", "reserved home.arpa"},
		{"a.home.arpa", "reserved a.home.arpa"},
		{"a.lan", "private a.lan"},
		{"a.home", "private a.home"},
		{"exchange.corp", "private exchange.corp"},
		{"a.domain", "private a.domain"},
		{"a.nosuchtld", "unknown-tld a.nosuchtld"},
		{"a.b.arpa", "public a.b.arpa"},
		{"mail.online", "public mail.online"},
		{"mail.foo.ck", "public mail.foo.ck"}, // every name under ck is a suffix
	} {
		h := checks.ParseHelo(tt.raw)
		got := formNames[h.Form]
		if h.Name != "" {
			got += " " + h.Name
		}
		if h.Addr.IsValid() {
			got += " " + h.Addr.String()
		}
		if got != tt.want {
			t.Errorf("%q is %s, want %s", tt.raw, got, tt.want)
		}
	}
}

func TestDomain(t *testing.T) {
	for _, tt := range []struct{ address, want string }{
		{"someone@Example.ORG", "example.org"},
		{"someone@example.org.", "example.org"},
		{`"a@b"@example.org`, "example.org"},
		{"someone@bücher.example.org", "xn--bcher-kva.example.org"}, // SMTPUTF8
		{"postmaster", ""},
		{"", ""},
	} {
		if got := checks.Domain(tt.address); got != tt.want {
			t.Errorf("the domain of %s is %q, want %q", tt.address, got, tt.want)
		}
	}
}

// FuzzParseHelo: any bytes have one form, the name of a name is canonical, and JSON keeps it all.
func FuzzParseHelo(f *testing.F) {
	for _, raw := range []string{
		"mail.example.org", "[IPv6:2001:db8::1]", "0x7f", "\xff", "", "[]", "a_b", "1.2.3", "localhost.",
		"%s\r\n", strings.Repeat("\xffa", 400),
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		h := checks.ParseHelo(raw)
		if formNames[h.Form] == "" || h.Form == checks.FormMissing {
			t.Fatalf("%q has form %b", raw, h.Form)
		}
		if (h.Form&checks.FormName != 0) != (h.Name != "") {
			t.Fatalf("%q: form %b with name %q", raw, h.Form, h.Name)
		}
		if again := checks.ParseHelo(h.Name); h.Name != "" && (again.Form != h.Form || again.Name != h.Name) {
			t.Fatalf("%q: %+v, and its name is %+v", raw, h, again)
		}
		text, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		var back checks.Helo
		if err := json.Unmarshal(text, &back); err != nil || back != h {
			t.Fatalf("%q: %+v, but %+v after JSON (%v)", raw, h, back, err)
		}
	})
}
