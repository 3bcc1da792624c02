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

// loadTest is a milter under load, and the address of its /metrics.
type loadTest struct {
	*testing.T
	milter *rig.Milter
	http   string
}

// strict enforces the strictest profile: any mistake would affect a good client.
const strict = "mode = \"enforce\"\nprofile = \"strict\"\n"

// startLoadTest starts a milter with the strict profile and more configuration.
func startLoadTest(t *testing.T, network, config string) *loadTest {
	t.Helper()
	l := newLoadTest(t, network, strict+config)
	l.milter.Start(t)
	return l
}

// newLoadTest returns a test whose milter has not been started.
func newLoadTest(t *testing.T, network, config string) *loadTest {
	t.Helper()
	l := &loadTest{T: t, http: fmt.Sprintf("127.0.0.1:%d", rig.FreePort())}
	l.milter = rig.NewMilter(t, network, fmt.Sprintf("%s\n[http]\nlisten = %q\n", config, l.http))
	return l
}

// metric returns the value of a series. A labelled series is 0 until it is counted.
func (l *loadTest) metric(series string) float64 {
	l.Helper()
	value, ok := rig.Metrics(l, l.http)[series]
	if !ok && !strings.Contains(series, "{") {
		l.Fatalf("/metrics does not have %s", series)
	}
	return value
}

// violations returns the number of guard violations of a kind.
func (l *loadTest) violations(kind string) float64 {
	l.Helper()
	return l.metric(fmt.Sprintf("helo_milter_guard_violations_total{kind=%q}", kind))
}

// waitFor waits until a series is at least (">=") or at most ("<=") a value.
func (l *loadTest) waitFor(series, bound string, limit float64) {
	l.Helper()
	rig.Eventually(l, func() error {
		value := l.metric(series)
		if bound == "<=" && value > limit || bound == ">=" && value < limit {
			return fmt.Errorf("%s is %v, not %s %v", series, value, bound, limit)
		}
		return nil
	})
}

// dialFrames opens connections and sends bytes on each. They stay open until hangUp or the end of the test.
func (l *loadTest) dialFrames(n int, says string, from ...string) (all []*rig.FrameConn) {
	l.Helper()
	l.Cleanup(func() { hangUp(all) })
	for range n {
		s, err := l.milter.DialFrames(from...)
		if err != nil {
			l.Fatal(err)
		}
		all = append(all, s)
		_, _ = s.Write([]byte(says)) // it may have been refused already
	}
	return all
}

func hangUp(all []*rig.FrameConn) {
	for _, s := range all {
		if s != nil { // of a test that failed
			_ = s.Close()
		}
	}
}

// stream is a client that sends one message after another through a Postfix of its own.
type stream struct {
	*loadTest
	postfix *rig.Postfix
	sink    *rig.Sink
	cancel  context.CancelFunc
	done    chan struct{}
	sent    atomic.Int64 // accepted messages

	// Only for the client until done is closed.
	accepted map[string]int // by sender
	deferred []rig.Reply    // 4xx, after which the client tried again
	refused  []rig.Reply    // any other failure
	slowest  time.Duration
}

// stream starts a client. action is Postfix's default_action for the milter, and may have other settings
// after it.
func (l *loadTest) stream(action string) *stream {
	l.Helper()
	return l.streamBy(fmt.Sprintf("smtpd_milters = { %s, default_action=%s }", l.milter.Socket, action))
}

// streamBy is stream with lines of main.cf for the milter, or for the policy service.
func (l *loadTest) streamBy(lines string) *stream {
	l.Helper()
	ctx, cancel := context.WithCancel(l.Context())
	sink := rig.StartSink(l)
	s := &stream{
		loadTest: l, sink: sink, cancel: cancel, done: make(chan struct{}), accepted: map[string]int{},
		postfix: rig.StartPostfix(l, sink, lines),
	}
	l.Cleanup(func() { <-s.done })
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

// send sends a message and reports whether it is done with it: false after a 4xx.
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
	s.accepted[from]++
	s.sent.Add(1)
	s.slowest = max(s.slowest, time.Since(begin))
	return true
}

// wait waits until n more messages are accepted. The first may be under way already.
func (s *stream) wait(n int64) {
	s.Helper()
	n += s.sent.Load()
	rig.Eventually(s, func() error {
		if got := s.sent.Load(); got < n {
			return fmt.Errorf("%d of %d messages were accepted", got, n)
		}
		return nil
	})
}

// end stops the client. No message may have been refused, and every accepted message must have arrived
// exactly once. It returns how many there are, and how many of them went through the milter.
func (s *stream) end() (messages, passed int) {
	s.Helper()
	s.cancel()
	<-s.done
	for _, r := range s.refused {
		s.Errorf("refused: %+v", r)
	}
	rig.Eventually(s, func() error {
		if got := len(s.sink.Mails()); got < len(s.accepted) {
			return fmt.Errorf("%d of %d messages were delivered", got, len(s.accepted))
		}
		return nil
	})
	for _, mail := range s.sink.Mails() {
		s.accepted[mail.From]--
		if strings.Contains(mail.Text, "X-HELO-Check: accept;") {
			passed++
		}
	}
	for from, missing := range s.accepted {
		if missing != 0 {
			s.Errorf("%d messages of %s are missing", missing, from)
		}
	}
	s.Logf("%d messages, %d with our header, %d times deferred, the slowest took %v",
		len(s.accepted), passed, len(s.deferred), s.slowest)
	return len(s.accepted), passed
}
