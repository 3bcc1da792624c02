package integration

import (
	"cmp"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

// The letter goes through a real sendmail(1) into a mailbox: by Postfix into a Maildir of its own host, and by
// Sendmail to the next hop. There it is a message of a text and the page, from the user that sent it.
func TestReportMail(t *testing.T) {
	for _, mta := range rig.MTAs {
		t.Run(mta, func(t *testing.T) {
			t.Parallel()
			milter := rig.StartMilter(t, "unix", decisionLog)
			server, letters := startLetterbox(t, mta, milter.Socket)
			client := netip.MustParseAddr("203.0.113.20")
			rig.Talk(t, client, server.Endpoint(client), "EHLO 203.0.113.20"+toNet, rig.Message)
			milter.Stop(t) // the decision is written
			log, script := filepath.Join(milter.Dir, "decisions"), filepath.Join(milter.Dir, "sendmail")
			command := "#!/bin/sh\nexec " + strings.Join(server.Sendmail(), " ") + ` "$@"`
			if err := os.WriteFile(script, []byte(command), 0o700); err != nil {
				t.Fatal(err)
			}
			page, _ := rig.RunMilter(t, "report", "--html", log)
			if out, exit := rig.RunMilter(t, "report", "--mail=postmaster@example.com", "--sendmail="+script, log); exit != 0 ||
				out != "" {
				t.Fatalf("exit %d: %s", exit, out)
			}
			checkLetter(t, letters(t), page)
		})
	}
}

// startLetterbox starts an MTA, and returns a function that waits for the message to postmaster@example.com.
func startLetterbox(t *testing.T, mta, socket string) (server rig.MTA, letters func(*testing.T) string) {
	sink := rig.StartSink(t)
	if mta == "Sendmail" {
		return rig.Start(t, mta, sink, socket, anyHelo[mta]), func(t *testing.T) string { return sink.Wait(t, 2)[1].Text }
	}
	dir := ""
	server = rig.StartPostfixAs(t, sink, func(p *rig.Postfix) {
		const nobody = 65534
		dir = filepath.Join(filepath.Dir(p.Conf("")), "letters")
		if err := cmp.Or(os.Mkdir(dir, 0o700), os.Chown(dir, nobody, nobody)); err != nil {
			t.Fatal(err)
		}
		appendTo(t, p.Conf("main.cf"), "virtual_mailbox_base = "+dir+"\n")
		appendTo(t, p.Conf("master.cf"), "virtual unix - n n - - virtual\n")
	}, rig.PostfixMilter(socket), anyHelo[mta], "relay_domains = example.net", "virtual_mailbox_domains = example.com",
		"virtual_mailbox_maps = static:new/", "virtual_uid_maps = static:65534", "virtual_gid_maps = static:65534")
	return server, func(t *testing.T) (text string) {
		rig.Eventually(t, func() error {
			files, err := filepath.Glob(filepath.Join(dir, "new", "new", "*"))
			if err != nil || len(files) != 1 {
				return cmp.Or(err, errors.New("no letter yet:\n"+server.Log()))
			}
			bytes, err := os.ReadFile(files[0])
			text = string(bytes)
			return err
		})
		return text
	}
}

// checkLetter checks a message as it was delivered.
func checkLetter(t *testing.T, raw, page string) {
	t.Helper()
	msg, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	from, err := msg.Header.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Address != "root@mx.example.net" {
		t.Errorf("from %v (%v)", from, err)
	}
	for field, want := range map[string]string{
		"To": "postmaster@example.com", "Auto-Submitted": "auto-generated", "Subject": "helo-milter on mx.example.net, ",
		"Message-Id": "<", "Date": "",
	} {
		if got := msg.Header[field]; len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%s: %q", field, got)
		}
	}
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(msg.Body, params["boundary"])
	const said = "The milter judged 1 transaction from 1 client. It would have refused 1 of"
	for _, want := range []struct{ kind, text string }{
		{"text/plain; charset=utf-8", said}, {"text/html; charset=utf-8", page},
	} {
		part, err := parts.NextRawPart()
		if err != nil {
			t.Fatalf("%v\n%s", err, raw)
		}
		bytes, err := io.ReadAll(quotedprintable.NewReader(part))
		text := strings.ReplaceAll(string(bytes), "\r\n", "\n")
		if err != nil || part.Header.Get("Content-Type") != want.kind || !strings.Contains(text, want.text) {
			t.Errorf("%v %s: %s\nwant %s", err, part.Header, text, want.text)
		}
	}
	if _, err := parts.NextRawPart(); !errors.Is(err, io.EOF) {
		t.Errorf("another part: %v", err)
	}
}
