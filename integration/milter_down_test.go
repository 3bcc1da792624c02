package integration

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	gomilter "github.com/d--j/go-milter"

	"helo-milter/integration/rig"
)

// downTests have an MTA's setting for a milter that does not answer, and the codes of all replies: if the
// milter is down, or accepts a connection and sends nothing; if it hangs at RCPT, or at the end of the
// message. words are for examples/README.md.
var downTests = []struct{ mta, setting, down, atRcpt, atEnd, words string }{
	{"Postfix", "default_action=accept", delivered, delivered, delivered, "mail continues unjudged"},
	{
		"Postfix", "default_action=tempfail", deferred, "220 250 250 451 554 221", upToDATA + "451 221",
		"451 at MAIL, or where it hangs",
	},
	{
		"Postfix", "default_action=reject",
		"554 250 550 503 503 221", "220 250 250 550 554 221", upToDATA + "550 221",
		"554 at the banner, 250 for EHLO, 550 at MAIL; or 550 where it hangs",
	},
	{"Sendmail", "", delivered, delivered, delivered, "mail continues unjudged"},
	{
		"Sendmail", "F=T", deferred, "220 250 250 451 503 221", upToDATA + "451 221",
		"451 at MAIL, or where it hangs",
	},
	{
		"Sendmail", "F=R", "554 250 550 550 550 221", "220 250 250 550 503 221", upToDATA + "554 221",
		"554 at the banner, 250 for EHLO, then 550; or 550 at RCPT, 554 at the end of the message",
	},
	{
		"Sendmail", "F=4", "421", "220 250 250 421", upToDATA + "421",
		"421 at the banner, or where it hangs, and the connection is closed",
	},
}

const (
	upToDATA  = "220 250 250 250 354 "
	delivered = upToDATA + "250 221"
	deferred  = "220 250 451 503 503 221"
)

// shortTimeouts limit each MTA's wait to two seconds. Sendmail counts full seconds of the clock, so R:1s may
// leave next to no time.
var shortTimeouts = map[string]string{
	"Postfix": "connect_timeout=1s, command_timeout=1s, content_timeout=1s", "Sendmail": "T=C:2s;S:2s;R:2s;E:2s",
}

// If the milter is down or hangs, the MTA's setting decides what happens to mail, and a client waits at most
// the MTA's timeout.
func TestMilterDown(t *testing.T) {
	t.Parallel()
	for _, tt := range downTests {
		for how, want := range map[string]string{
			"down inet": tt.down, "down unix": tt.down, "silent inet": tt.down, "hangs at RCPT": tt.atRcpt,
			"hangs at the end": tt.atEnd,
		} {
			t.Run(tt.mta+" "+tt.setting+" "+how, func(t *testing.T) {
				t.Parallel()
				line := milterLine(tt.mta, unresponsiveMilter(t, how), shortTimeouts[tt.mta], tt.setting)
				server, client := rig.Start(t, tt.mta, rig.StartSink(t), "", line), netip.MustParseAddr(good)
				replies := rig.Talk(t, client, server.Endpoint(client), "EHLO mail.example.org"+toNet, rig.Message)
				if got := codes(replies); got != want {
					t.Errorf("codes %s, want %s\n%+v\n%s", got, want, replies, server.Session(t))
				}
				for _, reply := range replies {
					if reply.Took > 4*2*time.Second { // on a machine at a quarter of the speed
						t.Errorf("%+v", reply)
					}
				}
			})
		}
	}
}

// unresponsiveMilter returns the socket of a milter that does not answer.
func unresponsiveMilter(t *testing.T, how string) (socket string) {
	t.Helper()
	if stage, hangs := strings.CutPrefix(how, "hangs at "); hangs {
		milter := hanging{stage: stage, over: t.Context().Done()}
		return startUnguarded(t, gomilter.NewServer(gomilter.WithMilter(func() gomilter.Milter { return milter })))
	}
	how, network, _ := strings.Cut(how, " ")
	socket = rig.NewMilter(t, network, "").Socket
	if how == "silent" {
		address := strings.TrimPrefix(socket, network+":")
		listener, err := net.Listen(strings.Replace(network, "inet", "tcp", 1), address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = listener.Close() })
		_ = os.Chmod(address, 0o666) // a unix socket, for user postfix
	}
	return socket
}

// hanging is a milter that does not answer at a stage of the session until the test is over.
type hanging struct {
	gomilter.NoOpMilter
	stage string
	over  <-chan struct{}
}

func (h hanging) RcptTo(string, string, gomilter.Modifier) (*gomilter.Response, error) {
	if h.stage == "RCPT" {
		<-h.over
	}
	return gomilter.RespContinue, nil
}

func (h hanging) EndOfMessage(gomilter.Modifier) (*gomilter.Response, error) {
	<-h.over
	return gomilter.RespAccept, nil
}
