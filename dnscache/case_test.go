package dnscache

import (
	"net"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestCaseRandomizationText(t *testing.T) {
	for _, test := range []struct {
		text  CaseRandomization
		check string // an error for a configuration file
		build string // an error of New
	}{
		{"auto", "", ""},
		{"on", "", ""},
		{"off", "", ""},
		{"", `"" is none of auto, on, off`, ""}, // the zero value of Config
		{"On", `"On" is none of auto, on, off`, `case randomization: "On" is none of auto, on, off`},
	} {
		_, err := New(Config{Servers: []string{"192.0.2.53:53"}, CaseRandomization: test.text})
		check, build := errorText(test.text.Check()), errorText(err)
		if check != test.check || build != test.build {
			t.Errorf("%q: Check says %q, want %q; New says %q, want %q",
				test.text, check, test.check, build, test.build)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestCaseRandomizationByServer(t *testing.T) {
	for _, test := range []struct {
		network, addr string
		auto, on, off bool
	}{
		{"udp", "192.0.2.53:53", true, true, false},
		{"udp", "[2001:db8::53]:53", true, true, false},
		{"udp", "127.0.0.53:53", false, true, false}, // systemd-resolved
		{"udp", "[::1]:53", false, true, false},
		{"tcp", "192.0.2.53:53", false, false, false}, // TLS too
	} {
		var addr net.Addr
		var err error
		if test.network == "udp" {
			addr, err = net.ResolveUDPAddr("udp", test.addr)
		} else {
			addr, err = net.ResolveTCPAddr("tcp", test.addr)
		}
		if err != nil {
			t.Fatal(err)
		}
		auto, on, off := CaseAuto.mixes(addr), CaseOn.mixes(addr), CaseOff.mixes(addr)
		if auto != test.auto || on != test.on || off != test.off {
			t.Errorf("%s %s: got %v, %v, %v", test.network, test.addr, auto, on, off)
		}
	}
}

// Each letter occurs in both cases, and nothing but letters changes.
func TestMixCase(t *testing.T) {
	const name = `az-09._@[\096\123\200.xn--e1afmkfd.example.`
	query := question{name, dns.TypeA}.query(true)
	unmixed, err := query.Pack()
	if err != nil {
		t.Fatal(err)
	}
	nameEnd := headerSize + len(sentName(t, query))
	lower, upper := make([]bool, len(unmixed)), make([]bool, len(unmixed))
	for range 100 {
		sent, err := pack(query, true)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range sent.packet {
			if c == unmixed[i] {
				lower[i] = true
			} else if upper[i] = true; c != unmixed[i]^0x20 {
				t.Fatalf("octet %d was %q and came out as %q", i, unmixed[i], c)
			}
		}
	}
	for i, c := range unmixed {
		letter := i >= headerSize && i < nameEnd && 'a' <= c && c <= 'z'
		if !lower[i] || upper[i] != letter {
			t.Errorf("octet %d, %q: as it was %v, in the other case %v", i, c, lower[i], upper[i])
		}
	}
	if query.Question[0].Name != name {
		t.Errorf("the query was modified: %s", query.Question[0].Name)
	}
}

func sentName(t *testing.T, query *dns.Msg) []byte {
	t.Helper()
	sent, err := pack(query, false)
	if err != nil {
		t.Fatal(err)
	}
	return sent.name
}

// Names that are compressed to the name of the question do not have its random case.
func TestReplyHasPlainCase(t *testing.T) {
	query := question{"mail.example.org.", dns.TypeMX}.query(true)
	for range 10 {
		sent, err := pack(query, true)
		if err != nil {
			t.Fatal(err)
		}
		asked := new(dns.Msg)
		if err := asked.Unpack(sent.packet); err != nil {
			t.Fatal(err)
		}
		name := asked.Question[0].Name
		domain := name[strings.IndexByte(name, '.'):]
		m := response(t, asked, dns.RcodeSuccess, name+" MX 10 MX"+domain)
		m.Compress = true
		packet, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		reply, err := sent.reply(packet)
		if err != nil || reply == nil {
			t.Fatalf("got %v, %v", reply, err)
		}
		if got := reply.Answer[0].(*dns.MX).Mx; got != "MX.example.org." {
			t.Errorf("got %s", got)
		}
	}
}
