package dnscache

import (
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
		server   string
		auto, on bool
	}{
		{"192.0.2.53:53", true, true},
		{"[2001:db8::53]:53", true, true},
		{"[fe80::53%eth0]:53", true, true},
		{"dns.example.net:53", true, true},
		{"127.0.0.53:53", false, true}, // systemd-resolved
		{"[::1]:53", false, true},
		{"[::ffff:127.0.0.1]:53", false, true},
		{"0.0.0.0:53", false, true},
		{"[::]:53", false, true},
		{"localhost:53", false, true},
		{"tls://192.0.2.53:853", false, false},
	} {
		auto, on := CaseAuto.mixes(test.server), CaseOn.mixes(test.server)
		if auto != test.auto || on != test.on || CaseOff.mixes(test.server) {
			t.Errorf("%s: got auto %v, on %v, off %v", test.server, auto, on, CaseOff.mixes(test.server))
		}
	}
}

// Each letter occurs in both cases, and nothing but letters changes.
func TestMixCase(t *testing.T) {
	const name = `az-09._@[\096\123\200\..xn--e1afmkfd.example.`
	lower, upper := make([]bool, len(name)), make([]bool, len(name))
	for range 100 {
		mixed := mixCase(name)
		for i := range len(name) {
			if mixed[i] == name[i] {
				lower[i] = true
			} else if upper[i] = true; mixed[i] != name[i]^0x20 {
				t.Fatalf("octet %d was %q and came out as %q", i, name[i], mixed[i])
			}
		}
	}
	for i, c := range []byte(name) {
		if letter := 'a' <= c && c <= 'z'; !lower[i] || upper[i] != letter {
			t.Errorf("octet %d, %q: as it was %v, in the other case %v", i, c, lower[i], upper[i])
		}
	}
}

// The name is lower case on the wire, and nothing but letters changes: the bytes of no other alphabet.
func TestPackPlain(t *testing.T) {
	sent, err := pack(question{`Az[\200\195\132.EXAMPLE.`, dns.TypeA}.query(true))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(sent.plain), "\x06az[\xc8\xc3\x84\x07example\x00"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Names that are compressed to the name of the question do not have its random case.
func TestReplyHasPlainCase(t *testing.T) {
	for range 10 {
		query := question{mixCase("mail.example.org."), dns.TypeMX}.query(true)
		sent, err := pack(query)
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
