package integration

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

func TestSelftest(t *testing.T) {
	for _, tt := range []struct {
		args string
		exit int
		says string // see checkOutput
	}{
		{"203.0.113.10", 0, "HELO  should be mail.example.org; nothing to change"},
		{"203.0.113.40 203.0.113.50", 0, "should be relay.example.org|should be classless.example.org"},
		{"203.0.113.30", 1, "PTR   none|30.113.0.203.in-addr.arpa. PTR "},
		{"203.0.113.33", 1, "gone.example.org. A 203.0.113.33"},
		{"203.0.113.80", 1, "PTR   203-0-113-80.dsl.example.org (resolves back|should be a name of its own"},
		{"203.0.113.66", 1, "PTR   the lookup failed|HELO  unknown: the DNS did not answer"},
		{
			"203.0.113.10 2001:db8::10", 1,
			"mail.example.org. AAAA 2001:db8::10|ip6.arpa. PTR mail.example.org.|for both: mail.example.org",
		},
		{"", 2, "no public address of its own"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			output, exit := rig.RunMilter(t, append([]string{"selftest"}, strings.Fields(tt.args)...)...)
			if exit != tt.exit {
				t.Errorf("exit %d, want %d", exit, tt.exit)
			}
			checkOutput(t, output, tt.says)
		})
	}
}

// The MTAs greet the selftest as they would greet a receiver, from the address that they send mail from. With
// the setting that check advises, the greeting is right.
func TestSelftestListens(t *testing.T) {
	advice, _ := rig.RunMilter(t, "check", "203.0.113.10", "localhost")
	for _, tt := range []struct {
		program, from string
		advised       bool
		says          string
	}{
		{"Postfix", "203.0.113.10", true, `client   203.0.113.10|HELO     "mail.example.org"|nothing is`},
		{"Sendmail", "203.0.113.10", true, `client   203.0.113.10|HELO     "mail.example.org"|nothing is`},
		{"Postfix", "203.0.113.10", false, `HELO     "mx.example.net"|mail server's HELO name to mail.example.org`},
		{"Sendmail", "203.0.113.10", false, `HELO     "mx.example.net"|mail server's HELO name to mail.example.org`},
		{"Postfix", "127.0.0.1", true, `127.0.0.1, which is|HELO     "mail.example.org"|nothing is`},
	} {
		t.Run(fmt.Sprint(tt.program, tt.from, tt.advised), func(t *testing.T) {
			t.Parallel()
			target := "198.51.100.91"
			if tt.from == "127.0.0.1" {
				target = tt.from
			}
			port := rig.FreePort()
			selftest := startSelftest(t, fmt.Sprintf("%s:%d", target, port))
			lines := []string{
				fmt.Sprintf("relay_transport = smtp:[%s]:%d", target, port), "smtp_bind_address = " + tt.from,
			}
			place := "Postfix, main.cf"
			if tt.program == "Sendmail" {
				place = "Sendmail, sendmail.mc"
				lines = []string{
					fmt.Sprintf("define(`SMART_HOST', `relay:[%s]')dnl", target),
					fmt.Sprintf("define(`RELAY_MAILER_ARGS', `TCP $h %d')dnl", port),
					fmt.Sprintf("CLIENT_OPTIONS(`Family=inet, Address=%s')dnl", tt.from),
				}
			}
			if tt.advised {
				lines = append(lines, setting(t, advice, place))
			}
			server := rig.Start(t, tt.program, rig.StartSink(t), "", lines...)
			server.Submit(t, "sender@example.org", "reader@example.net", rig.Message)
			output, good := selftest()
			if good != tt.advised {
				t.Errorf("good %t\n%s\n%s", good, output, server.Log())
			}
			checkOutput(t, output, tt.says)
		})
	}
}

// startSelftest starts selftest --listen-for, and returns a function that waits for its end.
func startSelftest(t *testing.T, address string) (wait func() (output string, good bool)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), rig.WaitTimeout)
	t.Cleanup(cancel)
	cmd := rig.Command(ctx, t, "selftest", "--wait", "2m", "--listen-for", address)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(out)
	first, err := in.ReadString('\n') // printed when it listens
	if err != nil {
		t.Fatalf("selftest: %v %s", err, first)
	}
	return func() (string, bool) {
		rest, _ := io.ReadAll(in)
		return first + string(rest), cmd.Wait() == nil
	}
}
