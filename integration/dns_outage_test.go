package integration

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	gomilter "github.com/d--j/go-milter"

	"helo-milter/integration/rig"
)

// outage runs sessions, up to 200 per second and 16 at a time, while the resolver fails and recovers.
type outage struct {
	*testing.T
	address string // of the milter's socket
	next    int    // the next client of the fleet

	lock     sync.Mutex
	refusals []string
	slowest  time.Duration
	sessions int
}

const outageBudget = time.Second // the milter's timeout

// The resolver dies, or hangs, and recovers while sessions go on: no good client is refused, no decision
// exceeds its timeout, and the milter recovers by itself. The TTL of the records is one second, so the cache
// is no help.
func TestDNSOutage(t *testing.T) {
	t.Parallel() // it waits most of the time
	for name, failure := range map[string]struct{ down, up func(*rig.OwnResolver, rig.T) }{
		"killed": {(*rig.OwnResolver).Kill, (*rig.OwnResolver).Start},
		"hangs":  {(*rig.OwnResolver).Freeze, (*rig.OwnResolver).Thaw},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testOutage(t, failure.down, failure.up)
		})
	}
}

// testOutage runs sessions before, during and after an outage.
func testOutage(t *testing.T, down, up func(*rig.OwnResolver, rig.T)) {
	resolver := rig.StartResolver(t)
	config := fmt.Sprintf("mode = \"enforce\"\nprofile = \"strict\"\ntimeout = %q\n[dns]\nservers = [%q]",
		outageBudget, resolver.Addr)
	milter := rig.StartMilter(t, "unix", config)
	o := &outage{T: t, address: strings.TrimPrefix(milter.Socket, "unix:")}
	o.runFor(time.Second)
	o.untilHealthy(milter)
	down(resolver, t)
	o.session("203.0.113.10", "mail.example.org") // not cached
	o.unrelatedNames()
	o.untilLogged(milter, "dns degraded")
	if !regexp.MustCompile(`client=203\.0\.113\.10 .* iprev=temperror`).MatchString(milter.Log()) {
		t.Error("no decision shows the outage")
	}
	up(resolver, t)
	o.untilLogged(milter, "dns recovered")
	o.untilHealthy(milter)
	for _, r := range o.refusals {
		t.Error(r)
	}
	if o.slowest > 4*outageBudget { // on a machine at a quarter of the speed
		t.Errorf("a decision took %v", o.slowest)
	}
	t.Logf("%d sessions, the slowest decision took %v", o.sessions, o.slowest)
}

// untilLogged runs sessions until the milter has logged a text.
func (o *outage) untilLogged(milter *rig.Milter, says string) {
	for deadline := time.Now().Add(rig.WaitTimeout); time.Now().Before(deadline); {
		if o.runFor(time.Second); strings.Contains(milter.Log(), says) {
			return
		}
	}
	o.Errorf("the milter does not log %q", says)
}

// unrelatedNames runs sessions with HELO names of as many organizations: failures of a single domain do not
// make the resolver degraded.
func (o *outage) unrelatedNames() {
	var running sync.WaitGroup
	for n := range 30 {
		running.Go(func() { o.session("203.0.113.10", fmt.Sprintf("mail.stranger%d.com", n)) })
	}
	running.Wait()
}

// untilHealthy runs sessions until those of a whole second are healthy. A failed lookup is not repeated
// before its backoff ends, which is about as long as the outage was.
func (o *outage) untilHealthy(milter *rig.Milter) {
	log := ""
	for deadline := time.Now().Add(rig.WaitTimeout); time.Now().Before(deadline); {
		mark := len(milter.Log())
		o.runFor(time.Second)
		if log = milter.Log()[mark:]; healthy(log) {
			return
		}
	}
	o.Errorf("still not healthy:\n%s", log)
}

// healthy reports whether at least nine of ten decisions in a log have iprev=pass.
func healthy(log string) bool {
	pass, all := strings.Count(log, "iprev=pass"), strings.Count(log, "msg=decision")
	return all > 0 && pass*10 >= all*9
}

// runFor runs sessions of the fleet for a time, and waits for their end.
func (o *outage) runFor(length time.Duration) {
	const rate, together = 200, 16
	var running sync.WaitGroup
	tick := time.NewTicker(time.Second * together / rate)
	defer tick.Stop()
	for end := time.Now().Add(length); time.Now().Before(end); <-tick.C {
		for range together {
			client := rig.FleetFirst + o.next%(rig.FleetLast-rig.FleetFirst+1)
			o.next++
			running.Go(func() {
				o.session(fmt.Sprintf("198.51.100.%d", client), fmt.Sprintf("fleet%d.example.org", client))
			})
		}
		running.Wait()
	}
}

// session runs one session of a good client, up to RCPT.
func (o *outage) session(client, name string) {
	bag := gomilter.NewMacroBag()
	bag.Set(gomilter.MacroMTAFQDN, "mx.example.net")
	s, err := gomilter.NewClient("unix", o.address).Session(bag)
	if err != nil {
		o.Error(err)
		return
	}
	defer s.Close()
	_, connErr := s.Conn(name, gomilter.FamilyInet, 2525, client)
	_, heloErr := s.Helo(name)
	_, mailErr := s.Mail("<sender@example.org>", "")
	begin := time.Now()
	action, err := s.Rcpt("<reader@example.net>", "")
	took := time.Since(begin)
	o.lock.Lock()
	defer o.lock.Unlock()
	o.sessions++
	o.slowest = max(o.slowest, took)
	for _, e := range []error{connErr, heloErr, mailErr, err} {
		if e != nil {
			o.refusals = append(o.refusals, fmt.Sprintf("%s: %v", name, e))
			return
		}
	}
	if action.Type != gomilter.ActionContinue {
		o.refusals = append(o.refusals, fmt.Sprintf("%s: %+v", name, action))
	}
}
