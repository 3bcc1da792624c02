package milter

import (
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	gomilter "github.com/d--j/go-milter"

	"helo-milter/milter/door"
	"helo-milter/milter/gate"
)

// What the library sees of what an MTA sends, where {auth_type}, i and j are read and the field X-Ours.
var readFrames = []struct{ script, want string }{
	// Macros: as they are, in their order, whatever the stage.
	{"DCj~mx~{v}~Postfix~ | Cmx~U", "DCj~mx~ | Cmx~U"},
	{"DC{v}~Postfix~j~mx~j~my~ | Cmx~U", "DCj~mx~j~my~ | Cmx~U"},
	{"DHj~mx~i~1 | Hmx~", "DHj~mx~i~1 | Hmx~"}, // the last NUL may be missing
	{"DM{v}~j~{auth_type} | Ma~", "DM{auth_type} | Ma~"},
	{"DM{v}~j~i~ | Ma~", "DMi~ | Ma~"},
	{"DM{v}~j~i~~ | Ma~", "DMi~~ | Ma~"},
	{"DM~~~~i~ | Ma~", "DMi~ | Ma~"},
	{"DM{v}~i | Ma~", "Ma~"}, // it is a value
	{"D!j~mx~{v}~8~", "D!j~mx~"},

	// Frames without any go, unless they have the library drop others.
	{"DH{tls_version}~TLSv1.3~ | Hmx~ | DM | Ma~ | DE~ | E", "Hmx~ | Ma~ | E"},
	{"DMi~1~ | Ma~ | DR{v}~8~ | Rb~ | DEi~1~ | E", "DMi~1~ | Ma~ | Rb~ | DEi~1~ | E"},
	{"DMi~1~ | Ma~ | A | DM{v}~8~ | Ma~", "DMi~1~ | Ma~ | A | Ma~"},
	{"DMi~1~ | Ma~ | DM{v}~8~ | Ma~", "DMi~1~ | Ma~ | DM | Ma~"},
	{"DMi~1~ | Ma~ | DC{v}~8~ | Cmx~U", "DMi~1~ | Ma~ | DC | Cmx~U"},
	{"DHi~1~ | Hmx~ | DM{v}~8~ | Ma~ | A | DH{v}~8~ | Hmx~", "DHi~1~ | Hmx~ | Ma~ | A | Hmx~"},
	{"DCi~1~ | Cmx~U | A | DC{v}~8~ | Cmx~U", "DCi~1~ | Cmx~U | A | DC | Cmx~U"},
	{"DCi~1~ | Cmx~U | K | DC{v}~8~ | Cmx~U", "DCi~1~ | Cmx~U | K | Cmx~U"},
	{"DEi~1~ | E | DR{v}~8~ | Rb~", "DEi~1~ | E | Rb~"},
	{"DHi~1~ | Hmx~ | E | DH{v}~8~ | Hmx~", "DHi~1~ | Hmx~ | E | DH | Hmx~"},
	{"DUi~1~ | DL{v}~8~ | Q", "DUi~1~ | DL | Q"},

	// Header fields and parameters.
	{"Rb~ | LSubject~hi~ | LX-Ours~a~ | Lx-ours ~b~ | LX-Our~~ | E", "Rb~ | LX-Ours~a~ | Lx-ours ~b~ | E"},
	{"LSubject~hi~x~ | LX-Ours~a~x~", "LX-Ours~a~"},
	{"DLi~1~ | LSubject~hi~ | LSubject~hi~", "DLi~1~ | LSubject~hi~"},        // it drops the macro
	{"B{9} | LSubject~hi~ | LSubject~hi~", "B{9} | LSubject~hi~"},            // the message begins anew
	{"Ma~SIZE=7~BODY=8BITMIME~ | Rb~NOTIFY=NEVER~ | Rc~", "Ma~ | Rb~ | Rc~"}, // nobody reads them
	{"LSubject", "!header"},
	{"DM" + strings.Repeat("~", 1025), "!strings"},
}

func TestGuardReads(t *testing.T) {
	for _, tt := range readFrames {
		got, err := passed(tt.script, true)
		want, ok := "", true
		if kind, violated := strings.CutPrefix(tt.want, "!"); violated {
			ok = err == errViolation(kind)
		} else {
			want, ok = stream(tt.want), err == nil
		}
		if got != want || !ok {
			t.Errorf("%.200s\n got %q, %v\nwant %q", tt.script, got, err, want)
		}
	}
	const answered = "Rb~ | LSubject~hi~"
	if got, err := passed(answered, false); got != stream(answered) || err != nil {
		t.Errorf("%s, answered: passed %q, %v", answered, got, err)
	}
}

// passed is what comes through a guard after the negotiation, in which the milter may have said that it
// answers no header fields.
func passed(script string, quiet bool) (string, error) {
	guard := newGuard(gate.Limits{})
	guard.read([]string{"{auth_type}", "i"}, "X-Ours")
	guard.read([]string{"j"})
	optneg := stream("O6")
	conn := newGuardConn(&scripted{stream: []byte(optneg + stream(script)), piece: 50}, guard)
	if quiet {
		_, _ = conn.Write([]byte("\x00\x00\x00\x0dO"))
		_, _ = conn.Write([]byte("\x00\x00\x00\x06\x00\x00\x00\x11\x00\x00\x00\x80"))
	}
	got, err := io.ReadAll(conn)
	return strings.TrimPrefix(string(got), optneg), err
}

// stream encodes a script, see frames.
func stream(script string) string {
	var all []byte
	for item := range strings.SplitSeq(script, " | ") {
		all = append(all, frames(item)...)
	}
	return string(all)
}

// A session looks at no macro that the guard leaves out, nor at a header field: not even after a reload in
// the middle of it.
func TestSessionReads(t *testing.T) {
	server, address := startServer(t, func(c *door.Config) { c.Header = "X-Old" })
	seen := macros{asked: map[string]bool{}}
	s := &session{server: server}
	_ = s.NewConnection(seen)
	_, _ = s.Connect("", "tcp4", 0, "203.0.113.1", seen)
	_, _ = s.Helo("mail.example.org", seen)
	_, _ = s.MailFrom("a@example.org", "", seen)
	_, _ = s.RcptTo("b@example.net", "", seen)
	_, _ = s.EndOfMessage(seen)
	s.Cleanup(seen)
	want := slices.Sorted(slices.Values(macrosRead))
	if got := slices.Sorted(maps.Keys(seen.asked)); !slices.Equal(got, want) {
		t.Errorf("sessions look at %q, the guard passes %q", got, want)
	}

	mta := connect(t, address, nil)
	_ = mta.play("C 203.0.113.1 | H mail.example.org | M | R")
	next := *server.config.Load()
	next.Header = "X-New"
	server.Configure(&next)
	if got := mta.play("X X-Old: a | X X-New: a | ."); got != "1:deleted 0:accept,mail.example.org,none" {
		t.Errorf("after a reload: %s", got)
	}
	_ = mta.Close()
}

// macros is what a session gets to see in its callbacks, and notes what it asks for.
type macros struct {
	gomilter.Modifier
	asked map[string]bool
}

func (m macros) Get(name string) string {
	m.asked[name] = true
	return ""
}

func (macros) Protocol() gomilter.OptProtocol { return 0 }
func (macros) Actions() gomilter.OptAction    { return 0 }
