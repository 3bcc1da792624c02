package integration

import (
	"encoding/json"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

// `check` judges as the daemon does, and tells by its exit code.
func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		args string
		exit int
		says string // pieces that the output has, between "|"
	}{
		{"206.125.175.2 s1.xnnd.com", 0, `verdict  accept|nothing is wrong|2.175.125.206.in-addr.arpa.|TTL |192.0.2.53:53 udp`},
		{"206.125.175.2 bob.microsoft.com", 1, `verdict  reject because of helo-forged-brand|Set the HELO name to s1.xnnd.com`},
		{"203.0.113.10 notes1.corp", 0, `helo-private-tld|Set the HELO name to mail.example.org`},
		{"203.0.113.30 noptr.example.org", 0, `ptr-missing|set its PTR record`},
		{"203.0.113.66 servfail.example.org", 0, `iprev    temperror|SERVFAIL|unsure`},
		{"--dns 198.51.100.66:53 203.0.113.10 localhost", 1, `helo-localhost|timeout`},
		{"--rcpt reader@example.com 203.0.113.10 example.com", 0, `helo-rcpt-domain`},
		{"--all 2001:db8::10 mail6.example.org", 0, `helo-missing  |ptr-many  `},
		{"10.0.0.1 localhost", 0, `exempt   private`},
		{"203.0.113.10", 2, `expected "<helo>"`},
		{"mail.example.org 203.0.113.10", 2, `is not an IP address`},
	} {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			output, exit := rig.RunMilter(t, append([]string{"check"}, strings.Fields(tt.args)...)...)
			if exit != tt.exit {
				t.Errorf("exit %d, want %d", exit, tt.exit)
			}
			for piece := range strings.SplitSeq(tt.says, "|") {
				if !strings.Contains(output, piece) {
					t.Errorf("no %q in\n%s", piece, output)
				}
			}
		})
	}
}

func TestCheckJSON(t *testing.T) {
	t.Parallel()
	output, exit := rig.RunMilter(t, "check", "--json", "203.0.113.30", "friend")
	var record struct {
		V                           int
		Client, Helo, Iprev, Header string
		Facts                       struct{ PTR struct{ Status string } }
		Findings                    []struct{ Rule, Result, Action string }
		Verdict                     struct {
			Mode, Want, Did, Rule, Reply string
			Score                        float64
		}
	}
	if err := json.Unmarshal([]byte(output), &record); err != nil || exit != 1 {
		t.Fatalf("exit %d, %v\n%s", exit, err, output)
	}
	v := record.Verdict
	if record.V != 1 || record.Client != "203.0.113.30" || record.Helo != "friend" || record.Iprev != "permerror" ||
		v.Mode != "observe" || v.Want != "reject" || v.Did != "accept" || v.Rule != "helo-not-fqdn" || v.Score != 3.5 ||
		!strings.HasPrefix(v.Reply, "504 5.5.2 ") || record.Facts.PTR.Status != "missing" || len(record.Findings) != 2 ||
		!strings.HasPrefix(record.Header, "reject; client=203.0.113.30; helo=friend; iprev=permerror; score=3.5;") {
		t.Errorf("%s", output)
	}
}
