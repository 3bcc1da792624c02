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

// outage is a run of sessions, up to 200 a second and 16 at a time, while the resolver is killed and comes back.
type outage struct {
	*testing.T
	address string // of the milter's socket
	next    int    // client of the fleet

	lock     sync.Mutex
	refusals []string
	slowest  time.Duration
	sessions int
}

const outageBudget = time.Second // the milter's timeout

// The resolver dies, or hangs, and comes back while sessions go on: no good client is refused for it, no
// decision takes longer than its time, and nobody has to restart the milter. The records live for a second, so
// it is not the cache that saves us.
func TestOutage(t *testing.T) {
	t.Parallel() // with others: it waits for most of its time
	for name, hits := range map[string]struct{ down, up func(*rig.OwnResolver, rig.T) }{
		"killed": {(*rig.OwnResolver).Kill, (*rig.OwnResolver).Start},
		"hangs":  {(*rig.OwnResolver).Freeze, (*rig.OwnResolver).Thaw},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			survives(t, hits.down, hits.up)
		})
	}
}

func survives(t *testing.T, down, up func(*rig.OwnResolver, rig.T)) {
	resolver := rig.StartResolver(t)
	config := fmt.Sprintf("mode = \"enforce\"\nprofile = \"strict\"\ntimeout = %q\n[dns]\nservers = [%q]",
		outageBudget, resolver.Addr)
	milter := rig.StartMilter(t, "unix", config)
	o := &outage{T: t, address: strings.TrimPrefix(milter.Socket, "unix:")}
	o.during(time.Second)
	o.untilHealthy(milter)
	down(resolver, t)
	o.session("203.0.113.10", "mail.example.org") // whom nobody remembers
	o.strangers()
	o.until(milter, "dns degraded")
	if !regexp.MustCompile(`client=203\.0\.113\.10 .* iprev=temperror`).MatchString(milter.Log()) {
		t.Error("the outage was not noticed")
	}
	up(resolver, t)
	o.until(milter, "dns recovered")
	o.untilHealthy(milter)
	for _, r := range o.refusals {
		t.Error(r)
	}
	if o.slowest > 4*outageBudget { // on a machine of a quarter of the speed
		t.Errorf("a decision took %v", o.slowest)
	}
	t.Logf("%d sessions, the slowest decision took %v", o.sessions, o.slowest)
}

// until holds sessions until the milter says something, for longer than the resolver looks back.
func (o *outage) until(milter *rig.Milter, says string) {
	for deadline := time.Now().Add(rig.Patience); time.Now().Before(deadline); {
		if o.during(time.Second); strings.Contains(milter.Log(), says) {
			return
		}
	}
	o.Errorf("the milter does not say %q", says)
}

// strangers come with names of as many organisations: one of them alone could not make the resolver doubt
// itself.
func (o *outage) strangers() {
	var running sync.WaitGroup
	for n := range 30 {
		running.Go(func() { o.session("203.0.113.10", fmt.Sprintf("mail.stranger%d.com", n)) })
	}
	running.Wait()
}

// untilHealthy holds sessions until those of a second are well. What failed in the outage is not asked again
// before its time, which is about as long as the outage was.
func (o *outage) untilHealthy(milter *rig.Milter) {
	log := ""
	for deadline := time.Now().Add(rig.Patience); time.Now().Before(deadline); {
		mark := len(milter.Log())
		o.during(time.Second)
		if log = milter.Log()[mark:]; healthy(log) {
			return
		}
	}
	o.Errorf("still unwell:\n%s", log)
}

// healthy tells whether most decisions of a log were made with a DNS that answers.
func healthy(log string) bool {
	pass, all := strings.Count(log, "iprev=pass"), strings.Count(log, "msg=decision")
	return all > 0 && pass*10 >= all*9
}

// during holds sessions of the fleet for a while, and waits for them.
func (o *outage) during(length time.Duration) {
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

// session is one of a good client, up to RCPT.
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
