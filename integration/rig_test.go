package integration

import (
	"cmp"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"helo-milter/integration/rig"

	"github.com/miekg/dns"
)

func TestMain(m *testing.M) { rig.Main(withStages{m}, "-race") }

// A client of the resolver gets what rig/dns.txt says.
func TestDNS(t *testing.T) {
	for _, story := range []struct{ name, qtype, want string }{
		{"206.125.175.2", "PTR", "s1.xnnd.com."},
		{"s1.xnnd.com", "A", "206.125.175.2"},
		{"bob.microsoft.com", "A", "NXDOMAIN"},
		{"microsoft.com", "MX", "10 mail.microsoft.com."},
		{"mx.example.net", "A", "198.51.100.25"},
		{"198.51.100.25", "PTR", "mx.example.net."},
		{"203.0.113.30", "PTR", "NXDOMAIN"},
		{"203.0.113.31", "PTR", "NOERROR"}, // no data
		{"203.0.113.32", "PTR", "forged.example.org."},
		{"gone.example.org", "A", "NXDOMAIN"},
		{"203.0.113.40", "PTR", "relay.example.org. stale.example.org."},
		{"a.broken.example.org", "A", "SERVFAIL"},
		{"203.0.113.50", "PTR", "50.48-63.113.0.203.in-addr.arpa. classless.example.org."},
		{"203.0.113.60", "PTR", "200 records"},
		{"203.0.113.66", "PTR", "SERVFAIL"},
		{"2001:db8::10", "PTR", "mail6.example.org."},
		{"mail6.example.org", "AAAA", "2001:db8::10"},
		{"mail.example.org", "AAAA", "NOERROR"},
		{"rad.internal", "A", "NXDOMAIN"},
		{"167.89.97.77", "PTR", "o167-89-97-77.outbound-mail.sendgrid.net."},
		{"example.com.dbl.example", "A", "127.0.1.2"},
		{"example.org.dbl.example", "A", "NXDOMAIN"},
		{"example.org.closed.example", "A", "127.255.255.254"},
		{"example.org.dead.example", "A", "SERVFAIL"},
		{"exists.example.org", "TXT", `"v=spf1 exists:%{ir}.ok.example.org -all"`},
		{"example.org", "NS", "a.root-servers.net."},
	} {
		t.Run(story.name+" "+story.qtype, func(t *testing.T) {
			t.Parallel()
			name := story.name
			if addr, err := netip.ParseAddr(name); err == nil {
				name, _ = dns.ReverseAddr(addr.String())
			}
			reply, err := rig.Ask(rig.Resolver, name, dns.StringToType[story.qtype])
			if err != nil {
				t.Fatal(err)
			}
			if got := summary(reply); got != story.want {
				t.Errorf("got %s, want %s", got, story.want)
			}
		})
	}
}

// The dead resolver does not answer.
func TestDeadDNS(t *testing.T) {
	t.Parallel()
	question := new(dns.Msg).SetQuestion("mail.example.org.", dns.TypeA)
	client := dns.Client{Timeout: time.Second}
	if reply, _, err := client.Exchange(question, rig.DeadResolver); err == nil {
		t.Errorf("the dead resolver answers: %v", reply)
	}
}

// summary returns the data of all answers, or their number if there are more than ten, or the RCODE if there
// are none.
func summary(reply *dns.Msg) string {
	var data []string
	for _, record := range reply.Answer {
		data = append(data, strings.TrimPrefix(record.String(), record.Header().String()))
	}
	if len(data) > 10 {
		return fmt.Sprintf("%d records", len(data))
	}
	slices.Sort(data)
	return cmp.Or(strings.Join(data, " "), dns.RcodeToString[reply.Rcode])
}

// Without a milter, each MTA delivers a message from a client of each address family.
func TestMTAWithoutMilter(t *testing.T) {
	for _, mta := range rig.Hosts {
		for _, client := range []string{"203.0.113.10", "2001:db8::10", "127.0.0.1"} {
			t.Run(mta+" "+client, func(t *testing.T) {
				t.Parallel()
				sink := rig.StartSink(t)
				server := rig.Start(t, mta, sink, "")
				addr := netip.MustParseAddr(client)
				replies := rig.Talk(t, addr, server.Endpoint(addr), "EHLO mail.example.org"+toNet, rig.Message)
				if sent := replies[len(replies)-2]; sent.Code != 250 {
					t.Fatalf("%+v\n%s", replies, server.Session(t))
				}
				mail := sink.Wait(t, 1)[0]
				if mail.From != "sender@example.org" || !slices.Equal(mail.To, []string{"reader@example.net"}) {
					t.Errorf("envelope: %+v", mail)
				}
				if !strings.HasSuffix(mail.Text, "\n\nHello.\n") {
					t.Errorf("message: %q", mail.Text)
				}
			})
		}
	}
}

// The same with swaks as the client.
func TestSwaks(t *testing.T) {
	t.Parallel()
	sink := rig.StartSink(t)
	postfix := rig.StartPostfix(t, sink)
	out, err := exec.Command("swaks", "--server", postfix.Addr.String(), "--local-interface", "203.0.113.10",
		"--helo", "mail.example.org", "--from", "a@example.org", "--to", "b@example.net").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	sink.Wait(t, 1)
}
