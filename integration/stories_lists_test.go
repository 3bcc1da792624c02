package integration

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

// listStories are about the deny list and about block lists of domains.
var listStories = []story{
	// Denied by the HELO.
	{
		"203.0.113.10", "EHLO mail.example.org",
		"reject 550 5.7.1 helo-denied pass only", deny("helo mail.example.org"),
	},
	{
		"203.0.113.10", "EHLO MAIL.Example.ORG.",
		"reject 550 5.7.1 helo-denied pass", deny("helo Mail.example.org"),
	},
	{
		"203.0.113.10", "EHLO ylmf-pc",
		"reject 504 5.5.2 helo-not-fqdn pass only +helo-denied", fqdnOnly + deny("helo ylmf-pc"),
	},
	{
		"203.0.113.10", "EHLO ylmf-pc",
		"reject 550 5.7.1 helo-denied pass +helo-not-fqdn", careful + deny("helo ylmf-pc"),
	},
	{
		"203.0.113.10", "EHLO ylmf-pc.example.org", // the whole name
		"accept pass -helo-denied", deny("helo ylmf-pc"),
	},
	{"203.0.113.10", "EHLO *.*", "reject 501 5.5.2 helo-malformed pass +helo-denied", deny("helo *.*")},
	{
		"203.0.113.10", "EHLO [203.0.113.10]",
		"reject 550 5.7.1 helo-denied pass only", deny("helo [203.0.113.10]"),
	},
	{
		"203.0.113.10", "EHLO mail.example.org",
		"reject 550 5.7.1 helo-denied pass only", deny("helo .example.org"),
	},
	{
		"203.0.113.10", "EHLO mail.example.org", // label by label
		"accept pass only", deny("helo .ample.org", "helo ample.org", "helo ail.example.org"),
	},
	{
		"203.0.113.10", "EHLO example.org", // not below itself, but its MX is
		"reject 550 5.7.1 helo-host-denied pass -helo-denied", deny("helo .example.org"),
	},
	{
		"203.0.113.10", "EHLO pc12.example.org",
		"reject 550 5.7.1 helo-denied pass", deny(`helo /^pc\d+\./`),
	},
	{
		"203.0.113.10", "EHLO PC12.example.org",
		"reject 550 5.7.1 helo-denied pass", deny(`helo /^pc\d+\./`),
	},
	{"203.0.113.10", "EHLO mypc12.example.org", "accept pass -helo-denied", deny(`helo /^pc\d+\./`)},
	{
		"203.0.113.10", "EHLO ylmf-pc.example.org|EHLO mail.example.org",
		"reject 550 5.7.1 helo-denied pass +helo-changed", deny("helo nobody", "helo ylmf-pc.example.org"),
	},
	{"203.0.113.10", "", "reject 503 5.5.1 helo-missing pass only", deny("helo mail.example.org")},

	// Denied by the client, or by a host behind the HELO name: its addresses, its MX, its name servers.
	{
		"203.0.113.20", "EHLO smtp.example.org",
		"reject 550 5.7.1 helo-host-denied pass", deny("network 203.0.113.20/32"),
	},
	{
		"203.0.113.20", "EHLO smtp.example.org",
		"accept pass only +helo-ip-mismatch", deny("network 203.0.113.21/32"),
	},
	{
		"203.0.113.10", "EHLO [203.0.113.10]",
		"reject 550 5.7.1 helo-host-denied pass only", deny("network 203.0.113.0/24"),
	},
	{
		"2001:db8::10", "EHLO mail6.example.org",
		"reject 550 5.7.1 helo-host-denied pass only", deny("network 2001:db8::/32"),
	},
	{
		"203.0.113.10", "",
		"reject 503 5.5.1 helo-missing pass only +helo-host-denied", deny("network 203.0.113.0/24"),
	},
	{
		"203.0.113.10", "EHLO hosted.example.org",
		"reject 550 5.7.1 helo-host-denied pass only +helo-ip-mismatch", deny("network 192.0.2.64/28"),
	},
	{
		"203.0.113.10", "EHLO viamx.example.org",
		"reject 550 5.7.1 helo-host-denied pass only", deny("helo in.example.com"),
	},
	{
		"203.0.113.10", "EHLO viamx.example.org",
		"reject 550 5.7.1 helo-host-denied pass only", deny("network 192.0.2.71/32"),
	},
	{
		"203.0.113.10", "EHLO viamx.example.org",
		"reject 550 5.7.1 helo-host-denied pass", deny("network 2001:db8::71/128"),
	},
	{
		"203.0.113.10", "EHLO viamx.example.org",
		"accept pass only", deny("network 192.0.2.72/32", "helo .example.net"),
	},
	{
		"203.0.113.10", "EHLO mail.example.org",
		"reject 550 5.7.1 helo-host-denied pass", deny("helo .root-servers.net"),
	},
	{
		"203.0.113.10", "EHLO mail.example.org",
		"reject 550 5.7.1 helo-host-denied pass", deny("network 198.51.100.53/32"),
	},
	{
		"203.0.113.10", "EHLO b.broken.example.org", // the lookup of its name servers fails
		"accept pass ?helo-host-denied -helo-host-denied", strict + deny("network 192.0.2.64/28"),
	},

	// Denied by the PTR name, confirmed or not. A HELO is not a PTR name, and a PTR name is not a HELO.
	{
		"203.0.113.21", "EHLO host.example.com",
		"reject 550 5.7.1 ptr-denied pass only", deny("ptr .example.com"),
	},
	{
		"203.0.113.21", "EHLO host.example.com",
		"reject 550 5.7.1 ptr-denied pass", deny(`ptr /^host\.example\./`),
	},
	{
		"203.0.113.32", "EHLO mail.example.org",
		"reject 550 5.7.1 ptr-denied fail +ptr-unconfirmed", deny("ptr forged.example.org"),
	},
	{
		"203.0.113.21", "EHLO mail.example.org",
		"accept pass -ptr-denied -helo-denied", deny("ptr mail.example.org"),
	},
	{
		"203.0.113.20", "EHLO smtp.example.org",
		"accept pass only +helo-ip-mismatch", deny("helo out.example.org"),
	},
	{
		"203.0.113.66", "EHLO servfail.example.org",
		"accept temperror ?ptr-denied -ptr-denied", strict + deny("ptr .example.com"),
	},

	// Listed: the organizational domain of the HELO, or of a confirmed PTR name.
	{"203.0.113.10", "EHLO mail.example.org", "accept pass only", lists("dbl.example")},
	{
		"203.0.113.10", "EHLO host.example.com",
		"reject 554 5.7.1 helo-listed pass -ptr-listed", lists("dbl.example"),
	},
	{"203.0.113.10", "EHLO X.Y.Example.COM.", "reject 554 5.7.1 helo-listed pass", lists("DBL.example.")},
	{
		"203.0.113.21", "EHLO host.example.com",
		"reject 554 5.7.1 helo-listed pass only +ptr-listed", lists("dbl.example"),
	},
	{
		"203.0.113.21", "EHLO host.example.com",
		"accept pass only +helo-listed +ptr-listed", careful + lists("dbl.example"),
	},
	{"203.0.113.21", "EHLO host.example.com", "accept pass only", ""},
	{
		"203.0.113.21", "EHLO mail.example.org",
		"reject 554 5.7.1 ptr-listed pass -helo-listed", lists("dbl.example"),
	},
	{
		"203.0.113.35", "EHLO mail.example.org",
		"accept fail +ptr-unconfirmed -ptr-listed", lists("dbl.example"),
	},
	{"203.0.113.10", "EHLO [203.0.113.10]", "accept pass only", lists("dbl.example")},

	// Responses about the list itself are not listings, and neither are DNS failures.
	{
		"203.0.113.10", "EHLO mail.example.org",
		"accept pass only ?helo-listed ?ptr-listed", strict + lists("closed.example"),
	},
	{
		"203.0.113.10", "EHLO mail.example.org",
		"accept pass only ?helo-listed ?ptr-listed", strict + lists("sold.example"),
	},
	{
		"203.0.113.10", "EHLO mail.example.org",
		"accept pass only ?helo-listed ?ptr-listed", strict + lists("dead.example"),
	},
	{
		"203.0.113.10", "EHLO mail.example.org",
		"accept pass only ?helo-listed ?ptr-listed", oneSecond + "\n" + strict + lists("mute.example"),
	},
	{
		"203.0.113.10", "EHLO mail.example.org",
		"tempfail 451 4.4.3 pass ?helo-listed ?ptr-listed", tryLater + lists("dead.example"),
	},
	{
		"203.0.113.21", "EHLO host.example.com", // one listing is enough, whatever the others answer
		"reject 554 5.7.1 helo-listed pass only +ptr-listed",
		lists("closed.example", "dead.example", "dbl.example"),
	},
}

// deny returns the configuration of a deny list of "helo TEXT", "ptr TEXT" and "network TEXT" entries.
func deny(entries ...string) (config string) {
	for _, entry := range entries {
		key, value, _ := strings.Cut(entry, " ")
		config += fmt.Sprintf("\n[[deny]]\n%s = '%s'\n", key, value)
	}
	return config
}

// lists returns the configuration of block lists.
func lists(domains ...string) string {
	return fmt.Sprintf("\n[lists]\ndomain = ['%s']\n", strings.Join(domains, "', '"))
}

// A block list that does not answer properly is logged once, however many sessions query it.
func TestListTrouble(t *testing.T) {
	pairwiseVariants(t, func(t *testing.T, v variant) {
		t.Parallel()
		config := fmt.Sprintf("mode = %q\nprofile = \"standard\"\n", v.mode) + lists("closed.example", "dbl.example", "sold.example")
		milter := rig.StartMilter(t, v.network, config)
		sink := rig.StartSink(t)
		server := rig.Start(t, v.mta, sink, milter.Socket)
		for _, client := range []string{"203.0.113.10", "203.0.113.20", "2001:db8::10", "203.0.113.10"} {
			addr := netip.MustParseAddr(client)
			rig.Talk(t, addr, server.Endpoint(addr), "EHLO mail.example.org"+toNet, rig.Message)
		}
		sink.Wait(t, 4)
		milter.Stop(t) // completes its log
		for list, want := range map[string]int{"closed.example": 1, "sold.example": 1, "dbl.example": 0} {
			if got := strings.Count(milter.Log(), "list="+list); got != want {
				t.Errorf("%s is logged %d times, want %d:\n%s", list, got, want, milter.Log())
			}
		}
	})
}
