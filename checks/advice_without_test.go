package checks_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
)

// Where the DNS fails there is nothing to be held against the client's names, and no record to be made for
// another one; nor is there for an address that no name can lead to.
func TestAdviceWithoutRecords(t *testing.T) {
	for _, tt := range []struct{ client, helo, advice string }{
		{"203.0.113.4", "[203.0.113.4]", ""},
		{"203.0.113.1", "mail.example.org", ""},
		{"203.0.113.4", "localhost", "to the name in the PTR record of 203.0.113.4, which could"},
		{"203.0.113.6", "localhost", "to the name in the PTR record of 203.0.113.6, which could"},
		{"0.0.0.0", "localhost", "0.0.0.0 is not one"},
		{"10.0.0.1", "localhost", "10.0.0.1 is not one"},
		{"fe80::1", "localhost", "fe80::1 is not one"},
	} {
		p := &patient{
			client: netip.MustParseAddr(tt.client), helos: []string{tt.helo},
			zone: checkstest.Parse(t, world),
		}
		record := p.examine(t)
		record.Findings = slices.DeleteFunc(record.Findings,
			func(f checks.RuleFinding) bool { return f.Rule == "helo-literal" })
		advice := checks.Advise(record, nil)
		text := fmt.Sprint(advice.Steps)
		if len(advice.Steps) == 0 != (tt.advice == "") || !strings.Contains(text, tt.advice) {
			t.Errorf("%s HELO %s: %s", tt.client, tt.helo, text)
		}
		for _, step := range advice.Steps {
			if len(step.Records) > 0 {
				t.Errorf("%s HELO %s: records: %v", tt.client, tt.helo, step.Records)
			}
		}
	}
}

// A customer of Microsoft 365 can change nothing about its hosts, and is told so; another client that claims to be
// one of them is not.
func TestAdviceMicrosoft365(t *testing.T) {
	for _, tt := range []struct {
		client, helo string
		fixed        bool
		says         string
	}{
		{"203.0.113.125", "eur-obe.outbound.protection.outlook.com", true, "[{This is a host of Microsoft 365"},
		{"203.0.113.9", "eur-obe.outbound.protection.outlook.com", false, "belongs to somebody else"},
		{"203.0.113.125", "mail-pool25.outbound.protection.outlook.com", false, "[]"},
	} {
		p := &patient{
			client: netip.MustParseAddr(tt.client), helos: []string{tt.helo}, zone: checkstest.Parse(t, world),
		}
		advice, _ := p.advise(t)
		sets := slices.ContainsFunc(advice.Steps, func(s checks.Step) bool { return len(s.Records)+len(s.Settings) > 0 })
		text := fmt.Sprint(advice.Steps)
		if advice.Fixed != tt.fixed || tt.fixed && sets || !strings.Contains(text, tt.says) {
			t.Errorf("%s HELO %s: fixed is %t: %s", tt.client, tt.helo, advice.Fixed, text)
		}
	}
}

// Who is only on a list has nothing to change in its names. A PTR record that could
// not be looked up may be right already.
func TestAdviceNames(t *testing.T) {
	for _, tt := range []struct {
		client, helo string
		names        bool
		says         string
	}{
		{"203.0.113.29", "shunned.example.org", false, "deny list"},
		{"203.0.113.24", "mail.listed.org", false, "block list"},
		{"203.0.113.29", "localhost", true, "deny list"},
		{"203.0.113.4", "new.example.org", true, "its lookup failed, so this may already be the case"},
		{"203.0.113.1", "mail.example.org", false, ""},
	} {
		p := &patient{
			netip.MustParseAddr(tt.client), []string{tt.helo}, "", checkstest.Parse(t, sick), denials(t),
		}
		advice, _ := p.advise(t)
		if text := fmt.Sprint(advice.Steps); advice.Names != tt.names || !strings.Contains(text, tt.says) {
			t.Errorf("%s HELO %s: names %t, %s", tt.client, tt.helo, advice.Names, text)
		}
	}
}

// No PTR name is advised, nor an address record for it, that no host can have. Those that only lack their final
// dot say which name was meant (hardwarefreak.com-fqrdns.pcre issue 4 has such PTR names).
func TestAdvicePTR(t *testing.T) {
	v4, v6 := netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("2001:db8::9")
	for _, tt := range []struct {
		client netip.Addr
		ptr    string
		record string // that says which name was meant, or ""
		zone   string
	}{
		{v4, "mail.example.com.113.0.203.in-addr.arpa.", "9 PTR mail.example.com.", "113.0.203.in-addr.arpa"},
		{v4, "MAIL.example.com.113.0.203.IN-ADDR.ARPA.", "9 PTR mail.example.com.", "113.0.203.in-addr.arpa"},
		{v4, "mail.example.com.0.203.in-addr.arpa.", "9.113 PTR mail.example.com.", "0.203.in-addr.arpa"},
		{v4, "mail.example.com.203.in-addr.arpa.", "9.113.0 PTR mail.example.com.", "203.in-addr.arpa"},
		{v4, "mail.example.com.in-addr.arpa.", "9.113.0.203 PTR mail.example.com.", "in-addr.arpa"},
		{v4, "mail.example.com.9.113.0.203.in-addr.arpa.", "@ PTR mail.example.com.", "9.113.0.203.in-addr.arpa"},
		// RFC 2317: a zone for a part of a network, whatever it is called.
		{v4, "mail.example.com.0/25.113.0.203.in-addr.arpa.", "9 PTR mail.example.com.", "0/25.113"},
		{v4, "mail.example.com.0-127.113.0.203.in-addr.arpa.", "9 PTR mail.example.com.", "0-127.113"},
		{v4, "mail.example.com.sub-8-15.113.0.203.in-addr.arpa.", "9 PTR mail.example.com.", "sub-8-15.113"},
		{v4, "mail.example.com.8.113.0.203.in-addr.arpa.", "9 PTR mail.example.com.", "8.113.0.203"},
		{v4, "mail.example.com.2.0.192.in-addr.arpa.", "9 PTR mail.example.com.", "2.0.192"}, // by a CNAME
		{v4, "xn--bcher-kva.example.com.113.0.203.in-addr.arpa.", "9 PTR xn--bcher-kva.example.com.", "113"},
		{v6, "mail.example.com.8.b.d.0.1.0.0.2.ip6.arpa.", "9" + strings.Repeat(".0", 23) +
			" PTR mail.example.com.", "8.b.d.0.1.0.0.2.ip6.arpa"},
		{v6, "mail.example.com.1.0.0.2.ip6.arpa.", "9" + strings.Repeat(".0", 23) + ".8.b.d.0" +
			" PTR mail.example.com.", "1.0.0.2.ip6.arpa"},

		// The name that was meant is none that the client could have.
		{v4, "mail.113.0.203.in-addr.arpa.", "", ""},
		{v4, "localhost.113.0.203.in-addr.arpa.", "", "must end in a dot"},
		{v4, "pc.example.local.113.0.203.in-addr.arpa.", "", "must end in a dot"},
		{v4, "mail.nosuchtld.113.0.203.in-addr.arpa.", "", ""},
		{v4, "203-0-113-9.dsl.example.com.113.0.203.in-addr.arpa.", "", "must end in a dot"},
		{v4, "mail.google.com.113.0.203.in-addr.arpa.", "", "must end in a dot"},
		{v4, "example.com.113.0.203.in-addr.arpa.", "", "must end in a dot"},
		{v4, "203.0.113.9.113.0.203.in-addr.arpa.", "", ""},
		{v4, "a_b.example.com.113.0.203.in-addr.arpa.", "", ""},
		{v4, `a\".example.com.113.0.203.in-addr.arpa.`, "", ""},
		{v4, "*.example.com.113.0.203.in-addr.arpa.", "", ""},
		{v4, "mail.example.com.x\x1b[31m1.113.0.203.in-addr.arpa.", "9 PTR mail.example.com.", "x?[31m1.113"},
		{v4, "mail.example.com.in-addr.arpa.113.0.203.in-addr.arpa.", "", ""},

		// Others that are no host's.
		{v4, "9.113.0.203.in-addr.arpa.", "", ""},
		{v6, "9" + strings.Repeat(".0", 23) + ".8.b.d.0.1.0.0.2.ip6.arpa.", "", ""},
		{v4, "in-addr.arpa.", "", ""},
		{v4, "arpa.", "", ""},
		{v4, ".", "", ""},
		{v4, "..in-addr.arpa.", "", ""},
		{v4, "host.e164.arpa.", "", ""},
		{v4, "pc.home.arpa.", "", ""},
		{v4, "mail.", "", ""},
		{v4, "localhost.", "", ""},
		{v4, "203.0.113.9.", "", ""},
		{v4, "2001:db8::9.", "", ""},
		{v4, "mail_1.example.com.", "", ""},
		{v4, "*.example.com.", "", ""},
		{v4, "-mail.example.com.", "", ""},
		{v4, "mail..example.com.", "", ""},
		{v4, `a\ b.example.com.`, "", ""},
		{v4, "a.\u202eexample.com.", "", ""},
		{v4, "co.uk.", "", ""},
		{v4, "mail.example.nosuchtld.", "", ""},
		{v4, "mail.example.local.", "", ""},
		{v4, strings.Repeat("a", 64) + ".example.com.", "", ""},
		{v4, strings.Repeat("a.", 124) + "example.com.", "", ""},
		{v4, "203-0-113-9.example.com.", "", ""},
		{v4, "9.ip-203-0-113.eu.", "", ""},
		{v4, "new.example.net.", "", ""}, // ours
	} {
		for _, helos := range [][]string{nil, {"localhost"}, {"[203.0.113.9]"}, {strings.TrimSuffix(tt.ptr, ".")}} {
			p := &patient{client: tt.client, helos: helos, zone: checkstest.Zone{}}
			p.zone.Set(tt.client.String(), "PTR", tt.ptr)
			advice, _ := p.advise(t)
			text := fmt.Sprintf("%+v", advice.Steps)
			if !strings.Contains(text, tt.record) || !strings.Contains(text, tt.zone) ||
				advice.Example != (tt.record == "") {
				t.Errorf("PTR %q, HELO %q: %s", tt.ptr, helos, text)
			}
			for _, step := range advice.Steps {
				for _, record := range step.Records {
					f := strings.Fields(record)
					if f[1] == "PTR" {
						f[0] = f[2]
					}
					name := strings.TrimSuffix(f[0], ".")
					if checks.ParseHelo(name).Form != checks.FormPublic || strings.HasSuffix(name, "arpa") ||
						strings.Contains(name, "_") {
						t.Errorf("PTR %q, HELO %q: nobody should publish %s", tt.ptr, helos, record)
					}
				}
			}
		}
	}
}
