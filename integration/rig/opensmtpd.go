package rig

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// opensmtpdTree is where integration/run unpacks Debian's package: it cannot be installed beside Postfix.
const (
	opensmtpdTree = "/var/cache/helo-milter-rig/opensmtpd"
	smtpd         = opensmtpdTree + "/usr/sbin/smtpd"
	smtpdUser     = "opensmtpd" // runs filters, too
	smtpdQueue    = "opensmtpq"
)

// OpenSMTPD is a running instance of its own: configuration, queue, log and addresses.
type OpenSMTPD struct{ server }

// StartOpenSMTPD starts an OpenSMTPD as mx.example.net, which relays mail for example.net and example.com
// to the sink. lines are those of smtpd.conf; what follows a plus is for all listeners, and {mx} and {mx6}
// are its addresses.
func StartOpenSMTPD(t T, sink *Sink, lines ...string) *OpenSMTPD {
	t.Helper()
	o := LaunchOpenSMTPD(t, sink, lines...)
	err := within(func() error { return cmp.Or(o.proc.running(), listening(25, o.Addr, o.Addr6)) })
	if err != nil {
		t.Fatalf("opensmtpd: %v\n%s%s", err, o.proc.output(), o.Log())
	}
	return o
}

// LaunchOpenSMTPD is StartOpenSMTPD without waiting.
func LaunchOpenSMTPD(t T, sink *Sink, lines ...string) *OpenSMTPD {
	t.Helper()
	o := &OpenSMTPD{newServer(t, "opensmtpd")}
	_, port, _ := strings.Cut(sink.Addr, "]:")
	conf := strings.NewReplacer("{mx}", o.Addr.String(), "{mx6}", o.Addr6.String(), "{sink}", port).Replace(opensmtpdConf(lines))
	err := cmp.Or(
		os.WriteFile(o.Conf(), []byte(conf), 0o600),
		os.WriteFile(filepath.Join(o.dir, "mailname"), []byte("mx.example.net\n"), 0o644),
		os.WriteFile(filepath.Join(o.dir, "smtpd"), []byte(smtpdScript), 0o755),
	)
	if err == nil {
		// Its paths are compiled in, so each instance has them in a mount namespace of its own.
		o.proc, err = start(o.dir, "unshare", "--mount", "--uts", filepath.Join(o.dir, "smtpd"), smtpd, o.Conf())
	}
	if err != nil {
		t.Fatalf("opensmtpd: %v", err)
	}
	t.Cleanup(func() { _ = o.proc.stop() })
	return o
}

// Conf returns the path of smtpd.conf.
func (o *OpenSMTPD) Conf() string { return filepath.Join(o.dir, "smtpd.conf") }

// smtpdScript makes the directories of an instance, which are gone with it, and runs smtpd in the foreground.
const smtpdScript = `#!/bin/sh
set -e
for dir in /var/spool /var/lib /run; do mount -t tmpfs -o mode=755 tmpfs "$dir"; done
mkdir -p -m 711 /var/spool/smtpd
mkdir -p /var/lib/opensmtpd/empty
hostname mx.example.net
[ ! -e /etc/mailname ] || mount --bind mailname /etc/mailname
exec "$1" -d -f "$2" 2>>mail.log
`

// opensmtpdConf returns smtpd.conf with these lines, see StartOpenSMTPD.
func opensmtpdConf(lines []string) string {
	conf, options := "", ""
	for line := range strings.SplitSeq(strings.Join(lines, "\n"), "\n") {
		if option, ok := strings.CutPrefix(line, "+"); ok {
			options += " " + option
		} else {
			conf += line + "\n"
		}
	}
	for _, address := range []string{"{mx}", "{mx6}"} {
		conf += "listen on " + address + " port 25 hostname mx.example.net" + options + "\n"
	}
	return conf + smtpdConf
}

const smtpdConf = `
action "sink" relay host "smtp://127.0.0.1:{sink}"
action "local" mbox
match from local for any action "sink"
match from any for domain { "example.net" "example.com" } action "sink"
match from any for domain "mx.example.net" action "local"
`

// OpenSMTPDFilter returns the lines for helo-milter as a filter, for the socket of a milter that
// StartMilter has made for the network "filter".
func OpenSMTPDFilter(socket string, _ ...string) string {
	_, path, _ := strings.Cut(socket, ":")
	return fmt.Sprintf("filter \"helo-milter\" proc-exec %q\n+filter \"helo-milter\"", filterScript(path))
}

// opensmtpdOffer returns the lines for a need, see Start. TLS is none of them, nor is AUTH, which needs it:
// 6.8 cannot sign with OpenSSL 3, which Debian builds it with (OpenSMTPD's issues 1171 and 1239: "SSL routines::EVP
// lib"), with ECDSA and RSA keys.
func opensmtpdOffer(_ T, need string) []string { return []string{need} }

// Session waits until a client has disconnected and returns the log.
func (o *OpenSMTPD) Session(t T) string {
	t.Helper()
	return o.WaitLog(t, " smtp disconnected reason=")
}

// Refusals counts our refusals at an SMTP command in a log.
func (o *OpenSMTPD) Refusals(log, at string) int {
	return len(regexp.MustCompile(`failed-command command="`+at+` .* Rule: `).FindAllString(log, -1))
}

// Refusal returns a regular expression for the log entry of such a refusal: client and HELO are only in our
// text.
func (o *OpenSMTPD) Refusal(at string, client netip.Addr, code int, _ string) string {
	return fmt.Sprintf(`failed-command command="%s .*result="%d .*%s`, at, code, regexp.QuoteMeta(client.String()))
}

// Submit submits a message with sendmail(1), as local programs do.
func (o *OpenSMTPD) Submit(t T, from, to, message string) {
	t.Helper()
	o.submit(t, message, append(o.Sendmail(), "-f", from, to)...)
}

// Sendmail returns the command of sendmail(1) of this instance.
func (o *OpenSMTPD) Sendmail() []string {
	return []string{
		"nsenter", "--mount", "--target", fmt.Sprint(o.proc.cmd.Process.Pid), opensmtpdTree + "/usr/sbin/sendmail",
	}
}

// Stop ends it as its service does, with what may be wrong about its end.
func (o *OpenSMTPD) Stop() error { return o.proc.stop() }

// Ended reports whether it has ended by itself.
func (o *OpenSMTPD) Ended() bool { return o.proc.running() != nil }
