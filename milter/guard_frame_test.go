package milter

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"helo-milter/milter/gate"
)

func TestGuardFrames(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			var log transcript
			ln := listen(t, network)
			serve(t, guarded(ln, gate.Limits{OnViolation: log.violation}), witness{transcript: &log})
			for _, tt := range guardFrames {
				conn := dial(t, ln)
				go func() {
					speak(conn, tt.script)
					_ = conn.(interface{ CloseWrite() error }).CloseWrite()
				}()
				_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
				_, err := io.Copy(io.Discard, conn) // until the session has ended
				if err, ok := err.(net.Error); ok && err.Timeout() {
					t.Fatalf("%s: still open", tt.script)
				}
				if got := strings.Join(log.take(), " "); got != tt.want {
					t.Errorf("%.80s\n got %s\nwant %s", tt.script, got, tt.want)
				}
			}
		})
	}
}

// Each line is played to one and the same server, which has to live on.
var guardFrames = []struct{ script, want string }{
	// A session of Postfix, two messages, and one of Sendmail.
	{
		"O6 | DCj~mx.example.org~ | C[192.0.2.7]~4--192.0.2.7~ | Hfriend~ |" +
			" M<a@example.org>~SIZE=7~BODY=8BITMIME~ | R<b@example.net>~ |" +
			" T | LSubject~hi~ | N | B{9} | E | A | A | M<>~ | A | Q",
		"connect([192.0.2.7],tcp4,192.0.2.7) helo(friend) mail(a@example.org,SIZE=7 BODY=8BITMIME)" +
			" rcpt(b@example.net,) header(7,2) body(9) eom mail(,)",
	},
	{
		"O6 | C[IPv6:2001:db8:0:0:0:0:0:7]~6--IPv6:2001:db8:0:0:0:0:0:7~ | Hmx.example.org~ | Q",
		"connect([IPv6:2001:db8:0:0:0:0:0:7],tcp6,2001:db8::7) helo(mx.example.org)",
	},
	{"O6 | Cone~U | K | Ctwo~U | UFOO~ | Q", "connect(one,unknown,) connect(two,unknown,) unknown(FOO)"},
	{"O6 | Hone~ | Htwo", "helo(one) helo(two)"}, // the NUL at the end may be missing
	{"Q", "!order"},

	// Frames that panic the library.
	{"=00000000", "!empty"},
	{"O6 | =00000000 | Q", "!empty"},
	{"O6 | Chost", "!connect"},
	{"O6 | Chost~", "!connect"}, // no family
	{"O6 | M<a@example.org>", "!envelope"},
	{"O6 | R<a@example.org>", "!envelope"},

	// Frames that it closes the connection for, or takes any amount of memory for.
	{"=20000000", "!size"},
	{"O6 | =1fffffff44", "!size"},
	{"O6 | Chost~4-", "!connect"}, // half a port
	{"O6 | C", "!connect"},
	{"O6 | H", "!helo"},
	{"O6 | M", "!envelope"},
	{"O6 | R", "!envelope"},
	{"O6 | D", "!macro"},
	{"O6 | Z | Hlost~", "!command"},
	{"O6 | ~", "!command"},
	{"Hfirst~", "!order"},
	{"=474554202f20485454502f312e310d0a", "!size"}, // "GET / HTTP/1.1"
	{"O6 | Hone~ | O6 | Htwo~", "helo(one) !order"},
	{"=0000000d4f 00000006 000001ff 001fff", "!truncated"},
	{"=0000000c4f 00000006 000001ff 001fff", "!optneg"},
	{"O1", "!version"},
	{"O0", "!version"},
	{"O7 | Hfuture~", "helo(future)"},
	{"O6 | =000000", "!truncated"},

	// Lengths count the code: 64 KiB, for headers and body 1 MiB, of which 64 KiB are passed on.
	{"O6 | H{65534}~ | DMj~{65532} | Q", "helo(" + strings.Repeat("x", 65534) + ")"},
	{"O6 | H{65535}~", "!size"},
	{"O6 | DM{65535}", "!size"},
	{"O6 | B{1048575} | Ln~{1048572}~ | Q", "body(65535) header(1,65532)"},
	{"O6 | B{1048576}", "!size"},
	{"O6 | Ln~{1048573}~", "!size"},

	// A client's address that is none makes the family unknown: the mail goes on.
	{"O6 | Cmx.example.org~4--192.0.2~ | Hh~", "connect(mx.example.org,unknown,) helo(h)"},
	{"O6 | Cmx.example.org~4--2001:db8::7~", "connect(mx.example.org,unknown,)"},
	{"O6 | Cmx.example.org~4--::ffff:192.0.2.7~", "connect(mx.example.org,tcp4,::ffff:192.0.2.7)"},
	{"O6 | Cmx.example.org~4--~", "connect(mx.example.org,unknown,)"},
	{"O6 | Cmx.example.org~6--~", "connect(mx.example.org,unknown,)"},
	{"O6 | Cmx.example.org~6--fe80::1%eth0~", "connect(mx.example.org,unknown,)"},
	{"O6 | Cmx.example.org~6--IPv6:IPv6:2001:db8::7~", "connect(mx.example.org,unknown,)"},
	{"O6 | Cmx.example.org~6--[]~", "connect(mx.example.org,unknown,)"},
	{"O6 | Cmx.example.org~6--[2001:db8::7]~", "connect(mx.example.org,tcp6,2001:db8::7)"},
	{"O6 | Cmx.example.org~6--IPv6:[2001:db8::7]~", "connect(mx.example.org,tcp6,2001:db8::7)"},
	{"O6 | Cmx.example.org~6--2001:db8::7", "connect(mx.example.org,tcp6,2001:db8::7)"},
	{"O6 | Cmx.example.org~6--192.0.2.7~", "connect(mx.example.org,tcp6,192.0.2.7)"},
	{"O6 | Clocalhost~L--/run/socket~", "connect(localhost,unix,/run/socket)"},
	{"O6 | Clocalhost~X", "connect(localhost,unknown,)"},
	{"O6 | C~~", "connect(,unknown,)"},

	// A header's value ends at its first NUL.
	{"O6 | LSubject~ab~cd~~ | Hnext~", "header(7,2) helo(next)"},
	{"O6 | LSubject~ab~~", "header(7,2)"},
	{"O6 | LSubject~ab", "header(7,2)"},
	{"O6 | LSubject~~", "header(7,0)"},
	{"O6 | LSubject~~~~~", "header(7,0)"},
	{"O6 | L~~", "header(0,0)"},
	{"O6 | L~a", "header(0,1)"},
	{"O6 | LSubject~", "!header"},
	{"O6 | LSubject", "!header"},
	{"O6 | L~", "!header"},
	{"O6 | L", "!header"},

	// Strings that the library splits.
	{"O6 | Rb" + strings.Repeat("~", 1024), "rcpt(b," + strings.Repeat(" ", 1022) + ")"},
	{"O6 | Mb" + strings.Repeat("~", 1025), "!strings"},
	{"O6 | DM" + strings.Repeat("~", 1025), "!strings"},
	{"O6 | LSubject" + strings.Repeat("~", 65000), "header(7,0)"},
	{"O6 | D! | DZ~ | DM~~~ | Hh~", "helo(h)"}, // macros for commands unknown, a name without value
}
