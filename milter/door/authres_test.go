package door

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/authres"

	"helo-milter/checks"
)

// What we write is read back as it was meant.
func TestAuthResultsText(t *testing.T) {
	for _, addr := range []string{"203.0.113.9", "2001:db8::9"} {
		client := netip.MustParseAddr(addr)
		name := checks.Host{Name: "mail.example.org", Addrs: checks.Answer[netip.Addr]{Values: []netip.Addr{client}}}
		ptr := checks.Answer[checks.Host]{Status: checks.Found, Values: []checks.Host{name}}
		id, list, err := authres.Parse(AuthResults("mx.example.net", &checks.Facts{Client: client, PTR: ptr}))
		if err != nil || id != "mx.example.net" || len(list) != 1 {
			t.Fatalf("%s: %s, %v, %v", addr, id, list, err)
		}
		r, ok := list[0].(*authres.IPRevResult)
		if !ok || r.Value != authres.ResultPass || strings.Trim(r.IP, `"`) != addr {
			t.Errorf("%s: %+v", addr, list[0])
		}
	}
}

// Whose a field is. The name is always mx.example.net.
func TestClaims(t *testing.T) {
	for _, tt := range []struct {
		ours  bool
		value string
	}{
		{true, "mx.example.net; iprev=pass"},
		{true, "mx.example.net"},
		{true, "  MX.Example.NET. ;none"},
		{true, "mx.example.net 1; spf=pass"},
		{true, "mx.example.net 2; spf=pass"}, // a version that nobody knows: RFC 8601 §2.2
		{true, "\n\tmx.example.net\n\t;\n\tspf=pass"},
		{true, "(a) (b(c;d)\\)) mx.example.net (e)1(f);spf=pass"},
		{true, `"mx.example.net"; spf=pass`},
		{true, `"mx.e\xample.net" 1; spf=pass`},
		{true, "mx.example.net; spf=pass (no end"}, // what follows the name does not matter
		{true, "mx.example.net;;;="},

		{false, "example.org; spf=pass smtp.helo=mx.example.net"},
		{false, "example.org (seen by mx.example.net;); spf=pass"},
		{false, "example.org 1; spf=pass (mx.example.net"},
		{false, "mx.example.net.example.org; spf=pass"},
		{false, "a.mx.example.net; spf=pass"},
		{false, "example.net; spf=pass"},
		{false, "bücher.example; spf=pass smtp.helo=mx.example.net"}, // RFC 8601 §5 has no ASCII only
		{false, `"a@example.org"; spf=pass smtp.helo=mx.example.net`},
		{false, "example.org; x=y" + strings.Repeat("(", 60_000)},
		{false, ""},
		{false, "; none"},

		// Nothing by the RFC: without our name it is nobody's, with it somebody may read it so.
		{false, "example.org spf=pass"},
		{false, "(no end example.org; spf=pass"},
		{true, "(mx.example.net; spf=pass"},
		{true, "(mx.example.net; spf=pass)"},
		{true, `"mx.example.net; spf=pass`},
		{true, "mx.example.net spf=pass; dkim=pass"},
		{true, "mx.example.net, spf=pass"},
		{true, "<mx.example.net>; spf=pass"},
		{true, "mx.example.net/1; spf=pass"},
		{true, "; mx.example.net; spf=pass"},
		{true, "\u200bmx.example.net; spf=pass"},
		{true, "MX.exam\u00adple.net; spf=pass"},
		{true, "mx.example.net\xf9; spf=pass"},
		{true, "\"mx.example.net\x7f\"; spf=pass"},
		{true, "\u00a0mx.example.net; spf=pass"}, // a space to package authres
		{true, "=?utf-8?q?mx=2eexample?=.net; spf=pass"},
		{true, "=?utf-8?b?bXguZXhhbXBsZS5uZXQ7IHNwZj1wYXNz?="},
		{true, "=?utf-7?q?mx.ex?= =?utf-7?q?ample.net?=; spf=pass"}, // who knows what that is
	} {
		if got := Claims(tt.value, "mx.example.net"); got != tt.ours {
			t.Errorf("%.80q: %v", tt.value, got)
		}
	}
	if Claims("; none", "") || Claims("(x", "") {
		t.Error("who has no name has no fields")
	}
}

// Whatever a field holds, the library reads it as ours only where we do, comments do not hide a name, and
// what comes behind a foreign one does not make it ours.
func FuzzAuthres(f *testing.F) {
	for _, seed := range []string{
		"mx.example.net; iprev=pass", "mx.example.net 1;", `"mx.example.net";`, "(a) mx.example.net (b",
		"\u00a0mx.example.net;", "=?utf-8?q?mx.example.net?=;", "example.org 1; x=y", `(\)"`, "\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		const host = "mx.example.net"
		ours := Claims(text, host)
		if id, _, _ := authres.Parse(text); checks.Canonical(id) == host && !ours {
			t.Errorf("%q is ours to the library", text)
		}
		if ours && !Claims("(c) "+text, host) {
			t.Errorf("a comment hides %q", text)
		}
		if !Claims(host+";"+text, host) || Claims("example.org;"+text, host) {
			t.Errorf("%q changes whose it is", text)
		}
		hidden := strings.NewReplacer("(", "", ")", "", `\`, "").Replace(text)
		if !Claims("("+hidden+")"+host+"("+hidden+");", host) {
			t.Errorf("%q hides the name", hidden)
		}
	})
}
