package rig

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const postfixMaster = "/usr/lib/postfix/sbin/master"

// Postfix is a running instance of its own: configuration, queue, log and addresses.
type Postfix struct {
	Addr  netip.Addr // it listens on port 25 of both
	Addr6 netip.Addr
	dir   string
	proc  *process
}

// places are the addresses that no running instance has, by their last byte: some sessions take seconds,
// while hundreds of others come and go.
var places = make(chan byte, 128)

func init() {
	for n := range byte(cap(places)) {
		places <- n
	}
}

// StartPostfix starts mx.example.net, which relays what is for example.net and example.com to the sink.
// Lines of main.cf given here win over the rig's.
func StartPostfix(t T, sink *Sink, lines ...string) *Postfix {
	t.Helper()
	n := <-places
	t.Cleanup(func() { places <- n })
	p := &Postfix{
		Addr:  netip.AddrFrom4([4]byte{198, 51, 100, 100 + n}),
		Addr6: netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 2: 0x0d, 3: 0xb8, 5: 25, 15: n}),
		dir:   workDir(t, "postfix"),
	}
	err := p.furnish(fmt.Sprintf(mainCf, p.dir, sink.Addr) + strings.Join(lines, "\n") + "\n")
	if err == nil {
		p.proc, err = start(p.dir, postfixMaster, "-c", filepath.Join(p.dir, "conf"), "-d")
	}
	if err != nil {
		t.Fatalf("postfix: %v", err)
	}
	t.Cleanup(func() { _ = p.proc.stop() })
	if err := within(startTime, p.listens); err != nil {
		t.Fatalf("postfix: %v\n%s%s", err, p.proc.output(), p.Log())
	}
	return p
}

func (p *Postfix) listens() error {
	if err := p.proc.running(); err != nil {
		return err
	}
	_, err := os.Stat(filepath.Join(p.dir, "queue/public/cleanup"))
	return err
}

// Endpoint is where a client of the address's family finds the instance.
func (p *Postfix) Endpoint(client netip.Addr) string {
	if client.Is6() {
		return net.JoinHostPort(p.Addr6.String(), "25")
	}
	return net.JoinHostPort(p.Addr.String(), "25")
}

// Log is the mail log so far.
func (p *Postfix) Log() string {
	text, _ := os.ReadFile(filepath.Join(p.dir, "mail.log"))
	return string(text)
}

// WaitLog waits until the mail log has a text and returns the log.
func (p *Postfix) WaitLog(t T, text string) string {
	t.Helper()
	err := within(10*time.Second, func() error {
		if !strings.Contains(p.Log(), text) {
			return fmt.Errorf("the mail log never had %q:\n%s", text, p.Log())
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return p.Log()
}

// Submit hands a message over as local programs do, with the sendmail command.
func (p *Postfix) Submit(t T, from, to, message string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	conf := filepath.Join(p.dir, "conf")
	sendmail := exec.CommandContext(ctx, "/usr/sbin/sendmail", "-C", conf, "-f", from, to)
	sendmail.Stdin = strings.NewReader(message)
	if out, err := sendmail.CombinedOutput(); err != nil {
		t.Fatalf("sendmail: %v\n%s%s", err, out, p.Log())
	}
}

// furnish makes the directories as postfix-script would, so that master can be run by itself.
func (p *Postfix) furnish(main string) error {
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
	for name, text := range map[string]string{"main.cf": main, "master.cf": listen + masterCf} {
		name = filepath.Join(p.dir, "conf", name)
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
		// Every Postfix program waits for a young file to cool down.
		old := time.Now().Add(-time.Minute)
		if err := os.Chtimes(name, old, old); err != nil {
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
error unix - - n - - error
retry unix - - n - - error
showq unix n - n - - showq
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
`
