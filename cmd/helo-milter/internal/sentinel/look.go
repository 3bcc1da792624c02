// Package sentinel looks at the hosts that mail is sent from as its receivers do: once (Look), which is what selftest
// prints, or again and again (Watch), which says when something has become wrong or right.
//
// What it finds has three values. A failed or stale DNS answer makes a host unknown, never wrong and never right.
package sentinel

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"helo-milter/checks"
)

// State is what is known of a host.
type State uint8

// The states of a host.
const (
	Unknown State = iota // the DNS was not asked, or did not answer
	OK
	Wrong
)

// Self is an address that mail is sent from, as its receivers see it.
type Self struct {
	Client netip.Addr
	Record *checks.Record // of the client with the HELO name that it should send, or without one
	Advice checks.Advice
	State  State
	proven bool // the failure does not depend on the HELO name, nor on what other addresses have
}

// Observer judges without what one host knows of itself: exemptions and site. It is safe for concurrent use.
type Observer struct {
	judge checks.Judge
	dns   *checks.DNS
}

// NewObserver returns an observer that judges as judge does and asks dns.
func NewObserver(judge *checks.Judge, dns *checks.DNS) *Observer {
	o := &Observer{*judge, dns}
	o.judge.Exempt, o.judge.Site = &checks.Exemptions{}, checks.Site{}
	return o
}

// Look judges addresses that belong together, and returns the HELO name that both address families should have,
// which is "" where there is one family only.
func (o *Observer) Look(ctx context.Context, clients []netip.Addr) (selves []Self, common string) {
	for _, client := range clients {
		record := o.record(ctx, client)
		advice := checks.Advise(record, nil)
		selves = append(selves, Self{Client: client, Record: record, Advice: advice, proven: advice.Names})
	}
	common = commonName(selves)
	all := !slices.ContainsFunc(selves, func(s Self) bool { return s.open() })
	for i := range selves {
		s := &selves[i]
		if common != "" && (s.confirms(common) || !familyConfirms(selves, s.family(), common)) {
			s.Advice.Name, s.Advice.Example = common, false
		}
		if !s.Advice.Example {
			s.Record = o.record(ctx, s.Client, s.Advice.Name)
			s.Advice = checks.AdviseName(s.Record, s.Advice.Name)
		}
		s.State = s.state(common == "" || all)
	}
	return selves, common
}

// record judges a client that sends a HELO name. Without one, its HELO is unknown.
func (o *Observer) record(ctx context.Context, client netip.Addr, helo ...string) *checks.Record {
	s := o.judge.Open(ctx, o.dns, client, o.judge.Site)
	defer s.Close()
	for _, h := range helo {
		s.Greet(checks.ParseHelo(h))
	}
	if len(helo) == 0 {
		s.Unheard()
	}
	s.Mail(time.Now())
	s.Rcpts(nil)
	return s.Decision().Record(false)
}

// state is what is known of the host. Its name is certain unless another address could have suggested a better one.
func (s *Self) state(certain bool) State {
	switch {
	case s.proven && len(s.Advice.Steps) > 0:
		return Wrong
	case !certain || s.open():
		return Unknown
	case len(s.Advice.Steps) > 0:
		return Wrong
	}
	return OK
}

// open reports whether a lookup failed, or gave a stale answer, that could have made a difference. What other PTR
// names lead to makes none once one is confirmed.
func (s *Self) open() bool {
	f := s.Record.Facts
	if failed(f.PTR) || len(f.Confirmed()) == 0 && slices.ContainsFunc(f.PTR.Values, func(h checks.Host) bool {
		return failed(h.Addrs)
	}) {
		return true
	}
	for _, g := range f.Greetings {
		if failed(g.A) || failed(g.AAAA) || failed(g.SPF) {
			return true
		}
	}
	return slices.ContainsFunc(s.Record.Findings, func(found checks.RuleFinding) bool {
		return found.Result == checks.Unsure && found.Action != checks.Off
	})
}

func failed[T any](a checks.Answer[T]) bool { return a.Status == checks.Failed || a.Stale }

// family is 32 or 128, the length of the address in bits.
func (s *Self) family() int { return s.Client.BitLen() }

func (s *Self) confirms(name string) bool { return slices.Contains(s.Record.Facts.Confirmed(), name) }

// Rules are the names of the rules that fail, with commas between.
func (s *Self) Rules() string {
	var rules []string
	for _, found := range s.Record.Findings {
		if found.Result == checks.Fail && found.Action != checks.Off {
			rules = append(rules, found.Rule)
		}
	}
	return strings.Join(rules, ",")
}

// Steps are what to change, in one line.
func (s *Self) Steps() string {
	var steps []string
	for _, step := range s.Advice.Steps {
		text := strings.TrimSuffix(step.Text, ".")
		if len(step.Records) > 0 {
			text += ": " + strings.Join(step.Records, "; ")
		}
		steps = append(steps, text+".")
	}
	return strings.Join(steps, " ")
}

// commonName is the name that both families should have, which is "" where there is one only: the best of an
// address, preferably one that both confirm.
func commonName(selves []Self) string {
	best, most := "", -1
	families := map[int]bool{}
	for _, s := range selves {
		families[s.family()] = true
		confirming := 0
		for _, family := range []int{32, 128} {
			if familyConfirms(selves, family, s.Advice.Name) {
				confirming++
			}
		}
		if !s.Advice.Example && confirming > most {
			best, most = s.Advice.Name, confirming
		}
	}
	if len(families) < 2 {
		return ""
	}
	return best
}

// familyConfirms reports whether a name is confirmed for an address of the family.
func familyConfirms(selves []Self, family int, name string) bool {
	return slices.ContainsFunc(selves, func(s Self) bool { return s.family() == family && s.confirms(name) })
}
