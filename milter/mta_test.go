package milter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gomilter "github.com/d--j/go-milter"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
	"helo-milter/milter/door"
	"helo-milter/milter/gate"
)

const testZone = `
203.0.113.1       PTR   mail.example.org.
mail.example.org  A     203.0.113.1
2001:db8::1       PTR   six.example.org.
six.example.org   AAAA  2001:db8::1
203.0.113.4       TXT   "dnstest" "servfail" "PTR"
`

// testServer serves on a unix socket until the test ends.
func testServer(t *testing.T, change func(*door.Config)) (address string) {
	t.Helper()
	_, address = startServer(t, change)
	return address
}

func startServer(t *testing.T, change func(*door.Config)) (server *Server, address string) {
	t.Helper()
	cfg := &door.Config{
		Judge: &checks.Judge{
			Policy: checks.NewPolicy(checks.Standard),
			Exempt: &checks.Exemptions{Private: true, Authenticated: true},
		},
		DNS:    &checks.DNS{Resolver: checkstest.Parse(t, testZone), Timeout: time.Second},
		Header: "X-HELO-Check",
		Log:    slog.New(slog.DiscardHandler),
	}
	cfg.Policy.Mode = checks.Enforce
	if change != nil {
		change(cfg)
	}
	address = filepath.Join(t.TempDir(), "sock")
	ln, err := net.Listen("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	guard := guarded(ln, gate.Limits{})
	server = NewServer(cfg, guard)
	done := make(chan error)
	go func() { done <- server.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for guard.Connections() > 0 && ctx.Err() == nil { // what was sent before is to be read
			time.Sleep(time.Millisecond)
		}
		if err := errors.Join(server.Shutdown(ctx), <-done); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return server, address
}

// play plays a script of an MTA, items between " | ", and returns what came back for those that the
// milter answers: the code of a refusal with its rule, or what was done to the header.
//
//	C addr (or U: unknown)   H helo   M [from]   R [rcpt]   X name: value   . (end of message)   A (abort)
func play(t *testing.T, address, script string, macros map[string]string, opts ...gomilter.Option) string {
	t.Helper()
	m := connect(t, address, macros, opts...)
	defer m.Close()
	return m.play(script)
}

// mta is an MTA in a session.
type mta struct {
	*gomilter.ClientSession
	t      *testing.T
	data   bool
	header string // the last value that was put in
}

func connect(t *testing.T, address string, macros map[string]string, opts ...gomilter.Option) *mta {
	t.Helper()
	bag := gomilter.NewMacroBag()
	bag.Set(gomilter.MacroMTAFQDN, "mx.example.net")
	for name, value := range macros {
		bag.Set(name, value)
	}
	offer := gomilter.WithActions(gomilter.OptAddHeader | gomilter.OptChangeHeader | gomilter.OptSetMacros)
	opts = append([]gomilter.Option{offer}, opts...)
	s, err := gomilter.NewClient("unix", address, opts...).Session(bag)
	if err != nil {
		t.Fatal(err)
	}
	return &mta{ClientSession: s, t: t}
}

func (m *mta) play(script string) string {
	m.t.Helper()
	var replies []string
	for item := range strings.SplitSeq(script, " | ") {
		if inData := item[0] == 'X' || item[0] == '.'; inData && !m.data {
			if _, err := m.DataStart(); err != nil {
				m.t.Fatal(err)
			}
		}
		m.data = item[0] == 'X'
		reply, err := m.send(item)
		if err != nil {
			m.t.Fatalf("%s in %s: %v", item, script, err)
		}
		if reply != "" {
			replies = append(replies, reply)
		}
	}
	return strings.Join(replies, " | ")
}

func (m *mta) send(item string) (string, error) {
	command, arg, _ := strings.Cut(item, " ")
	var action *gomilter.Action
	var mods []gomilter.ModifyAction
	var err error
	switch command {
	case "C":
		action, err = m.Conn("client", family(arg), 4711, arg)
	case "H":
		action, err = m.Helo(arg)
	case "M":
		action, err = m.Mail(cmp.Or(arg, "a@example.org"), "")
	case "R":
		action, err = m.Rcpt(cmp.Or(arg, "b@example.net"), "")
	case "X":
		name, value, _ := strings.Cut(arg, ": ")
		action, err = m.HeaderField(name, value, nil)
	case "A":
		return "", m.Abort(nil)
	case ".":
		if _, err = m.HeaderEnd(); err == nil {
			_, err = m.BodyChunk([]byte("body"))
		}
		if err == nil {
			mods, action, err = m.End()
		}
	}
	if err != nil {
		return "", err
	}
	var did []string
	for _, mod := range mods {
		m.header = mod.HeaderValue
		did = append(did, fmt.Sprintf("%d:%s", mod.HeaderIndex, summary(mod.HeaderValue)))
	}
	if action.Type == gomilter.ActionRejectWithCode {
		fields := strings.Fields(action.SMTPReply)
		last := len(fields) - 1
		if fields[last-1] == "Id:" {
			last -= 2
		}
		did = append(did, fields[0]+" "+fields[1]+" "+fields[last])
	}
	return strings.Join(did, " "), nil
}

func family(addr string) gomilter.ProtoFamily {
	switch {
	case addr == "U":
		return gomilter.FamilyUnknown
	case strings.Contains(addr, ":"):
		return gomilter.FamilyInet6
	default:
		return gomilter.FamilyInet
	}
}

// summary is the wanted verdict, the HELO and the rules of a header value, and whether it is that of an
// error; of a deleted one, "deleted".
func summary(value string) string {
	if value == "" {
		return "deleted"
	}
	field := func(name string) string {
		_, rest, _ := strings.Cut(value, name+"=")
		v, _, _ := strings.Cut(rest, ";")
		return v
	}
	want, _, _ := strings.Cut(value, ";")
	rules := field("rules")
	if field("unsure") == "internal" {
		rules += " ?internal"
	}
	return want + "," + field("helo") + "," + rules
}
