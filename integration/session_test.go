package integration

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

// session is an SMTP session that has ended, and what the client, the MTA, the milter and the next hop saw of
// it.
type session struct {
	*testing.T
	variant
	client      netip.Addr
	replies     []rig.Reply
	server      rig.MTA
	log         string // the MTA's
	sink        *rig.Sink
	milter      *rig.Milter
	stage       *stage
	replyAtMail bool          // a refusal is given at MAIL, not at RCPT
	timeout     time.Duration // of the milter: a reply may take that long
}

// session runs a script (see rig.Client.Say) from a client's address, on a stage of its own, and waits until
// the messages that the MTA accepted have arrived. A script without RCPT goes on with one message. needs are
// those of rig.Start.
func (v variant) session(t *testing.T, config, client, script, message string, needs ...string) *session {
	t.Helper()
	stage := v.stage(t, config, append(needs, anyHelo[v.mta])...)
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
	if v.mta == "Exim" {
		unwrap(replies)
	}
	stage.sink.Wait(t, acceptedMessages(replies))
	timeout := 5 * time.Second
	if strings.Contains(config, oneSecond) {
		timeout = time.Second
	}
	return &session{
		T: t, variant: v, client: addr, replies: replies, server: stage.server, sink: stage.sink,
		milter: stage.milter, stage: stage, log: stage.server.Session(t),
		replyAtMail: strings.Contains(config, `reply_at = "mail"`), timeout: timeout,
	}
}

// unwrap joins the lines of refusals: Exim breaks a long text into lines of about 75 characters, each with the
// enhanced code.
func unwrap(replies []rig.Reply) {
	for i, reply := range replies {
		if first, rest, ok := strings.Cut(reply.Text, "\n"); ok && reply.Code >= 400 {
			code, _, _ := strings.Cut(first, " ")
			replies[i].Text = first + " " + strings.ReplaceAll(strings.TrimPrefix(rest, code+" "), "\n"+code, "")
		}
	}
}

// acceptedMessages counts the messages that the MTA accepted.
func acceptedMessages(replies []rig.Reply) (n int) {
	for i, reply := range replies {
		ended := i > 0 && replies[i-1].Code == 354 || strings.HasPrefix(reply.Said, "BDAT ") &&
			strings.HasSuffix(reply.Said, "LAST")
		if ended && reply.Code == 250 {
			n++
		}
	}
	return n
}

// anyHelo makes each MTA accept what the stories say: Sendmail and Exim answer an invalid HELO themselves unless
// configured otherwise, Exim also a MAIL without one, and Postfix takes XCLIENT only from trusted clients.
var anyHelo = map[string]string{
	"Postfix":        "smtpd_authorized_xclient_hosts = 0.0.0.0/0",
	"Postfix policy": "smtpd_authorized_xclient_hosts = 0.0.0.0/0",
	"Sendmail":       "define(`confALLOW_BOGUS_HELO', `True')dnl",
	"Exim":           "helo_accept_junk_hosts = *\nhosts_require_helo =",
}

// reply returns the reply to the last command that starts with a text.
func (s *session) reply(command string) rig.Reply {
	s.Helper()
	for _, reply := range slices.Backward(s.replies) {
		if strings.HasPrefix(reply.Said, command) {
			return reply
		}
	}
	s.Fatalf("%s was never sent: %+v", command, s.replies)
	return rig.Reply{}
}

// greetings returns the names that the client gave in EHLO and HELO, in the whole session or, with after,
// only those after the last such command. XCLIENT starts a new session.
func (s *session) greetings(after ...string) (names []string) {
	for _, reply := range s.replies {
		switch verb, name, _ := strings.Cut(reply.Said, " "); {
		case verb == "EHLO" || verb == "HELO":
			names = append(names, name)
		case verb == "XCLIENT" || slices.Contains(after, verb):
			names = nil
		}
	}
	return names
}

// checkDecisions requires these decisions in the milter's log, and no others, in the words of
// loggedDecisions.
func (s *session) checkDecisions(want string) {
	s.Helper()
	if s.stage != nil {
		s.stage.decisions() // waits until all are made
	}
	checkDecisions(s, s.milter, want)
}

// checkDecisions waits until a milter's log has exactly these decisions.
func checkDecisions(t rig.T, milter *rig.Milter, want string) {
	t.Helper()
	rig.Eventually(t, func() error {
		if got := loggedDecisions(milter.Log()); got != want {
			return fmt.Errorf("decided %s, want %s:\n%s", got, want, milter.Log())
		}
		return nil
	})
}

var decision = regexp.MustCompile(`msg=decision .*client=("[^"]*"|\S+) helo=(\S+) .*want=(\S+)`)

// loggedDecisions returns the decisions of a log as words WANT/CLIENT/HELO, such as
// reject/203.0.113.10/mx.example.net.
func loggedDecisions(log string) string {
	var list []string
	for _, d := range decision.FindAllStringSubmatch(log, -1) {
		list = append(list, strings.ReplaceAll(d[3]+"/"+d[1]+"/"+d[2], `"`, ""))
	}
	return strings.Join(list, " ")
}
