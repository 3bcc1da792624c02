package integration

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

// mtaExamples are files that a user copies into an MTA's configuration, each with a session and its result:
// the milters' header fields that the message arrives with, or the code of the refusal. X-Behind is the field
// of the other milter that the file has besides ours. The port "sendmail" is submission with sendmail(1).
var mtaExamples = []struct{ files, port, client, says, result string }{
	{"postfix/main.cf", "25", good, greeting, judged},
	{"postfix/main.cf", "25", "2001:db8::10", "EHLO mail6.example.org", judged6},
	{"postfix/main.cf", "sendmail", "", "", unjudged},
	{"postfix/main.cf, and no milter", "25", good, greeting, unjudged},
	{"postfix/tempfail.cf", "25", good, greeting, judged},
	{"postfix/tempfail.cf, and no milter", "25", good, greeting, "451"},

	{"postfix/main.cf postfix/master.cf", "25", good, greeting, judged},
	{"postfix/main.cf postfix/master.cf", "587", "203.0.113.30", sends, unjudged},
	{"postfix/main.cf postfix/master.cf", "465", "203.0.113.30", login, unjudged},
	{"postfix/main.cf postfix/master.cf", "10026", "127.0.0.1", "EHLO localhost", judged}, // the filter

	{"postfix/main.cf postfix/maps.cf postfix/helo-milter.cidr", "25", good, greeting, judged},
	{"postfix/main.cf postfix/maps.cf postfix/helo-milter.cidr", "25", "192.0.2.25", greeting, unjudged},
	{"postfix/main.cf postfix/maps.cf postfix/helo-milter.cidr", "25", "2001:db8:25::1", greeting, unjudged},

	{"postfix/master.cf docker-mailserver/user-patches.sh", "25", good, greeting, both},
	{"postfix/master.cf docker-mailserver/user-patches.sh", "587", "203.0.113.30", sends, behind},
	{"postfix/master.cf docker-mailserver/user-patches.sh", "465", "203.0.113.30", login + toOrg, behind},
	{"mailcow/extra.cf", "25", good, greeting, both},
	{"mailcow/extra.cf", "587", "203.0.113.30", sends, behind},
	{"mailu/postfix.cf", "25", good, greeting, both},
	{ // Mailu's front is a proxy that presents the client with XCLIENT
		"mailu/postfix.cf", "25", "127.0.0.1",
		"EHLO front.example.net|XCLIENT ADDR=203.0.113.10 NAME=mail.example.org|EHLO mail.example.org", both,
	},
	{
		"mailu/postfix.cf", "25", "127.0.0.1",
		"EHLO front.example.net|XCLIENT ADDR=203.0.113.30 LOGIN=someone|EHLO friend" + toOrg, behind,
	},

	{"sendmail/helo-milter.mc", "25", good, greeting, judged},
	{"sendmail/helo-milter.mc, and no milter", "25", good, greeting, unjudged},
	{"sendmail/tempfail.mc", "25", good, greeting, judged},
	{"sendmail/tempfail.mc, and no milter", "25", good, greeting, "451"},
	{"sendmail/helo-milter.mc sendmail/submission.mc", "25", good, greeting, judged},
	{"sendmail/helo-milter.mc sendmail/submission.mc", "587", "203.0.113.30", login, unjudged},
	{"sendmail/with-opendkim.mc", "25", good, greeting, both},
	{"sendmail/with-opendkim.mc", "587", "203.0.113.30", login, behind},
}

const (
	greeting = "EHLO mail.example.org"
	login    = "EHLO friend|AUTH PLAIN AHNvbWVvbmUAc2VjcmV0"
	sends    = "EHLO friend|STARTTLS|" + login + toOrg // a user who sends to another host
	toOrg    = "|MAIL FROM:<sender@example.net>|RCPT TO:<reader@example.org>|DATA|QUIT"
	judged   = "X-HELO-Check: accept; client=203.0.113.10"
	judged6  = "X-HELO-Check: accept; client=2001:db8::10"
	behind   = "X-Behind: exempt; client=203.0.113.30"
	both     = "X-Behind: accept; client=203.0.113.10, " + judged // the last milter inserts at the top
	unjudged = ""
)

// Each file does what examples/README.md says. Consecutive rows with the same files share an MTA.
func TestMTAExamples(t *testing.T) {
	for begin := 0; begin < len(mtaExamples); {
		names, end := mtaExamples[begin].files, begin
		for end < len(mtaExamples) && mtaExamples[end].files == names {
			end++
		}
		rows := mtaExamples[begin:end]
		begin = end
		t.Run(names, func(t *testing.T) {
			t.Parallel()
			network := "inet"
			if strings.HasPrefix(names, "sendmail/tempfail.mc") {
				network = "unix"
			}
			ours := rig.StartMilter(t, network, "")
			other := rig.StartMilter(t, "inet", "[header]\nname = \"X-Behind\"")
			files, down := strings.CutSuffix(names, ", and no milter")
			if down {
				ours.Stop(t)
			}
			sink := rig.StartSink(t)
			server := startExample(t, sink, strings.Fields(files), ours.Socket, other.Socket, other.Socket)
			for _, tt := range rows {
				t.Run(tt.port+" "+tt.client, func(t *testing.T) {
					if got := sendExample(t, server, sink, tt.port, tt.client, tt.says); got != tt.result {
						t.Errorf("got %q, want %q\n%s", got, tt.result, server.Session(t))
					}
				})
			}
		})
	}
}

// sendExample runs a session and returns its result as in mtaExamples.
func sendExample(t *testing.T, server rig.MTA, sink *rig.Sink, port, client, says string) string {
	t.Helper()
	message := rig.Message
	if port == "10026" {
		message = judged + ";\n" + message
	}
	server.ResetLog()
	sink.Reset()
	if port == "sendmail" {
		server.Submit(t, "sender@example.org", "reader@example.net", rig.Message)
	} else if code := deliver(t, server, port, client, says, message); code != 250 {
		return fmt.Sprint(code)
	}
	return fields(sink.Wait(t, 1)[0], "X-Behind", "X-HELO-Check")
}

// deliver sends a message from a client to a port and returns the code of the refusal or of the acceptance.
func deliver(t *testing.T, server rig.MTA, port, client, says, message string) int {
	t.Helper()
	addr := netip.MustParseAddr(client)
	host, _, _ := net.SplitHostPort(server.Endpoint(addr))
	if !strings.Contains(says, "RCPT TO:") {
		says += toNet
	}
	return rig.Result(rig.Talk(t, addr, net.JoinHostPort(host, port), says, message))
}

// unitSocket is the path of systemd's socket unit.
const unitSocket = "/run/helo-milter.sock"

// fields returns a message's header fields of these names from the top: the name, and the first two parts of
// the value.
func fields(mail rig.Mail, names ...string) string {
	var found []string
	for _, h := range mail.Headers() {
		if slices.Contains(names, h.Name) {
			parts := strings.SplitN(h.Value, ";", 3)
			found = append(found, h.Name+": "+strings.Join(parts[:2], ";"))
		}
	}
	return strings.Join(found, ", ")
}

// startExample starts the MTA that the files are for, with these sockets in place of the milters' that they
// name.
func startExample(t *testing.T, sink *rig.Sink, files []string, ours, other, dkim string) rig.MTA {
	t.Helper()
	if filepath.Ext(files[0]) != ".mc" {
		return startPostfixExample(t, sink, files, ours, other, dkim)
	}
	here := strings.NewReplacer(
		":8891@127.0.0.1", port(ours)+"@127.0.0.1", "local:"+unitSocket, rig.SendmailSocket(ours),
		"local:/run/opendkim/opendkim.sock", rig.SendmailSocket(dkim),
		"Port=smtp", "Port=smtp, Addr={mx}", "Port=submission", "Port=submission, Addr={mx}",
	)
	needs := []string{"AUTH"}
	for _, file := range files {
		needs = append(needs, here.Replace(example(t, file)))
	}
	return rig.StartDebianSendmail(t, sink, needs...)
}

// startPostfixExample applies the files to a Postfix that has the other milter already, as the container
// products do. As there, local mail is delivered by LMTP, and other mail by SMTP.
func startPostfixExample(t *testing.T, sink *rig.Sink, files []string, ours, other, dkim string) rig.MTA {
	t.Helper()
	change := func(p *rig.Postfix) {
		postconf(t, p, "postconf relay_transport=lmtp:inet:"+sink.Addr+
			" smtpd_relay_restrictions=permit_sasl_authenticated,reject_unauth_destination")
		appendTo(t, p.Conf("anonymize_headers.pcre"), "/^X-Originating-IP:/ IGNORE\n") // mailcow's
		addr := p.Addr.String()
		here := strings.NewReplacer(
			":8891", port(ours), ":11332", port(other), ":9900", port(other), "unix:opendkim/opendkim.sock", dkim,
			"/etc/postfix/", p.Conf("")+"/", "pcre:/opt/postfix/conf/", "regexp:"+p.Conf("")+"/",
			"127.0.0.1:10026 inet", addr+":10026 inet", "submission inet", addr+":587 inet",
			"submissions inet", addr+":465 inet", "submission/inet", addr+":587/inet",
			"submissions/inet", addr+":465/inet",
		)
		for _, file := range files {
			configurePostfix(t, p, file, here.Replace(example(t, file)))
		}
	}
	needs := []string{"AUTH", "STARTTLS"}
	if !slices.Contains(files, "postfix/master.cf") {
		needs = []string{"submission"}
	}
	return rig.StartPostfixAs(t, sink, change, append(needs, anyHelo["Postfix"],
		"rspamd_milter = "+other, "smtpd_milters = $rspamd_milter", "relayhost = "+sink.Addr)...)
}

// port returns the port of a socket, with the colon.
func port(socket string) string { return socket[strings.LastIndex(socket, ":"):] }

func example(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile("../examples/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// configurePostfix applies a file as its comments say, or as the container product does.
func configurePostfix(t *testing.T, p *rig.Postfix, file, text string) {
	t.Helper()
	switch name := filepath.Base(file); {
	case name == "user-patches.sh":
		postconf(t, p, text)
		postconf(t, p, text+`[ "$(postconf | grep -o helo-milter: | wc -l)" = 1 ]`)
	case file == "mailu/postfix.cf":
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "#") {
				postconf(t, p, fmt.Sprintf(`postconf -e "%s"`, strings.TrimSpace(line)))
			}
		}
	case name == "master.cf":
		rest, err := os.ReadFile(p.Conf(name))
		if err == nil { // the rig waits for the services at the end
			err = os.WriteFile(p.Conf(name), append([]byte(text), rest...), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	case filepath.Ext(name) == ".cf":
		appendTo(t, p.Conf("main.cf"), text)
	default:
		appendTo(t, p.Conf(name), text)
	}
}

// postconf runs a shell script that changes the configuration.
func postconf(t *testing.T, p *rig.Postfix, script string) {
	t.Helper()
	cmd := exec.Command("/bin/bash", "-c", script)
	cmd.Env = append(os.Environ(), "MAIL_CONFIG="+p.Conf(""))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

func appendTo(t *testing.T, name, text string) {
	t.Helper()
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err == nil {
		_, err = file.WriteString(text)
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A Postfix in a chroot reaches the socket.
func TestChroot(t *testing.T) {
	t.Parallel()
	sink := rig.StartSink(t)
	server := rig.StartPostfixAs(t, sink, func(p *rig.Postfix) {
		configurePostfix(t, p, "socket.cf", example(t, "postfix/socket.cf"))
		postconf(t, p, "postconf -F '*/inet/chroot=y'")
		if err := os.Mkdir(p.Queue("helo-milter"), 0o755); err != nil {
			t.Fatal(err)
		}
	})
	milter := rig.NewMilter(t, "unix", "")
	milter.Socket = "unix:" + server.Queue("helo-milter/milter.sock")
	milter.Configure(t, fmt.Sprintf("listen = [%q]\nsocket_mode = \"0666\"", milter.Socket))
	milter.Start(t)
	code := deliver(t, server, "25", good, greeting, rig.Message)
	if got := fields(sink.Wait(t, 1)[0], "X-HELO-Check"); got != judged || code != 250 {
		t.Errorf("%d, %q\n%s", code, got, server.Log())
	}
}

// One milter serves a Postfix and a Sendmail on other hosts, over IPv4 and IPv6, and no other peer. In the
// rig both connect from the milter's own address and from ::1.
func TestOtherHost(t *testing.T) {
	t.Parallel()
	const peers = `peers = ["192.0.2.25", "2001:db8::25"]`
	config := example(t, "other-host/helo-milter.toml")
	milter := rig.NewMilter(t, "unix", "")
	for _, tt := range []struct{ peers, result string }{
		{peers, unjudged}, {`peers = ["192.0.2.10", "::1"]`, judged},
	} {
		milter.Configure(t, "listen"+strings.Replace(strings.SplitN(config, "listen", 2)[1], peers, tt.peers, 1))
		milter.Socket = "inet:192.0.2.10:8891"
		milter.Start(t)
		for mta, file := range map[string]string{"Postfix": "main.cf", "Sendmail": "sendmail.mc"} {
			sink := rig.StartSink(t)
			server := rig.Start(t, mta, sink, "", example(t, "other-host/"+file))
			code := deliver(t, server, "25", good, greeting, rig.Message)
			if got := fields(sink.Wait(t, 1)[0], "X-HELO-Check"); got != tt.result || code != 250 {
				t.Errorf("%s, %s: %d, %q\n%s\n%s", mta, tt.peers, code, got, milter.Log(), server.Session(t))
			}
		}
		milter.Stop(t)
	}
}

// OpenDKIM behind us adds Authentication-Results with the same authserv-id, which stay; those that came with
// the message and claim this authserv-id are removed.
func TestBesideOpenDKIM(t *testing.T) {
	for _, file := range []string{"postfix/with-others.cf", "sendmail/with-opendkim.mc"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			ours := rig.StartMilter(t, "inet", withResults)
			sink := rig.StartSink(t)
			rspamd := rig.StartMilter(t, "inet", "[header]\nname = \"X-Behind\"") // in place of rspamd
			server := startExample(t, sink, []string{file}, ours.Socket, rspamd.Socket, rig.StartOpenDKIM(t))
			const forged = "Authentication-Results: mx.example.net; spf=pass smtp.mailfrom=forged\n"
			code := deliver(t, server, "25", good, greeting, forged+rig.Message)
			mail := sink.Wait(t, 1)[0]
			values, _ := results(mail)
			slices.Sort(values)
			want := []string{
				"mx.example.net; dkim=none; dkim-atps=neutral",
				"mx.example.net; iprev=pass policy.iprev=203.0.113.10 (mail.example.org)",
			}
			if code != 250 || !slices.Equal(values, want) {
				t.Errorf("%d, %q\n%s\n%s", code, values, mail.Text, server.Session(t))
			}
		})
	}
}
