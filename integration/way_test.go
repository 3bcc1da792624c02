package integration

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

// way is how a story is run.
type way struct{ mta, mode, network string }

func everyWay(t *testing.T, test func(*testing.T, way)) {
	for _, mta := range rig.Programs {
		for _, mode := range []string{"observe", "enforce"} {
			for _, network := range []string{"unix", "inet"} {
				t.Run(mta+" "+mode+" "+network, func(t *testing.T) { test(t, way{mta, mode, network}) })
			}
		}
	}
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
	early   bool // the reply is due at MAIL
}

// hold holds a session, with a milter and an MTA of its own.
func (w way) hold(t *testing.T, config, client, script, message string, needs ...string) *session {
	t.Helper()
	milter := rig.StartMilter(t, w.network, decisionLog+w.config(config))
	sink := rig.StartSink(t)
	server := rig.Start(t, w.mta, sink, milter.Socket, append(needs, anyHelo[w.mta])...)
	if !strings.Contains(script, "RCPT TO:") {
		script = strings.TrimPrefix(script+toNet, "|")
	}
	v4, v6 := server.Addresses()
	script = strings.NewReplacer("{mx}", v4.String(), "{mx6}", v6.String()).Replace(script)
	addr := netip.MustParseAddr(client)
	endpoint := server.Endpoint(addr)
	if slices.Contains(needs, submission) {
		endpoint = rig.Submission(endpoint)
	}
	replies := rig.Talk(t, addr, endpoint, script, message)
	s := &session{
		T: t, way: w, client: addr, replies: replies, server: server, sink: sink, milter: milter,
		log: server.Session(t), early: strings.Contains(config, `reply_at = "mail"`),
	}
	t.Cleanup(func() { s.decisions() }) // all are what the schema says
	return s
}

// anyHelo lets each MTA take what the stories say: Sendmail answers a bad HELO itself unless it is told not
// to, and Postfix has XCLIENT for those it trusts.
var anyHelo = map[string]string{
	"Postfix":  "smtpd_authorized_xclient_hosts = 0.0.0.0/0",
	"Sendmail": "define(`confALLOW_BOGUS_HELO', `True')dnl",
}
