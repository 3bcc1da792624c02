package rig

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const postfixMaster = "/usr/lib/postfix/sbin/master"

// Postfix is a running instance of its own: configuration, queue, log and addresses.
type Postfix struct{ server }

// StartPostfix starts a Postfix as mx.example.net, which relays mail for example.net and example.com to the
// sink. lines are parameters of main.cf that override the rig's, or services of master.cf if they start with
// {mx}, its address.
func StartPostfix(t T, sink *Sink, lines ...string) *Postfix {
	t.Helper()
	return StartPostfixAs(t, sink, func(*Postfix) {}, lines...)
}

// StartPostfixAs is StartPostfix with the needs of Start, and a function that changes the configuration
// before the start.
func StartPostfixAs(t T, sink *Sink, change func(*Postfix), needs ...string) *Postfix {
	t.Helper()
	p := &Postfix{newServer(t, "postfix")}
	var lines []string
	for _, need := range needs {
		lines = append(lines, postfixOffer(t, need)...)
	}
	err := p.furnish(p.configure(fmt.Sprintf(mainCf, p.dir, sink.Addr), masterCf, lines))
	if err == nil {
		change(p)
		err = p.settle()
	}
	if err == nil {
		p.proc, err = start(p.dir, postfixMaster, "-c", p.Conf(""), "-d")
	}
	if err != nil {
		t.Fatalf("postfix: %v", err)
	}
	t.Cleanup(func() { _ = p.proc.stop() })
	if err := within(p.listens); err != nil {
		t.Fatalf("postfix: %v\n%s%s", err, p.proc.output(), p.Log())
	}
	return p
}

// Conf returns the path of a configuration file.
func (p *Postfix) Conf(file string) string { return filepath.Join(p.dir, "conf", file) }

// Queue returns the path of a file in the queue directory, which is the root of Postfix's chroot.
func (p *Postfix) Queue(file string) string { return filepath.Join(p.dir, "queue", file) }

// configure adds lines to main.cf and master.cf. A service is added above the others, since listens waits for
// one of those.
func (p *Postfix) configure(main, master string, lines []string) (string, string) {
	for line := range strings.SplitSeq(strings.Join(lines, "\n"), "\n") {
		if service, ok := strings.CutPrefix(line, "{mx}"); ok {
			master = p.Addr.String() + service + "\n" + master
		} else {
			main += line + "\n"
		}
	}
	return main, master
}

var parameter = regexp.MustCompile(`(?m)^[^#\s].*\n(?:[ \t].*\n)*`)

// settle removes all but the last setting of each parameter in main.cf: every program warns of a duplicate,
// postlogd as well, which waits for itself forever when its queue is full. And it sets back the time of the
// files, since every program waits until they are a few seconds old.
func (p *Postfix) settle() error {
	main, err := os.ReadFile(p.Conf("main.cf"))
	if err != nil {
		return err
	}
	last := map[string]string{}
	for _, text := range parameter.FindAllString(string(main), -1) {
		name, _, _ := strings.Cut(text, "=")
		last[strings.TrimSpace(name)] = text
	}
	text := strings.Join(slices.Sorted(maps.Values(last)), "")
	if err := os.WriteFile(p.Conf("main.cf"), []byte(text), 0o644); err != nil {
		return err
	}
	old := time.Now().Add(-time.Minute)
	return cmp.Or(os.Chtimes(p.Conf("main.cf"), old, old), os.Chtimes(p.Conf("master.cf"), old, old))
}

func (p *Postfix) listens() error {
	if err := p.proc.running(); err != nil {
		return err
	}
	_, err := os.Stat(filepath.Join(p.dir, "queue/public/cleanup"))
	return err
}

// PostfixMilter returns the line of main.cf for a milter, with settings such as default_action=accept.
func PostfixMilter(socket string, settings ...string) string {
	return "smtpd_milters = { " + strings.Join(append([]string{socket}, settings...), ", ") + " }"
}

// postfixOffer returns the lines of main.cf for a need, see Start.
func postfixOffer(t T, need string) []string {
	t.Helper()
	switch need {
	case "STARTTLS":
		return []string{"smtpd_tls_security_level = may", "smtpd_tls_chain_files = " + certificate(t)}
	case "AUTH":
		return []string{
			"smtpd_sasl_auth_enable = yes", "smtpd_sasl_type = dovecot", "smtpd_sasl_path = inet:" + startAuth(t),
		}
	case "SMTPUTF8":
		return []string{"smtputf8_enable = yes"}
	case "submission":
		offer := append(postfixOffer(t, "STARTTLS"), postfixOffer(t, "AUTH")...)
		return append(offer, "{mx}:587 inet n - n - - smtpd -o smtpd_tls_security_level=encrypt"+
			" -o smtpd_relay_restrictions=permit_sasl_authenticated,reject")
	}
	return []string{need}
}

// Session waits until a client has disconnected and returns the log.
func (p *Postfix) Session(t T) string {
	t.Helper()
	return p.WaitLog(t, "disconnect from")
}

// Refusals counts the refusals by a milter at an SMTP command in a log.
func (p *Postfix) Refusals(log, at string) int { return strings.Count(log, "milter-reject: "+at) }

// Refusal returns a regular expression for the log entry of such a refusal. Without a HELO the entry has
// none.
func (p *Postfix) Refusal(at string, client netip.Addr, code int, helo string) string {
	line := fmt.Sprintf(`milter-reject: %s from [^ ]*\[%s\]: %d `, at, regexp.QuoteMeta(client.String()), code)
	if at == "RCPT" {
		line += ".* to=<reader@example"
	}
	if helo != "" {
		neutered := regexp.MustCompile(`[ <>();@"\\]`).ReplaceAllString(helo, "?")
		line += ".* helo=<" + regexp.QuoteMeta(neutered) + ">"
	}
	return line
}

// Submit submits a message with sendmail(1), as local programs do.
func (p *Postfix) Submit(t T, from, to, message string) {
	t.Helper()
	p.submit(t, message, append(p.Sendmail(), "-f", from, to)...)
}

// Sendmail returns the command of sendmail(1) of this instance.
func (p *Postfix) Sendmail() []string { return []string{"/usr/sbin/sendmail", "-C", p.Conf("")} }

// furnish creates the directories as postfix-script would, so that master can run without it.
func (p *Postfix) furnish(main, master string) error {
	postfix, err := user.Lookup("postfix")
	if err != nil {
		return err
	}
	postdrop, err := user.LookupGroup("postdrop")
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(postfix.Uid)
	gid, _ := strconv.Atoi(postfix.Gid)
	drop, _ := strconv.Atoi(postdrop.Gid)
	for _, d := range []struct {
		names    string
		mode     os.FileMode
		uid, gid int
	}{
		{"conf queue queue/pid", 0o755, 0, 0},
		{"data", 0o755, uid, gid},
		{"queue/active queue/bounce queue/corrupt queue/defer queue/deferred queue/flush", 0o700, uid, 0},
		{"queue/hold queue/incoming queue/private queue/saved queue/trace", 0o700, uid, 0},
		{"queue/maildrop", 0o1730, uid, drop},
		{"queue/public", 0o2710, uid, drop},
	} {
		for name := range strings.FieldsSeq(d.names) {
			if err := makeDir(filepath.Join(p.dir, name), d.mode, d.uid, d.gid); err != nil {
				return err
			}
		}
	}
	listen := fmt.Sprintf("%s:25 inet n - n - - smtpd\n[%s]:25 inet n - n - - smtpd\n", p.Addr, p.Addr6)
	for name, text := range map[string]string{"main.cf": main, "master.cf": listen + master} {
		if err := os.WriteFile(p.Conf(name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func makeDir(dir string, mode os.FileMode, uid, gid int) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		return err
	}
	special := map[os.FileMode]os.FileMode{0o1000: os.ModeSticky, 0o2000: os.ModeSetgid}[mode&^0o777]
	return os.Chmod(dir, mode.Perm()|special)
}

const mainCf = `
compatibility_level = 3.6
config_directory = %[1]s/conf
queue_directory = %[1]s/queue
data_directory = %[1]s/data
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = %[1]s/mail.log
maillog_file_prefixes = %[1]s
myhostname = mx.example.net
mydestination =
mynetworks =
local_recipient_maps =
alias_maps =
alias_database =
relay_domains = example.net example.com
relay_transport = smtp:%[2]s
smtpd_relay_restrictions = reject_unauth_destination
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
`

const masterCf = `
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
showq unix n - n - - showq
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
`
