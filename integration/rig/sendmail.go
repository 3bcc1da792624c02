package rig

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// sendmailTree is where integration/run unpacks Debian's packages: they cannot be installed beside Postfix.
const (
	sendmailTree = "/var/cache/helo-milter-rig/sendmail"
	sendmailBin  = sendmailTree + "/usr/libexec/sendmail/sendmail"
	sendmailCf   = sendmailTree + "/usr/share/sendmail/cf"
)

// Sendmail is a running instance of its own: configuration, queue, log and addresses.
type Sendmail struct{ server }

// StartSendmail starts a Sendmail as mx.example.net, which relays mail for example.net and example.com to the
// sink. lines of sendmail.mc override the rig's; {mx} in them is its address.
func StartSendmail(t T, sink *Sink, lines ...string) *Sendmail {
	t.Helper()
	return startSendmail(t, sink, func(settings string) (string, error) {
		return "OSTYPE(`linux')dnl\n" + settings + strings.Join(lines, "\n") + mcEnd, nil
	})
}

// startSendmail starts a Sendmail with the sendmail.mc that make returns for the rig's settings.
func startSendmail(t T, sink *Sink, make func(settings string) (string, error)) *Sendmail {
	t.Helper()
	s := &Sendmail{newServer(t, "sendmail")}
	_, port, _ := strings.Cut(sink.Addr, "]:")
	settings := strings.NewReplacer("{", "`", "}", "'").Replace(mcSettings)
	mc, err := make(fmt.Sprintf(settings, s.dir, port))
	if err == nil {
		mc = strings.NewReplacer("{mx}", s.Addr.String(), "{mx6}", s.Addr6.String()).Replace(mc)
		err = s.furnish(mc)
	}
	if err == nil {
		s.proc, err = start(s.dir, sendmailBin, "-bD", "-C", s.cf(), "-L", filepath.Base(s.dir))
	}
	if err != nil {
		t.Fatalf("sendmail: %v", err)
	}
	t.Cleanup(func() { _ = s.proc.stop() })
	if err := within(s.listens); err != nil {
		t.Fatalf("sendmail: %v\n%s%s", err, s.proc.output(), s.Log())
	}
	return s
}

func (s *Sendmail) cf() string { return filepath.Join(s.dir, "sendmail.cf") }

// furnish makes the queue directory, and compiles the configuration as Sendmail's own Makefile does.
func (s *Sendmail) furnish(mc string) error {
	if err := os.Mkdir(filepath.Join(s.dir, "queue"), 0o700); err != nil {
		return err
	}
	var out, errs bytes.Buffer
	m4 := exec.Command("m4", "-D_CF_DIR_="+sendmailCf+"/", sendmailCf+"/m4/cf.m4", "-")
	m4.Stdin, m4.Stdout, m4.Stderr = strings.NewReader(mc), &out, &errs
	if err := m4.Run(); err != nil || errs.Len() > 0 {
		return fmt.Errorf("m4: %v: %s\n%s", err, &errs, mc)
	}
	return os.WriteFile(s.cf(), out.Bytes(), 0o644)
}

// listens waits for port 25 at each address of the configuration: the pid file is written too early, and a
// connection would count as a session.
func (s *Sendmail) listens() error {
	if err := s.proc.running(); err != nil {
		return err
	}
	cf, err := os.ReadFile(s.cf())
	if err != nil {
		return err
	}
	var addrs []netip.Addr
	for _, addr := range []netip.Addr{s.Addr, s.Addr6} {
		if bytes.Contains(cf, []byte("Addr="+addr.String())) {
			addrs = append(addrs, addr)
		}
	}
	return listening(25, addrs...)
}

// listening looks into the kernel's tables of sockets whether somebody listens at a port of all the addresses.
func listening(port int, addrs ...netip.Addr) error {
	for _, addr := range addrs {
		file := "/proc/net/tcp"
		if addr.Is6() {
			file = "/proc/net/tcp6"
		}
		table, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if !inState(addr, port, "0A").Match(table) { // LISTEN
			return fmt.Errorf("nobody listens at %s", addr)
		}
	}
	return nil
}

// inState matches a socket with a local address in a state (hexadecimal) in /proc/net/tcp or tcp6, see
// proc(5): the address is in words of the machine's byte order.
func inState(addr netip.Addr, port int, state string) *regexp.Regexp {
	text := ""
	for word := range slices.Chunk(addr.AsSlice(), 4) {
		text += fmt.Sprintf("%08X", binary.NativeEndian.Uint32(word))
	}
	return regexp.MustCompile(fmt.Sprintf(`: %s:%04X [0-9A-F]+:[0-9A-F]{4} %s `, text, port, state))
}

// sendmailOffer returns the lines of sendmail.mc for a need, see Start.
func sendmailOffer(t T, need string) []string {
	t.Helper()
	define := func(name, value string) string { return fmt.Sprintf("define(`%s', `%s')dnl", name, value) }
	switch need {
	case "STARTTLS":
		chain := certificate(t)
		return []string{
			define("confSERVER_CERT", chain), define("confSERVER_KEY", chain),
			define("confCACERT", chain), define("confCACERT_PATH", filepath.Dir(chain)),
			define("confTLS_SRV_OPTIONS", "V"), // no client is asked for a certificate
		}
	case "AUTH":
		return []string{define("confAUTH_MECHANISMS", "PLAIN"), define("confAUTH_OPTIONS", "A")}
	case "submission":
		offer := append(sendmailOffer(t, "STARTTLS"), sendmailOffer(t, "AUTH")...)
		return append(offer, "DAEMON_OPTIONS(`Name=MSA, Addr={mx}, Port=587, M=Ea')dnl") // a wants AUTH
	}
	return []string{need}
}

// Session waits until all that was logged so far is in the log, and returns it.
func (s *Sendmail) Session(t T) string {
	t.Helper()
	if err := flushSyslog(filepath.Base(s.dir)); err != nil {
		t.Fatalf("sendmail: %v", err)
	}
	return s.WaitLog(t, flushed)
}

// Refusals counts the refusals by a milter at an SMTP command in a log.
func (s *Sendmail) Refusals(log, at string) int {
	return strings.Count(log, "action="+strings.ToLower(at)+", reject=")
}

// Refusal returns a regular expression for the log entry of such a refusal: client and HELO are only in our
// text.
func (s *Sendmail) Refusal(at string, client netip.Addr, code int, _ string) string {
	path := map[string]string{"MAIL": "from=<", "RCPT": "to=<reader@example"}[at]
	return fmt.Sprintf(`Milter: %s.*, reject=%d[ -].*%s`, path, code, regexp.QuoteMeta(client.String()))
}

// Submit submits a message with sendmail(1), as local programs do.
func (s *Sendmail) Submit(t T, from, to, message string) {
	t.Helper()
	s.submit(t, message, append(s.Sendmail(), "-f", from, to)...)
}

// Sendmail returns the command of sendmail(1) of this instance.
func (s *Sendmail) Sendmail() []string {
	return []string{sendmailBin, "-C", s.cf(), "-L", filepath.Base(s.dir)}
}

// SendmailMilter returns the line of sendmail.mc for a milter, with options such as F=T, what to do with mail
// if the milter is down, and T=R:5s, a timeout.
func SendmailMilter(socket string, options ...string) string {
	options = append([]string{"S=" + SendmailSocket(socket)}, options...)
	return fmt.Sprintf("INPUT_MAIL_FILTER(`helo-milter', `%s')dnl", strings.Join(options, ", "))
}

// SendmailSocket returns a socket in Sendmail's notation, for unix:PATH or inet:HOST:PORT.
func SendmailSocket(socket string) string {
	if path, ok := strings.CutPrefix(socket, "unix:"); ok {
		return "local:" + path
	}
	addr := netip.MustParseAddrPort(strings.TrimPrefix(socket, "inet:"))
	return fmt.Sprintf("inet:%d@%s", addr.Port(), addr.Addr())
}

// mcSettings has {} for m4's quotes, which a raw string cannot have. Sendmail must not refuse mail because of
// the load average, nor look up the names of the interfaces.
const mcSettings = `
define({confDOMAIN_NAME}, {mx.example.net})dnl
define({QUEUE_DIR}, {%[1]s/queue})dnl
define({STATUS_FILE}, {})dnl
define({confPID_FILE}, {%[1]s/pid})dnl
define({HELP_FILE}, {})dnl
define({ALIAS_FILE}, {})dnl
define({confCONTROL_SOCKET_NAME}, {})dnl
define({confDEF_USER_ID}, {65534:65534})dnl
define({confTRUSTED_USER}, {root})dnl
define({confDONT_BLAME_SENDMAIL}, {TrustStickyBit})dnl
define({confDONT_PROBE_INTERFACES}, {True})dnl
define({confQUEUE_LA}, {1000})dnl
define({confREFUSE_LA}, {1000})dnl
define({confTO_IDENT}, {0})dnl
define({confLOG_LEVEL}, {14})dnl
define({confMILTER_LOG_LEVEL}, {14})dnl
define({SMART_HOST}, {relay:[127.0.0.1]})dnl
define({RELAY_MAILER_ARGS}, {TCP $h %[2]s})dnl
FEATURE({nocanonify})dnl
FEATURE({accept_unresolvable_domains})dnl
RELAY_DOMAIN({example.net example.com})dnl
`

const mcEnd = `
FEATURE(` + "`no_default_msa'" + `)dnl
DAEMON_OPTIONS(` + "`Name=IPv4, Family=inet, Addr={mx}, Port=25'" + `)dnl
DAEMON_OPTIONS(` + "`Name=IPv6, Family=inet6, Addr={mx6}, Port=25'" + `)dnl
MAILER(` + "`local'" + `)dnl
MAILER(` + "`smtp'" + `)dnl
`
