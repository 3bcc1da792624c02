package integration

import (
	"fmt"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

// opinions are what the MTAs think of their client's name, as {client_resolve} {client_name} {client_ptr},
// where it is not what we found; "" is where it is. What is wanted is the same on both: they look at one PTR
// name only, and to Sendmail one whose look-up fails is FORGED.
var opinions = []struct{ client, before, want, postfix, sendmail string }{
	{good, "", "accept pass", "", ""},
	{"2001:db8::10", "", "accept pass", "", ""},
	{"203.0.113.30", "", "reject permerror", "", ""},
	{"203.0.113.32", "", "reject fail", "", ""},
	{"2001:db8::32", "", "reject fail", "", ""},
	{"203.0.113.66", "", "accept temperror", "", ""},
	{"203.0.113.40", "", "accept pass", "", ""}, // the first name is the right one
	{
		"203.0.113.43", "", "accept pass", // the first one is not
		"FORGED unknown stale.example.org", "FORGED [203.0.113.43] stale.example.org",
	},
	{
		"203.0.113.41", "", "accept pass", // nothing can be said about the first one
		"TEMP unknown a.broken.example.org", "FORGED [203.0.113.41] a.broken.example.org",
	},
	{"203.0.113.42", "", "accept temperror", "", "FORGED [203.0.113.42] a.broken.example.org"}, // the only one
	{good, xclient + "NAME=[TEMPUNAVAIL]|", "accept pass", "TEMP unknown mail.example.org", ""},
	{good, xclient + "NAME=[UNAVAILABLE]|", "accept pass", "FAIL unknown mail.example.org", ""},
	{
		"203.0.113.30", xclient + "NAME=a.example REVERSE_NAME=b.example|", "reject permerror",
		"OK a.example b.example", "",
	},
}

const xclient = "EHLO mail.example.org|XCLIENT "

// What the MTA thinks of its client's name is in the record where we found something else, and is counted. It
// decides nothing. The milter asks for the macros itself: no line of either configuration names them.
func TestMTAResolve(t *testing.T) {
	for _, tt := range opinions {
		for mta, opinion := range map[string]string{"Postfix": tt.postfix, "Sendmail": tt.sendmail} {
			w := way{mta, "observe", "unix"}
			if w.lacks(tt.before) != "" {
				continue
			}
			t.Run(mta+" "+tt.client+" "+tt.before, func(t *testing.T) {
				t.Parallel()
				s := w.hold(t, strict, tt.client, tt.before+"EHLO mail.example.org", rig.Message)
				r := s.record()
				theirs := r.Facts.MTAResolve
				got := strings.TrimSpace(theirs.Resolve + " " + theirs.Name + " " + theirs.PTR)
				if want := r.Verdict.Want + " " + r.Iprev; got != opinion || want != tt.want {
					t.Errorf("%s, and the MTA's opinion %q: %s", want, got, r)
				}
				series := fmt.Sprintf("helo_milter_mta_resolve_differs_total{iprev=%q,mta=%q}", r.Iprev, theirs.Resolve)
				if counted := s.stage.counted(series); (counted == 1) != (opinion != "") {
					t.Errorf("%s %v", series, counted)
				}
			})
		}
	}
}
