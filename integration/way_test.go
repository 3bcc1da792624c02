package integration

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

// way is how a story is run.
type way struct{ mta, mode, network string }

func everyWay(t *testing.T, test func(*testing.T, way)) {
	for _, mta := range rig.Programs {
		for _, mode := range []string{"observe", "enforce"} {
			for _, network := range []string{"unix", "inet"} {
				way{mta, mode, network}.run(t, test)
			}
		}
	}
}

// someWays are half of them: each two of MTA, mode and kind of socket come together.
func someWays(t *testing.T, test func(*testing.T, way)) {
	way{"Postfix", "observe", "unix"}.run(t, test)
	way{"Postfix", "enforce", "inet"}.run(t, test)
	way{"Sendmail", "observe", "inet"}.run(t, test)
	way{"Sendmail", "enforce", "unix"}.run(t, test)
}

// holds reports whether the i-th story is held so. What is refused is held in both modes, on one kind of socket in
// the one and on the other in the other. What is not, no mode can tell apart: it is held in one mode on the one
// MTA and in the other on the other, or in both where only one MTA can hold it.
func (w way) holds(i int, says, outcome string) bool {
	observes := w.mode == "observe"
	if here := (i%2 == 0) == (observes == (w.network == "unix")); !here {
		return false
	}
	want := parseOutcome(outcome).want
	both := want == "reject" || want == "tempfail" || way{mta: "Sendmail"}.lacks(says) != ""
	return both || (i%4 < 2) == (observes == (w.mta == "Postfix"))
}

func (w way) run(t *testing.T, test func(*testing.T, way)) {
	t.Run(w.mta+" "+w.mode+" "+w.network, func(t *testing.T) { test(t, w) })
}

// lacks tells what the MTA lacks for a session, or "".
func (w way) lacks(session string) string {
	for _, lack := range lacks {
		if lack.mta == w.mta && strings.Contains(session, lack.what) {
			return lack.why
		}
	}
	return ""
}

// decisionLog is a file in the milter's directory.
const decisionLog = "decision_log = \"decisions\"\n"

// config is a story's configuration, whose top-level keys come first.
func (w way) config(story string) string { return fmt.Sprintf("mode = %q\n%s\n", w.mode, story) }

// session is what was said and what became of it, seen from all sides.
type session struct {
	*testing.T
	way
	client  netip.Addr
	replies []rig.Reply
	server  rig.MTA
	log     string // the MTA's
	sink    *rig.Sink
	milter  *rig.Milter
	stage   *stage
	early   bool          // the reply is due at MAIL
	timeout time.Duration // of the milter: how long the client may wait
}

// hold holds a session on a stage of its own, and waits until what was sent in it has arrived.
func (w way) hold(t *testing.T, config, client, script, message string, needs ...string) *session {
	t.Helper()
	stage := w.take(t, config, append(needs, anyHelo[w.mta])...)
	if !strings.Contains(script, "RCPT TO:") {
		script = strings.TrimPrefix(script+toNet, "|")
	}
	v4, v6 := stage.server.Addresses()
	script = strings.NewReplacer("{mx}", v4.String(), "{mx6}", v6.String()).Replace(script)
	addr := netip.MustParseAddr(client)
	endpoint := stage.server.Endpoint(addr)
	if slices.Contains(needs, submission) {
		endpoint = rig.Submission(endpoint)
	}
	replies := rig.Talk(t, addr, endpoint, script, message)
	stage.sink.Wait(t, messages(replies))
	timeout := 5 * time.Second
	if strings.Contains(config, oneSecond) {
		timeout = time.Second
	}
	return &session{
		T: t, way: w, client: addr, replies: replies, server: stage.server, sink: stage.sink,
		milter: stage.milter, stage: stage, log: stage.server.Session(t),
		early: strings.Contains(config, `reply_at = "mail"`), timeout: timeout,
	}
}

// messages is how many messages the MTA has taken.
func messages(replies []rig.Reply) (n int) {
	for i, reply := range replies {
		ended := i > 0 && replies[i-1].Code == 354 || strings.HasPrefix(reply.Said, "BDAT ") &&
			strings.HasSuffix(reply.Said, "LAST")
		if ended && reply.Code == 250 {
			n++
		}
	}
	return n
}

// anyHelo lets each MTA take what the stories say: Sendmail answers a bad HELO itself unless it is told not
// to, and Postfix has XCLIENT for those it trusts.
var anyHelo = map[string]string{
	"Postfix":  "smtpd_authorized_xclient_hosts = 0.0.0.0/0",
	"Sendmail": "define(`confALLOW_BOGUS_HELO', `True')dnl",
}
