package past

import (
	"fmt"
	"strings"
	"testing"
)

// receivedField returns a hop as a Received field:
//
//	mx<203.0.113.9         written by mx.example.net, which received the message from that client
//	mx<relay=203.0.113.9   the client has the confirmed name relay.example.net
//	mx<?relay=203.0.113.9  the client has that name, but it is forged
//	mx<LMTP                received over LMTP
//	mx                     submitted on mx.example.net itself
//	-                      written by qmail's queue
func receivedField(hop string) string {
	if hop == "-" {
		return "(qmail 7 invoked from network)"
	}
	host, client, came := strings.Cut(hop, "<")
	by := " by " + full(host) + " (8.17.1/8.17.1) with ESMTP"
	name, addr, named := strings.Cut(client, "=")
	switch {
	case !came:
		return "(from root@localhost)" + by
	case client == "LMTP":
		return "from friend ([203.0.113.80]) by " + full(host) + " with LMTP"
	case !named:
		return "from mx.example.net ([" + client + "])" + by
	case name[0] == '?':
		return "from mx.example.net (" + full(name[1:]) + " [" + addr + "] (may be forged))" + by
	default:
		return "from mx.example.net (" + full(name) + " [" + addr + "])" + by
	}
}

func full(host string) string {
	if host == "localhost" || strings.Contains(host, ".") {
		return host
	}
	return host + ".example.net"
}

// The hop that counts, by the list of --trusted and the Received fields from the top. All clients say
// mx.example.net in HELO.
func TestHandOver(t *testing.T) {
	for _, test := range []struct{ trusted, mail, want string }{
		{"", "mx<203.0.113.9", "mx<203.0.113.9"},
		{"", "mx<203.0.113.9 mx<203.0.113.80", "mx<203.0.113.9"},                  // the rest may be forged
		{"", "mx<203.0.113.9 out.example.org<203.0.113.80", "mx<203.0.113.9"},     // by anybody
		{"", "mx<127.0.0.1 mx<203.0.113.9", "mx<203.0.113.9"},                     // a filter on the host
		{"", "mx<127.0.0.1 localhost<127.0.0.1 mx<203.0.113.9", "mx<203.0.113.9"}, // amavis
		{"", "mx<127.0.0.1 localhost<203.0.113.9 mx<203.0.113.80", "localhost<203.0.113.9"},
		{ // another host's
			"", "mx<10.0.0.7 localhost<127.0.0.1 mx<203.0.113.9", "--trusted localhost,mx.example.net",
		},
		{"", "mx<LMTP mx<203.0.113.9", "mx<203.0.113.9"},
		{"", "- mx<203.0.113.9", "mx<203.0.113.9"},
		{"", "mx - mx<203.0.113.9", "mx<203.0.113.9"}, // sent once more by a program on the host
		{"", "mx<mx=203.0.113.9 mx<203.0.113.80", "mx<203.0.113.80"},
		{"", "mx<?mx=203.0.113.9 mx<203.0.113.80", "mx<203.0.113.9"},
		{"", "mx<a.example.org=203.0.113.9 mx<203.0.113.80", "mx<203.0.113.9"},
		{"", "store<LMTP mx<203.0.113.9", "--trusted mx.example.net"},
		{"", "store<10.0.0.7 mx<203.0.113.9", "--trusted mx.example.net"},
		{"", "mx<10.0.0.7 laptop.example.org<127.0.0.1", "--trusted laptop.example.org"},
		{"", "mx<10.0.0.7", "mx<10.0.0.7"}, // handed in inside
		{"", "mx", "mx"},
		{"", "mx<127.0.0.1 mx", "mx"},
		{"", "", "none"},
		{"", "-", "none"},

		{"mx.example.net", "mx<203.0.113.9 mx<203.0.113.80", "mx<203.0.113.9"},
		{"mx.example.net", "store<10.0.0.7 mx<203.0.113.9", "mx<203.0.113.9"},
		{"mx.example.net", "pop.example.org<203.0.113.80 mx<203.0.113.9", "mx<203.0.113.9"}, // fetched
		{"mx.example.net", "pop.example.org<203.0.113.80", "none"},
		{"mx.example.net", "mx<10.0.0.7 laptop.example.org<127.0.0.1", "mx<10.0.0.7"},
		{"mx.example.net", "mx<127.0.0.1 localhost<127.0.0.1 mx<203.0.113.9", "mx<203.0.113.9"},
		{"store.example.net", "store<LMTP mx<203.0.113.9", "--trusted mx.example.net"},
		{"mx.example.net, STORE.example.net.", "store<LMTP mx<203.0.113.9", "mx<203.0.113.9"},
		{".example.net", "store<10.0.0.7 mx<203.0.113.9", "mx<203.0.113.9"},
		{".example.net", "mx<relay=192.0.2.7 relay<203.0.113.9", "relay<203.0.113.9"},
		{".example.net", "mx<192.0.2.7 relay<203.0.113.9", "mx<192.0.2.7"}, // its address has no name
		{".example.net,192.0.2.7", "mx<192.0.2.7 relay<203.0.113.9", "relay<203.0.113.9"},
		{".example.net,192.0.2.0/24", "mx<192.0.2.7 relay<203.0.113.9", "relay<203.0.113.9"},
		{".example.net,192.0.2.0/24", "mx<192.0.2.7 relay.example.org<203.0.113.9", "mx<192.0.2.7"},
		{"192.0.2.0/24", "mx<192.0.2.7 mx<203.0.113.9", "mx<203.0.113.9"}, // and the topmost host
		{"192.0.2.0/24", "mx<192.0.2.7 relay<203.0.113.9", "--trusted relay.example.net"},
	} {
		var fields []field
		for hop := range strings.FieldsSeq(test.mail) {
			fields = append(fields, field{"received", []byte(receivedField(hop))})
		}
		h, broken := newTrust(test.trusted).handOver(fields)
		got := strings.TrimSuffix(h.By, ".example.net")
		switch {
		case broken != nil && strings.HasPrefix(broken.Reason, "no Received"):
			got = "none"
		case broken != nil:
			got = broken.Text
		case h.Client.IsValid():
			got = fmt.Sprintf("%s<%s", got, h.Client)
		}
		if got != test.want {
			t.Errorf("--trusted %q, %s: %s (%v), want %s", test.trusted, test.mail, got, broken, test.want)
		}
	}
}

// A field of unknown form ends the walk: if its client is unknown, the field below cannot be believed.
func TestHandOverUnread(t *testing.T) {
	_, broken := newTrust("").handOver([]field{
		{"received", []byte("from friend by mx.example.net with ESMTP")},
		{"received", []byte(receivedField("mx<203.0.113.9"))},
	})
	if broken == nil || broken.Form() != "from <name> by <name> with ESMTP" {
		t.Error(broken)
	}
}

// A HELO that names another host is no reason to go on to the fields of the same client.
func TestHandOverUnclear(t *testing.T) {
	for _, helo := range []string{
		"x by mx.example.org", "x by simscan 1.4.0", "x by mx with qmail-scanner-1", "localhost (localhost) by y",
	} {
		_, broken := newTrust("mx.example.net").handOver([]field{
			{"received", []byte("from " + helo + " ([203.0.113.9]) by mx.example.net with ESMTP")},
			{"received", []byte(receivedField("mx<198.51.100.1"))},
		})
		if broken == nil || !strings.HasPrefix(broken.Reason, "unknown form") {
			t.Errorf("%s: %v", helo, broken)
		}
	}
}

// The fields of content filters behind qmail, which have another name for the host, or none.
func TestHandOverFilters(t *testing.T) {
	for _, filter := range []string{
		"by simscan 1.4.0 ppid: 3333, pid: 3432, t: 0.1100s scanners: regex: 1.1.0 clamav: 0.97/m:53",
		"from a@example.org by mx with qmail-scanner-0.93 (uvscan: v4.0.70/v4074. . Clean.); 22/05/2026 06:00:01",
		"from a@example.org by mx by uid 502 with qmail-scanner-1.20 (f-prot: 4.2.0.)",
		"from 198.51.100.1 by mx (envelope-from <a@example.org>, uid 201) with qmail-scanner-1.25st (Clear:.)",
	} {
		h, broken := newTrust("").handOver([]field{
			{"received", []byte(receivedField("-"))},
			{"received", []byte(filter)},
			{"received", []byte(receivedField("mx<203.0.113.9"))},
			{"received", []byte(receivedField("mx<198.51.100.1"))},
		})
		if broken != nil || h.Client.String() != "203.0.113.9" {
			t.Errorf("%s: %s, %v", filter, h.Client, broken)
		}
	}
}
