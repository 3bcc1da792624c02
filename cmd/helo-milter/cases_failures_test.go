package main

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// A DNS failure is not an answer: no client of the real cases whose mail goes on is refused because one of its
// lookups fails, or all of them do.
func TestRealCasesWithoutDNS(t *testing.T) {
	for c := range realCases(t) {
		if c.Kind != "check" && c.Kind != "session" || c.slow() {
			continue
		}
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			if c.want(t) == "reject" {
				return
			}
			answers := c.DNS
			for _, question := range slices.Sorted(maps.Keys(answers)) {
				if name, qtype, _ := strings.Cut(question, " "); qtype == "CNAME" || c.isTarget(name) {
					continue // who asks for the alias gets the alias, and no failure
				}
				c.DNS = maps.Clone(answers)
				c.DNS[question] = "SERVFAIL"
				if c.want(t) == "reject" {
					t.Errorf("refused when %s fails\nsource: %s", question, c.Source)
				}
			}
			c.DNS, c.Hook = answers, "servfail"
			if c.want(t) == "reject" {
				t.Errorf("refused when every lookup fails\nsource: %s", c.Source)
			}
		})
	}
}

// want is what the policy wants for the client of the case.
func (c *realCase) want(t *testing.T) string {
	return c.judge(t, c.configuration(t)).Verdict.Want
}

// slow reports whether the case waits for lookups that nobody answers, or has very many of them.
func (c *realCase) slow() bool {
	return c.Hook != "" || len(c.DNS) > 9 || slices.Contains(slices.Collect(maps.Values(c.DNS)), any("TIMEOUT"))
}

// isTarget reports whether a name is what another one is an alias of.
func (c *realCase) isTarget(name string) bool {
	for question, answer := range c.DNS {
		values, _ := answer.([]any)
		if strings.HasSuffix(question, " CNAME") && slices.Contains(values, any(name)) {
			return true
		}
	}
	return false
}
