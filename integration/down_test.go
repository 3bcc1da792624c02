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

// downs are what becomes of mail without the milter's answer, by what the MTA was told: the milter is down,
// or takes a connection and is silent; it hangs at RCPT, or at the end of the message, for longer than it
// may.
var downs = []struct{ mta, told, down, atRcpt, atEnd, words string }{
	{"Postfix", "default_action=accept", passes, passes, passes, "mail goes on, unjudged"},
	{
		"Postfix", "default_action=tempfail", later, "220 250 250 451 554 221", taken + "451 221",
		"451 at MAIL, or where it hangs",
	},
	{
		"Postfix", "default_action=reject", "554 250 550 503 503 221", "220 250 250 550 554 221", taken + "550 221",
		"554 at the banner, 250 for EHLO, 550 at MAIL; or 550 where it hangs",
	},
	{"Sendmail", "", passes, passes, passes, "mail goes on, unjudged"},
	{"Sendmail", "F=T", later, "220 250 250 451 503 221", taken + "451 221", "451 at MAIL, or where it hangs"},
	{
		"Sendmail", "F=R", "554 250 550 550 550 221", "220 250 250 550 503 221", taken + "554 221",
		"554 at the banner, 250 for EHLO, then 550; or 550 at RCPT, 554 at the end of the message",
	},
	{
		"Sendmail", "F=4", "421", "220 250 250 421", taken + "421",
		"421 at the banner, or where it hangs, and the connection is closed",
	},
}

const (
	taken  = "220 250 250 250 354 "
	passes = taken + "250 221"
	later  = "220 250 451 503 503 221"
)

// slowness is how each MTA is told not to wait for more than two seconds. Sendmail counts those of the clock,
// so that of R:1s next to nothing may be left.
var slowness = map[string]string{
	"Postfix": "connect_timeout=1s, command_timeout=1s, content_timeout=1s", "Sendmail": "T=C:2s;S:2s;R:2s;E:2s",
}

// What becomes of mail when the milter is down, or hangs, is what the MTA was told; and a hanging one costs a
// client at most the time that it was given.
func TestDown(t *testing.T) {
	t.Parallel()
	for _, tt := range downs {
		for how, want := range map[string]string{
			"down inet": tt.down, "down unix": tt.down, "silent inet": tt.down, "hangs at RCPT": tt.atRcpt,
			"hangs at the end": tt.atEnd,
		} {
			t.Run(tt.mta+" "+tt.told+" "+how, func(t *testing.T) {
				t.Parallel()
				line := milterLine(tt.mta, absent(t, how), slowness[tt.mta], tt.told)
				server, client := rig.Start(t, tt.mta, rig.StartSink(t), "", line), netip.MustParseAddr(good)
				replies := rig.Talk(t, client, server.Endpoint(client), "EHLO mail.example.org"+toNet, rig.Message)
				if got := codes(replies); got != want {
					t.Errorf("codes %s, want %s\n%+v\n%s", got, want, replies, server.Session(t))
				}
				for _, reply := range replies {
					if reply.Took > 4*2*time.Second { // on a machine of a quarter of the speed
						t.Errorf("%+v", reply)
					}
				}
			})
		}
	}
}

// absent is the socket of a milter that does not answer.
func absent(t *testing.T, how string) (socket string) {
	t.Helper()
	if stage, hangs := strings.CutPrefix(how, "hangs at "); hangs {
		milter := hanging{stage: stage, over: t.Context().Done()}
		return startBare(t, gomilter.NewServer(gomilter.WithMilter(func() gomilter.Milter { return milter })))
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
		_ = os.Chmod(address, 0o666) // for Postfix, where it is a file
	}
	return socket
}

// hanging is a milter that has no answer at a stage until the test is over.
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
