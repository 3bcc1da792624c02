package integration

import (
	"fmt"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

// variant is what a story runs with: Postfix, Sendmail or Exim, observe or enforce mode, and the milter, for
// Exim the policy service, on a unix socket or on TCP ("unix", "inet").
type variant struct{ mta, mode, network string }

// eachVariant runs a test with each combination of MTA, mode and socket family.
func eachVariant(t *testing.T, test func(*testing.T, variant)) {
	for _, mta := range rig.Hosts {
		networks := []string{"unix", "inet"}
		if mta == "OpenSMTPD" {
			networks = []string{"filter"}
		}
		for _, mode := range []string{"observe", "enforce"} {
			for _, network := range networks {
				variant{mta, mode, network}.run(t, test)
			}
		}
	}
}

// pairwiseVariants runs a test with half of the variants that have a milter, in which each pair of values of
// two different parameters (MTA, mode, socket family) occurs.
func pairwiseVariants(t *testing.T, test func(*testing.T, variant)) {
	variant{"Postfix", "observe", "unix"}.run(t, test)
	variant{"Postfix", "enforce", "inet"}.run(t, test)
	variant{"Sendmail", "observe", "inet"}.run(t, test)
	variant{"Sendmail", "enforce", "unix"}.run(t, test)
}

// pairwiseHosts is pairwiseVariants and half of those that ask the policy service.
func pairwiseHosts(t *testing.T, test func(*testing.T, variant)) {
	pairwiseVariants(t, test)
	variant{"Exim", "observe", "inet"}.run(t, test)
	variant{"Exim", "enforce", "unix"}.run(t, test)
	variant{"Postfix policy", "observe", "inet"}.run(t, test)
	variant{"Postfix policy", "enforce", "unix"}.run(t, test)
}

// runs reports whether the i-th story of a table is run in the variant. A story that ends in a refusal is run
// in both modes on each MTA, with a different socket family in each mode. Any other story looks the same in
// both modes: it is run in one mode on one MTA and in the other mode on the other MTA, or in both modes if
// only Postfix supports it. With the policy service, each story runs once, a refusal in enforce mode and any
// other in observe mode: one half of them on Exim and the other on Postfix, which ask the same server. Where
// the two differ has tables of its own (mta_differences_test.go).
func (v variant) runs(i int, says, outcome string) bool {
	observes := v.mode == "observe"
	want := parseOutcome(outcome).want
	refusal := want == "reject" || want == "tempfail"
	if v.network == "filter" {
		return refusal != observes
	}
	if familyMatches := (i%2 == 0) == (observes == (v.network == "unix")); !familyMatches {
		return false
	}
	if v.asksPolicy() {
		return refusal != observes && (i%4 < 2) == (v.mta == "Exim")
	}
	both := refusal || variant{mta: "Sendmail"}.unsupported(says) != ""
	return both || (i%4 < 2) == (observes == (v.mta == "Postfix"))
}

func (v variant) run(t *testing.T, test func(*testing.T, variant)) {
	t.Run(v.mta+" "+v.mode+" "+v.network, func(t *testing.T) { test(t, v) })
}

// socket returns the kind of the milter's socket, see rig.StartMilter.
func (v variant) socket() string {
	if v.asksPolicy() {
		return "policy:" + v.network
	}
	return v.network
}

// asksPolicy reports whether the MTA asks helo-milter as a policy service.
func (v variant) asksPolicy() bool { return v.mta == "Exim" || v.mta == "Postfix policy" }

// unsupported returns why the MTA cannot run a session, or "" if it can.
func (v variant) unsupported(session string) string {
	if v.mta == "OpenSMTPD" {
		return smtpdUnsupported(session)
	}
	for _, feature := range unsupportedFeatures {
		if feature.mta == v.mta && strings.Contains(session, feature.what) {
			return feature.why
		}
	}
	return ""
}

// config returns a story's configuration with the variant's mode, and the standard profile unless it has
// another.
func (v variant) config(story string) string {
	profile := "profile = \"standard\"\n"
	if strings.Contains(story, "profile = ") {
		profile = ""
	}
	if v.mta == "Postfix policy" { // which does not say its name
		const site = "[site]\n"
		before, after, _ := strings.Cut(story, site)
		story = before + "\n" + site + "hostname = \"mx.example.net\"\n" + after
	}
	return fmt.Sprintf("mode = %q\n%s%s\n", v.mode, profile, story)
}
