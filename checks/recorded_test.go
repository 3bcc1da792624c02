package checks_test

import (
	"fmt"
	"net/netip"
	"testing"

	"helo-milter/checks"
)

// What was not recorded is a failed lookup, and never a missing record.
func TestRecorded(t *testing.T) {
	const (
		helo  = "mail.example.org"
		other = "out.example.org"
	)
	for _, tt := range []struct {
		what, client, helo, name string
		reverse                  checks.Reverse
		confirmed                []string // in other records
		want                     string   // iprev, then A, AAAA, MX and SPF of the greeting
	}{
		{
			"the HELO name is confirmed", "203.0.113.9", helo, helo, checks.ReverseConfirmed, nil,
			"pass found missing unasked missing",
		},
		{
			"the same of IPv6", "2001:db8::9", helo, helo, checks.ReverseConfirmed, nil,
			"pass missing found unasked missing",
		},
		{
			"confirmed once", "203.0.113.9", helo, "", checks.ReverseMissing,
			[]string{helo},
			"permerror found missing unasked missing",
		},
		{
			"another name", "203.0.113.9", helo, other, checks.ReverseConfirmed, nil,
			"pass failed failed failed failed",
		},
		{"forged", "203.0.113.9", helo, helo, checks.ReverseForged, nil, "fail failed failed failed failed"},
		{
			"unchecked", "203.0.113.9", helo, helo, checks.ReverseUnchecked, nil,
			"temperror failed failed failed failed",
		},
		{
			"nothing", "203.0.113.9", helo, "", checks.ReverseUnrecorded, nil,
			"temperror failed failed failed failed",
		},
		{
			"never looked up", "203.0.113.9", "localhost", "", checks.ReverseMissing, nil,
			"permerror unasked unasked unasked unasked",
		},
		{"no HELO", "203.0.113.9", "", other, checks.ReverseConfirmed, nil, "pass"},
	} {
		r := checks.Recorded{
			Client: netip.MustParseAddr(tt.client), Helo: tt.helo, Said: true, Reverse: tt.reverse,
			Name: tt.name, Confirmed: tt.confirmed,
		}
		f := r.Facts(checks.Site{})
		got := f.Iprev()
		for _, g := range f.Greetings {
			got += fmt.Sprint(" ", g.A.Status, " ", g.AAAA.Status, " ", g.MX.Status, " ", g.SPF.Status)
			if failed := g.A.Status == checks.Failed; failed != (g.A.Err == "not recorded") {
				t.Errorf("%s: A failed: %t, %s", tt.what, failed, g.A.Err)
			}
		}
		if got != tt.want || f.PTRCount != len(f.PTR.Values) || f.Unheard || f.Login {
			t.Errorf("%s:\n got %s, %+v\nwant %s", tt.what, got, f, tt.want)
		}
	}
	r := checks.Recorded{Login: true}
	if f := r.Facts(checks.Site{}); !f.Unheard || !f.Login || len(f.Greetings) > 0 {
		t.Errorf("nothing was recorded but a login: %+v", f)
	}
}
