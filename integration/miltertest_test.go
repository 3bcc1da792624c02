package integration

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

// OpenDKIM's miltertest is a client that nobody here wrote. The scripts end with an error where it hears
// something else than they want; what the milter's log says then is in the words of decided.
func TestMiltertest(t *testing.T) {
	for script, decisions := range map[string]string{
		"accept.lua": accepted,
		"reject.lua": itIsUs,
		"header.lua": "accept/2001:db8::10/mail6.example.org",
		"abort.lua":  accepted + " " + accepted,
	} {
		for _, network := range []string{"unix", "inet"} {
			t.Run(script+" "+network, func(t *testing.T) {
				t.Parallel()
				stage := way{mode: "enforce", network: network}.take(t, "")
				ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
				defer cancel()
				cmd := exec.CommandContext(ctx, "miltertest", "-D", "socket="+libmilter(stage.milter),
					"-D", "script="+script, "-s", "mta.lua")
				cmd.Dir = "testdata/miltertest"
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s\n%s", err, out, stage.milter.Log())
				}
				stage.decisions() // there will be no more
				decides(t, stage.milter, decisions)
			})
		}
	}
}

// libmilter is the milter's socket as libmilter writes it: inet:PORT@HOST.
func libmilter(m *rig.Milter) string {
	network, address, _ := strings.Cut(m.Socket, ":")
	if network == "unix" {
		return m.Socket
	}
	host, port, _ := strings.Cut(address, ":")
	return network + ":" + port + "@" + host
}
