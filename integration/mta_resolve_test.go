package integration

import (
	"fmt"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

// resolveTests have clients and the macros {client_resolve} {client_name} {client_ptr} of each MTA, where
// they differ from what we found, or "". The decision is the same with both. MTAs look at one PTR name only,
// and Sendmail calls a name FORGED if its lookup fails.
var resolveTests = []struct{ client, before, want, postfix, sendmail string }{
	{good, "", "accept pass", "", ""},
	{"2001:db8::10", "", "accept pass", "", ""},
	{"203.0.113.30", "", "reject permerror", "", ""},
	{"203.0.113.32", "", "reject fail", "", ""},
	{"2001:db8::32", "", "reject fail", "", ""},
	{"203.0.113.66", "", "accept temperror", "", ""},
	{"203.0.113.40", "", "accept pass", "", ""}, // the first name is confirmed
	{
		"203.0.113.43", "", "accept pass", // the second one is
		"FORGED unknown stale.example.org", "FORGED [203.0.113.43] stale.example.org",
	},
	{
		"203.0.113.41", "", "accept pass", // the lookup of the first one fails
		"TEMP unknown a.broken.example.org", "FORGED [203.0.113.41] a.broken.example.org",
	},
	{ // that of the only one
		"203.0.113.42", "", "accept temperror", "", "FORGED [203.0.113.42] a.broken.example.org",
	},
	{good, xclient + "NAME=[TEMPUNAVAIL]|", "accept pass", "TEMP unknown mail.example.org", ""},
	{good, xclient + "NAME=[UNAVAILABLE]|", "accept pass", "FAIL unknown mail.example.org", ""},
	{
		"203.0.113.30", xclient + "NAME=a.example REVERSE_NAME=b.example|", "reject permerror",
		"OK a.example b.example", "",
	},
}

const xclient = "EHLO mail.example.org|XCLIENT "

// Where the MTA's own lookup of the client's name differs from ours, the record has its result, and a metric
// counts it; the decision does not depend on it. The milter requests the macros: neither MTA's configuration
// names them.
func TestMTAResolve(t *testing.T) {
	for _, tt := range resolveTests {
		for mta, macros := range map[string]string{"Postfix": tt.postfix, "Sendmail": tt.sendmail, "Exim": ""} {
			v := variant{mta, "observe", "unix"}
			if v.unsupported(tt.before) != "" {
				continue
			}
			t.Run(mta+" "+tt.client+" "+tt.before, func(t *testing.T) {
				t.Parallel()
				s := v.session(t, strict, tt.client, tt.before+"EHLO mail.example.org", rig.Message)
				r := s.record()
				theirs := r.Facts.MTAResolve
				got := strings.TrimSpace(theirs.Resolve + " " + theirs.Name + " " + theirs.PTR)
				if want := r.Verdict.Want + " " + r.Iprev; got != macros || want != tt.want {
					t.Errorf("%s, and the MTA's macros %q: %s", want, got, r)
				}
				series := fmt.Sprintf("helo_milter_mta_resolve_differs_total{iprev=%q,mta=%q}", r.Iprev, theirs.Resolve)
				if counted := s.stage.counted(series); (counted == 1) != (macros != "") {
					t.Errorf("%s %v", series, counted)
				}
			})
		}
	}
}
