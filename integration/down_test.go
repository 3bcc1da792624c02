package integration

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

// downs are what becomes of mail without the milter's answer, by what the MTA was told: the milter is
// down, or it takes a connection and is silent for longer than it may.
var downs = []struct{ mta, told, codes, words string }{
	{"Postfix", "default_action=accept", passes, "mail goes on, unjudged"},
	{"Postfix", "default_action=tempfail", later, "451 at MAIL"},
	{"Postfix", "default_action=reject", never, "550 at MAIL"},
	{"Sendmail", "", passes, "mail goes on, unjudged"},
	{"Sendmail", "F=T", later, "451 at MAIL"},
	{"Sendmail", "F=R", none, "550 at every command"},
	{"Sendmail", "F=4", "421", "421, and the connection is closed"},
}

const (
	passes = "220 250 250 250 354 250 221"
	later  = "220 250 451 503 503 221"
	never  = "554 250 550 503 503 221"
	none   = "554 250 550 550 550 221"
)

// slowness is how each MTA is told not to wait for more than a second.
var slowness = map[string]string{
	"Postfix": "connect_timeout=1s, command_timeout=1s", "Sendmail": "T=C:1s;S:1s;R:1s;E:1s",
}

// What becomes of mail when the milter is down, or hangs, is what the MTA was told; and a hanging one costs a
// client at most the time that it was given.
func TestDown(t *testing.T) {
	const script = "EHLO mail.example.org" + toNet
	client := netip.MustParseAddr(good)
	for _, tt := range downs {
		for _, how := range []string{"down", "slow"} {
			t.Run(tt.mta+" "+tt.told+" "+how, func(t *testing.T) {
				t.Parallel()
				silent, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer silent.Close()
				if how == "down" {
					_ = silent.Close()
				}
				line := milterLine(tt.mta, "inet:"+silent.Addr().String(), slowness[tt.mta], tt.told)
				server := rig.Start(t, tt.mta, rig.StartSink(t), "", line)
				replies := rig.Talk(t, client, server.Endpoint(client), script, rig.Message)
				if got := codes(replies); got != tt.codes {
					t.Errorf("codes %s, want %s\n%+v\n%s", got, tt.codes, replies, server.Session(t))
				}
				for _, reply := range replies {
					if reply.Took > 4*time.Second {
						t.Errorf("%+v", reply)
					}
				}
			})
		}
	}
}
