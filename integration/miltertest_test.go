package integration

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

// OpenDKIM's miltertest, an independent implementation, plays the MTA. A script ends with an error if the
// milter replies otherwise than expected; the decisions are in the words of loggedDecisions.
func TestMiltertest(t *testing.T) {
	for script, decisions := range map[string]string{
		"accept.lua": accepted,
		"reject.lua": ownNameRejected,
		"header.lua": "accept/2001:db8::10/mail6.example.org",
		"abort.lua":  accepted + " " + accepted,
	} {
		for _, network := range []string{"unix", "inet"} {
			t.Run(script+" "+network, func(t *testing.T) {
				t.Parallel()
				stage := variant{mode: "enforce", network: network}.stage(t, "")
				ctx, cancel := context.WithTimeout(t.Context(), rig.WaitTimeout)
				defer cancel()
				cmd := exec.CommandContext(ctx, "miltertest", "-D", "socket="+libmilterSocket(stage.milter),
					"-D", "script="+script, "-s", "mta.lua")
				cmd.Dir = "testdata/miltertest"
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s\n%s", err, out, stage.milter.Log())
				}
				stage.decisions() // waits until all are made
				checkDecisions(t, stage.milter, decisions)
			})
		}
	}
}

// libmilterSocket returns the milter's socket in libmilter's notation: inet:PORT@HOST.
func libmilterSocket(m *rig.Milter) string {
	network, address, _ := strings.Cut(m.Socket, ":")
	if network == "unix" {
		return m.Socket
	}
	host, port, _ := strings.Cut(address, ":")
	return network + ":" + port + "@" + host
}
