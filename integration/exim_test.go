package integration

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

// Exim has the features that the table in examples/README.md says, and no others of it.
func TestEximFeatures(t *testing.T) {
	t.Parallel()
	server := rig.Start(t, "Exim", rig.StartSink(t), "", anyHelo["Exim"], "SMTPUTF8")
	client := netip.MustParseAddr(good)
	const script = "EHLO mail.example.org|EHLO mail.example.org <b>|QUIT"
	replies := rig.Talk(t, client, server.Endpoint(client), script, "")
	if got := codes(replies); got != "220 250 250 221" {
		t.Errorf("codes %s\n%+v", got, replies)
	}
	for _, keyword := range []string{"XCLIENT", "SMTPUTF8", "CHUNKING"} {
		lacks := variant{mta: "Exim"}.unsupported(keyword+" ") != ""
		if has := strings.Contains(replies[1].Text, keyword); has == lacks {
			t.Errorf("%s: %t in\n%s", keyword, has, replies[1].Text)
		}
	}
}

// policyPeer is in place of the policy service. It answers DUNNO, and at the state where it hangs, nothing.
type policyPeer struct {
	socket   string
	requests atomic.Int32 // after the first one that it did not answer
	seen     atomic.Pointer[string]
}

// startPolicyPeer starts one on a unix socket or on TCP. It hangs until the test is over.
func startPolicyPeer(t *testing.T, network, hangsAt string) *policyPeer {
	t.Helper()
	address := filepath.Join(socketDir(t), "policy")
	if network == "inet" {
		address = "127.0.0.1:0"
	}
	listener, err := net.Listen(strings.Replace(network, "inet", "tcp", 1), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	_ = os.Chmod(address, 0o666) // for Exim's user
	p := &policyPeer{socket: "policy:" + network + ":" + listener.Addr().String()}
	p.seen.Store(new(string))
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(t, conn, hangsAt)
		}
	}()
	return p
}

// socketDir makes a directory that every user may search.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "policy-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// serve answers one request, which ends with the peer's end of file.
func (p *policyPeer) serve(t *testing.T, conn net.Conn, hangsAt string) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(rig.WaitTimeout))
	text, err := io.ReadAll(conn)
	if err != nil {
		return
	}
	request := string(text)
	all := *p.seen.Load() + request
	p.seen.Store(&all)
	if p.requests.Load() > 0 || hangsAt != "" && strings.Contains(request, "protocol_state="+hangsAt+"\n") {
		p.requests.Add(1)
		<-t.Context().Done()
		return
	}
	_, _ = io.WriteString(conn, "action=DUNNO\n\n")
}

// eximTimeout is a shorter wait for an answer than that of examples/exim.
const eximTimeout = "HELO_MILTER_TIMEOUT == 2s"

// Without an answer, be it that the service is down or that it hangs, mail goes on: the client waits once for at most
// the timeout, and Exim's log says so once.
func TestEximDown(t *testing.T) {
	for _, how := range []string{
		"down unix", "down inet", "hangs unix CONNECT", "hangs inet HELO", "hangs unix MAIL", "hangs unix RCPT",
		"hangs inet DATA", "hangs unix QUIT",
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			words := append(strings.Fields(how), "")
			down := words[0] == "down"
			socket := rig.NewMilter(t, "policy:"+words[1], "").Socket
			var peer *policyPeer
			if !down {
				peer = startPolicyPeer(t, words[1], words[2])
				socket = peer.socket
			}
			sink := rig.StartSink(t)
			server := rig.Start(t, "Exim", sink, "", rig.EximPolicy(socket, eximTimeout))
			client := netip.MustParseAddr(good)
			says := strings.Replace(toNet, "|DATA", "|RCPT TO:<second@example.net>|DATA", 1)
			replies := rig.Talk(t, client, server.Endpoint(client), greeting+says, judged+"\n"+rig.Message)
			log := server.Session(t)
			if got := codes(replies); got != "220 250 250 250 250 354 250 221" {
				t.Errorf("codes %s\n%+v\n%s", got, replies, log)
			}
			var took time.Duration
			for _, reply := range replies {
				took += reply.Took
			}
			if took > 4*3*time.Second || down && took > 4*time.Second {
				t.Errorf("the session took %v: %+v", took, replies)
			}
			if strings.Count(log, "no answer from helo-milter") != 1 {
				t.Errorf("log:\n%s", log)
			}
			if peer != nil && peer.requests.Load() != 1 {
				t.Errorf("%d requests were not answered", peer.requests.Load())
			}
			if text := sink.Wait(t, 1)[0].Text; strings.Contains(text, "X-HELO-Check") {
				t.Errorf("a forged header was delivered:\n%s", text)
			}
		})
	}
}

// eximRestart is for examples/README.md.
const eximRestart = "is judged: each question has all that is known"

// Each question comes on a connection of its own, so a restart within a session is noticed only if a question comes
// meanwhile.
func TestEximRestart(t *testing.T) {
	t.Parallel()
	milter, sink := rig.StartMilter(t, "policy:unix", ""), rig.StartSink(t)
	server := rig.Start(t, "Exim", sink, milter.Socket)
	client := netip.MustParseAddr(good)
	c := rig.Dial(t, client, server.Endpoint(client))
	defer c.Close()
	const message = "|MAIL FROM:<%@example.org>|RCPT TO:<reader@example.net>|DATA"
	c.Say("EHLO mail.example.org|MAIL FROM:<one@example.org>|RCPT TO:<reader@example.net>", "")
	milter.Kill()
	milter.Start(t)
	c.Say("DATA"+strings.Replace(message, "%", "two", 1)+"|QUIT", rig.Message)
	if got := arrivals(sink.Wait(t, 2)); got != "one two" {
		t.Errorf("%s\n%s", got, server.Session(t))
	}
	for _, mail := range sink.Mails() {
		s := &session{T: t, client: client, replies: c.Replies}
		s.checkHeader(mail, parseOutcome("accept pass only"))
	}
}

// What a client says cannot become a line of a request, whatever control characters are in it.
func TestEximRequest(t *testing.T) {
	t.Parallel()
	peer := startPolicyPeer(t, "unix", "")
	server := rig.Start(t, "Exim", rig.StartSink(t), peer.socket, anyHelo["Exim"], "strict_acl_vars = true")
	client := netip.MustParseAddr(good)
	rig.Talk(t, client, server.Endpoint(client), "EHLO a\x01b\rclient_address=127.0.0.1|"+
		"MAIL FROM:<\"a\\\rsasl_username=b\\nc\"@example.org>|RCPT TO:<\"d\\\x0be\"@example.net>|QUIT", "")
	server.Session(t)
	requests := *peer.seen.Load()
	for _, want := range []string{
		"\nhelo_name=a?b?client_address=127.0.0.1\n", "\nsender=\"a\\?sasl_username=b\\nc\"@example.org\n",
		"\nclient_name=mail.example.org\n", "\nserver_name=mx.example.net\n",
		fmt.Sprintf("\nclient_address=%s\nclient_port=", client), "protocol_state=QUIT\n",
	} {
		if !strings.Contains(requests, want) {
			t.Errorf("%q is not in %q", want, requests)
		}
	}
	if strings.ContainsAny(requests, "\r\x01\x0b") {
		t.Errorf("%q", requests)
	}
}

// Debian's two kinds of configuration, with the files of examples/exim where their heads say.
func TestEximDebian(t *testing.T) {
	for _, split := range []bool{true, false} {
		t.Run(fmt.Sprintf("split=%t", split), func(t *testing.T) {
			t.Parallel()
			milter := rig.StartMilter(t, "policy:unix", "mode = \"enforce\"\nprofile = \"standard\"\n")
			sink := rig.StartSink(t)
			here := strings.NewReplacer("/run/helo-milter/policy.sock", strings.TrimPrefix(milter.Socket, "policy:unix:"),
				"/etc/exim4", "{etc}")
			server := rig.StartDebianExim(t, sink, split, func(etc *rig.DebianExim) {
				main, acl := here.Replace(example(t, "exim/debian/main")), example(t, "exim/acl")
				etc.Write("helo-milter.rcpt", example(t, "exim/debian/rcpt"))
				etc.Write("helo-milter.data", example(t, "exim/debian/data"))
				if split {
					etc.Write("conf.d/main/000_helo-milter", main)
					etc.Write("conf.d/acl/60_helo-milter", acl)
					return
				}
				etc.Write("exim4.conf.localmacros", etc.Read("exim4.conf.localmacros")+main)
				etc.Write("exim4.conf.template", strings.Replace(etc.Read("exim4.conf.template"), "begin acl\n", "begin acl\n"+acl, 1))
			})
			for _, tt := range []struct{ client, says, result string }{
				{good, greeting, judged},
				{good, "EHLO mx.example.net", "550"},
				{good, "EHLO mx.example.net|EHLO mail.example.org", "550"},
				{"127.0.0.1", "EHLO friend", "X-HELO-Check: forged"}, // a host that it relays for
			} {
				sink.Reset()
				got := ""
				if code := deliver(t, server, "25", tt.client, tt.says, "X-HELO-Check: forged;\n"+rig.Message); code != 250 {
					got = fmt.Sprint(code)
				} else {
					got = fields(sink.Wait(t, 1)[0], "X-HELO-Check")
				}
				if got != tt.result {
					t.Errorf("%s %s: got %q, want %q\n%s\n%s", tt.client, tt.says, got, tt.result, server.Log(), milter.Log())
				}
			}
		})
	}
}
