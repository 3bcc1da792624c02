package rig

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// eximTree is where integration/run unpacks Debian's packages: they cannot be installed beside Postfix.
const (
	eximTree = "/var/cache/helo-milter-rig/exim4"
	eximBin  = eximTree + "/usr/sbin/exim4"
	eximUser = "Debian-exim" // Debian's Exim looks it up at each start
)

// Exim is a running instance of its own: configuration, spool, log and addresses.
type Exim struct{ server }

// StartExim starts an Exim as mx.example.net, which relays mail for example.net and example.com to the sink.
// lines are those of its main section; {mx} in them is its address.
func StartExim(t T, sink *Sink, lines ...string) *Exim {
	t.Helper()
	return startExim(t, sink, func(_ *Exim, conf string) (string, error) {
		return strings.Join(lines, "\n") + "\n" + conf, nil
	})
}

// startExim starts an Exim with the configuration that change makes of the rig's.
func startExim(t T, sink *Sink, change func(e *Exim, conf string) (string, error)) *Exim {
	t.Helper()
	e := &Exim{newServer(t, "exim")}
	_, port, _ := strings.Cut(sink.Addr, "]:")
	examples, err := examplesDir()
	conf := ""
	if err == nil {
		conf, err = change(e, strings.NewReplacer("{exim}", eximBin, "{dir}", e.dir, "{sink}", port).Replace(eximConf))
	}
	if err == nil {
		conf = strings.NewReplacer(
			"{mx}", e.Addr.String(), "{mx6}", e.Addr6.String(), "{examples}", examples,
		).Replace(conf)
		err = e.furnish(conf)
	}
	if err == nil {
		e.proc, err = start(e.dir, eximBin, "-C", e.Conf(), "-bdf")
	}
	if err != nil {
		t.Fatalf("exim: %v", err)
	}
	t.Cleanup(func() {
		_ = e.proc.stop()
		if trouble, err := os.ReadFile(filepath.Join(e.dir, "paniclog")); err == nil {
			t.Errorf("exim: %s", trouble)
		}
	})
	if err := within(func() error { return cmp.Or(e.proc.running(), listening(25, e.Addr, e.Addr6)) }); err != nil {
		t.Fatalf("exim: %v\n%s%s", err, e.proc.output(), e.Log())
	}
	return e
}

// Conf returns the path of the configuration file.
func (e *Exim) Conf() string { return filepath.Join(e.dir, "exim.conf") }

// furnish makes the spool, and a link to the log.
func (e *Exim) furnish(conf string) error {
	uid, gid, err := account(eximUser)
	if err != nil {
		return err
	}
	return cmp.Or(
		os.Chown(e.dir, uid, gid), // for the log
		makeDir(filepath.Join(e.dir, "spool"), 0o750, uid, gid),
		os.Symlink("mainlog", filepath.Join(e.dir, "mail.log")),
		os.WriteFile(e.Conf(), []byte(conf), 0o644),
	)
}

// eximOffer returns the lines of the main section for a need, see Start.
func eximOffer(t T, need string) []string {
	t.Helper()
	switch need {
	case "STARTTLS":
		chain := certificate(t)
		uid, gid, err := account(eximUser)
		if err = cmp.Or(err, os.Chown(chain, uid, gid)); err != nil {
			t.Fatalf("exim: %v", err)
		}
		return []string{"CERTIFICATE = " + chain}
	case "AUTH":
		return []string{"AUTH = yes"}
	case "SMTPUTF8":
		return []string{"SMTPUTF8 = yes"}
	case "submission":
		return append(eximOffer(t, "STARTTLS"), "AUTH = yes", "SUBMISSION = yes")
	}
	return []string{need}
}

// EximPolicy returns the lines of the main section for helo-milter as a policy service at a socket, policy:unix:PATH or
// policy:inet:HOST:PORT: those of examples/exim, and settings.
func EximPolicy(socket string, settings ...string) string {
	socket = strings.TrimPrefix(strings.TrimPrefix(socket, "policy:"), "unix:")
	lines := []string{".include {examples}/main", "HELO_MILTER_SOCKET == " + socket}
	return strings.Join(append(lines, settings...), "\n")
}

// examplesDir returns the directory of the examples, examples/exim above the working directory.
func examplesDir() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		at := filepath.Join(dir, "examples", "exim")
		if _, missing := os.Stat(at); missing == nil {
			return at, nil
		}
		if dir == "/" {
			err = errors.New("no examples/exim")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}

var eximSessionEnd = regexp.MustCompile(`(?m)^.* SMTP connection from .*(closed by|lost)`)

// Session waits until a client has disconnected and returns the log.
func (e *Exim) Session(t T) string {
	t.Helper()
	err := within(func() error {
		if !eximSessionEnd.MatchString(e.Log()) {
			return fmt.Errorf("no session has ended in the log:\n%s", e.Log())
		}
		return nil
	})
	if err != nil {
		t.Fatalf("exim: %v", err)
	}
	return e.Log()
}

// Refusals counts our refusals at an SMTP command in a log.
func (e *Exim) Refusals(log, at string) int {
	return len(regexp.MustCompile(` rejected `+at+` [^:]*: .*Rule: `).FindAllString(log, -1))
}

// Refusal returns a regular expression for the log entry of such a refusal.
func (e *Exim) Refusal(at string, client netip.Addr, _ int, helo string) string {
	if helo != "" {
		helo = `.*\(` + regexp.QuoteMeta(helo) + `\)`
	}
	return fmt.Sprintf(`H=%s.*\[%s\].* rejected %s .*: `, helo, regexp.QuoteMeta(client.String()), at)
}

// Submit submits a message with sendmail(1), as local programs do.
func (e *Exim) Submit(t T, from, to, message string) {
	t.Helper()
	e.submit(t, message, append(e.Sendmail(), "-f", from, to)...)
}

// Sendmail returns the command of sendmail(1) of this instance.
func (e *Exim) Sendmail() []string { return []string{eximBin, "-C", e.Conf()} }

// eximConf is the rig's configuration. As Debian's, it looks up the names of all clients, which are in the log then,
// and SMTPUTF8 is off. An option may be set only once, so what the needs of Start change are macros.
const eximConf = `
primary_hostname = mx.example.net
exim_path = {exim}
spool_directory = {dir}/spool
log_file_path = {dir}/%slog
pid_file_path = {dir}/pid
log_selector = +smtp_connection
write_rejectlog = false
message_logs = false
local_interfaces = <; {mx} ; {mx6}
.ifdef SUBMISSION
daemon_smtp_ports = 25 : 587
auth_advertise_hosts = ${if or {{!eq {$received_port}{587}}{def:tls_in_cipher}}{*}{}}
.else
daemon_smtp_ports = 25
.endif
smtp_accept_max = 0
keep_environment =
host_lookup = *
dns_retrans = 2s
dns_retry = 2
deliver_drop_privilege
.ifdef CERTIFICATE
tls_certificate = CERTIFICATE
.else
tls_advertise_hosts =
.endif
.ifndef SMTPUTF8
smtputf8_advertise_hosts =
.endif
.ifndef LOCAL_DOMAINS
LOCAL_DOMAINS =
.endif
domainlist local_domains = LOCAL_DOMAINS
domainlist relay_to_domains = example.net : example.com
hostlist relay_from_hosts =
acl_smtp_rcpt = acl_check_rcpt
acl_smtp_data = acl_check_data

begin acl

.ifdef HELO_MILTER_SOCKET
.include {examples}/acl
.endif

acl_check_rcpt:
  deny    condition = ${if eq {$received_port}{587}}
          !authenticated = *
          message = 550 5.7.1 Authentication required
  accept  authenticated = *
  require message = 550 5.7.1 Relay not permitted
          domains = +local_domains : +relay_to_domains
  require message = 550 5.1.1 <$local_part@$domain> is unknown
          verify = recipient
.ifdef HELO_MILTER_SOCKET
  require acl = acl_helo_milter_rcpt
.endif
  accept

acl_check_data:
.ifdef HELO_MILTER_SOCKET
  warn    acl = acl_helo_milter_data
.endif
  accept

begin routers

local:
  driver = redirect
  domains = +local_domains
  data = ${if eq {$local_part}{root}{:blackhole:}{:fail: unknown}}

sink:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = sink

begin transports

sink:
  driver = smtp
  port = {sink}
  allow_localhost
  hosts_try_fastopen =

begin retry

* * F,1h,1m

begin authenticators

.ifdef AUTH
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = yes
  server_set_id = $auth2
.endif
`
