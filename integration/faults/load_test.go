package faults

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

// place is a milter to press on, its /metrics, and what may stand around it.
type place struct {
	*testing.T
	milter *rig.Milter
	http   string
}

// strict judges as hard as can be: a good client would feel any mistake.
const strict = "mode = \"enforce\"\nprofile = \"strict\"\n"

// startPlace starts one that judges strictly, with more configuration.
func startPlace(t *testing.T, network, config string) *place {
	t.Helper()
	p := newPlace(t, network, strict+config)
	p.milter.Start(t)
	return p
}

// newPlace is one whose milter is still to be started.
func newPlace(t *testing.T, network, config string) *place {
	t.Helper()
	p := &place{T: t, http: fmt.Sprintf("127.0.0.1:%d", rig.FreePort())}
	p.milter = rig.NewMilter(t, network, fmt.Sprintf("%s\n[http]\nlisten = %q\n", config, p.http))
	return p
}

// metric is the value of a series. That of a label may not have been counted yet.
func (p *place) metric(series string) float64 {
	p.Helper()
	value, ok := rig.Metrics(p, p.http)[series]
	if !ok && !strings.Contains(series, "{") {
		p.Fatalf("/metrics does not have %s", series)
	}
	return value
}

// violations is how often the guard met a kind of violation.
func (p *place) violations(kind string) float64 {
	p.Helper()
	return p.metric(fmt.Sprintf("helo_milter_guard_violations_total{kind=%q}", kind))
}

// waitFor waits until a series has at least, or at most, a value.
func (p *place) waitFor(series, bound string, limit float64) {
	p.Helper()
	rig.Eventually(p, func() error {
		value := p.metric(series)
		if bound == "<=" && value > limit || bound == ">=" && value < limit {
			return fmt.Errorf("%s is %v, not %s %v", series, value, bound, limit)
		}
		return nil
	})
}

// speakers opens connections that say something and wait; they stay until the test or hangUp closes them.
func (p *place) speakers(n int, says string, from ...string) (all []*rig.Speaker) {
	p.Helper()
	p.Cleanup(func() { hangUp(all) })
	for range n {
		s, err := p.milter.Speak(from...)
		if err != nil {
			p.Fatal(err)
		}
		all = append(all, s)
		_, _ = s.Write([]byte(says)) // it may have been turned away already
	}
	return all
}

func hangUp(all []*rig.Speaker) {
	for _, s := range all {
		if s != nil { // of a test that failed
			_ = s.Close()
		}
	}
}

// stream is a client that sends one message after the other through a Postfix of its own.
type stream struct {
	*place
	postfix *rig.Postfix
	sink    *rig.Sink
	cancel  context.CancelFunc
	done    chan struct{}
	sent    atomic.Int64 // messages that were taken

	// Of the client; for others once done.
	taken    map[string]int // by sender
	deferred []rig.Reply    // 4xx, after which the client came again
	refused  []rig.Reply    // anything else that is no success
	slowest  time.Duration
}

// stream starts one; action is what Postfix does without the milter, with other options of smtpd_milters.
func (p *place) stream(action string) *stream {
	p.Helper()
	ctx, cancel := context.WithCancel(p.Context())
	sink := rig.StartSink(p)
	s := &stream{
		place: p, sink: sink, cancel: cancel, done: make(chan struct{}), taken: map[string]int{},
		postfix: rig.StartPostfix(p, sink,
			fmt.Sprintf("smtpd_milters = { %s, default_action=%s }", p.milter.Socket, action)),
	}
	p.Cleanup(func() { <-s.done })
	go func() {
		defer close(s.done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ctx.Err() == nil; <-tick.C {
			if s.send(fmt.Sprintf("sender%d@example.org", n)) {
				n++
			}
		}
	}()
	return s
}

// send tells whether the message was taken.
func (s *stream) send(from string) bool {
	client := netip.MustParseAddr("203.0.113.10")
	script := "EHLO mail.example.org|MAIL FROM:<" + from + ">|RCPT TO:<reader@example.net>|DATA|QUIT"
	begin := time.Now()
	for _, r := range rig.Talk(s, client, s.postfix.Endpoint(client), script, rig.Message) {
		switch {
		case r.Code/100 == 4:
			s.deferred = append(s.deferred, r)
			return false
		case r.Code/100 != 2 && r.Code != 354:
			s.refused = append(s.refused, r)
			return true
		}
	}
	s.taken[from]++
	s.sent.Add(1)
	s.slowest = max(s.slowest, time.Since(begin))
	return true
}

// wait waits until so many more messages were taken. The first may have been on its way before.
func (s *stream) wait(n int64) {
	s.Helper()
	n += s.sent.Load()
	rig.Eventually(s, func() error {
		if got := s.sent.Load(); got < n {
			return fmt.Errorf("%d of %d messages were taken", got, n)
		}
		return nil
	})
}

// end stops the client. Nothing was refused, and every message that was taken has arrived, once. It returns
// how many there were, and how many had passed the milter.
func (s *stream) end() (messages, passed int) {
	s.Helper()
	s.cancel()
	<-s.done
	for _, r := range s.refused {
		s.Errorf("refused: %+v", r)
	}
	rig.Eventually(s, func() error {
		if got := len(s.sink.Mails()); got < len(s.taken) {
			return fmt.Errorf("%d of %d messages were delivered", got, len(s.taken))
		}
		return nil
	})
	for _, mail := range s.sink.Mails() {
		s.taken[mail.From]--
		if strings.Contains(mail.Text, "X-HELO-Check: accept;") {
			passed++
		}
	}
	for from, missing := range s.taken {
		if missing != 0 {
			s.Errorf("%d messages of %s are missing", missing, from)
		}
	}
	s.Logf("%d messages, %d with our header, %d times tempfailed, the slowest took %v",
		len(s.taken), passed, len(s.deferred), s.slowest)
	return len(s.taken), passed
}
