// Package debian tests the Debian package: builds it, installs it beside Postfix, Sendmail and neither in
// trees of its own, upgrades it and removes it.
package debian

import (
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

func TestMain(m *testing.M) {
	os.Setenv("HELO_RIG_MILTER", "/bin/true") // the package has its own
	rig.Main(m)
}

// sources is debian/ of the package.
const sources = "../../examples/debian/debian/"

// build builds the package in a directory, with these environment variables; UMASK is the umask.
func build(t *testing.T, dir string, settings ...string) string {
	t.Helper()
	script := `umask "${UMASK:-022}"; exec ../../examples/debian/build "$0"`
	cmd := exec.Command("env", append(settings, "sh", "-c", script, dir)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("examples/debian/build: %v\n%s", err, out)
	}
	debs, err := filepath.Glob(filepath.Join(dir, "helo-milter_*.deb"))
	if err != nil || len(debs) != 1 {
		t.Fatalf("packages: %v, %v", debs, err)
	}
	return debs[0]
}

// newer makes of a package one with a later version, whose conffile differs.
func newer(t *testing.T, deb string) string {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command("sh", "-ec", `dpkg-deb -R "$1" "$2/tree"
		sed -i 's/^Version: .*/Version: 99.0-1/' "$2/tree/DEBIAN/control"
		echo "# of version 99" >>"$2/tree/etc/helo-milter/helo-milter.toml"
		dpkg-deb -Znone -b "$2/tree" "$2/helo-milter_99.0-1.deb"`, "newer", deb, dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, "helo-milter_99.0-1.deb")
}

func TestPackage(t *testing.T) {
	dir := t.TempDir()
	deb := build(t, dir)
	t.Run("the same bytes", func(t *testing.T) {
		t.Parallel()
		again := build(t, filepath.Join(t.TempDir(), "elsewhere"), "UMASK=077", "TZ=Asia/Tokyo", "LC_ALL=C")
		if sum(t, deb) != sum(t, again) {
			t.Error("two builds differ")
		}
	})
	t.Run("lintian", func(t *testing.T) {
		t.Parallel()
		changes, _ := filepath.Glob(filepath.Join(dir, "*.changes"))
		out, err := exec.Command("lintian", append([]string{
			"--fail-on", "error,warning", "--tag-display-limit", "0", "--allow-root",
		}, changes...)...).CombinedOutput()
		if err != nil || len(changes) != 1 || len(out) > 0 {
			t.Errorf("%v: %v\n%s", changes, err, out)
		}
	})
	t.Run("Postfix", func(t *testing.T) { t.Parallel(); withPostfix(t, deb) })
	t.Run("Postfix later", func(t *testing.T) { t.Parallel(); postfixLater(t, deb) })
	t.Run("Sendmail", func(t *testing.T) { t.Parallel(); withSendmail(t, deb) })
}

func sum(t *testing.T, file string) [sha256.Size]byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(text)
}

const (
	sock      = "/run/helo-milter.sock"
	chrooted  = "/var/spool/postfix/helo-milter/milter.sock"
	config    = "/etc/helo-milter/helo-milter.toml"
	decisions = "/var/log/helo-milter/decisions.jsonl"
)

// The pages that a user has.
const (
	readme       = "../../README.md"
	readmeDebian = sources + "README.Debian"
)

// documented runs the commands of a page that begin so.
func (b *box) documented(page string, begins ...string) (out string) {
	b.t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, begin := range begins {
		found := regexp.MustCompile(`(?m)^ {4,}(` + regexp.QuoteMeta(begin) + `.*)$`).FindSubmatch(text)
		if found == nil {
			b.t.Fatalf("%s has no command %q", page, begin)
		}
		out += b.run(string(found[1]))
	}
	return out
}

// swaks sends a message from a client and returns the code that decides.
func (b *box) swaks(client, helo string) string {
	b.t.Helper()
	out, err := b.outside("swaks", "--server", "127.0.0.1", "--local-interface", client, "--helo", helo,
		"--from", "<>", "--to", "reader@localhost", "--hide-informational")
	replies := regexp.MustCompile(`(?m)^<(?:-|\*\*) +(\d{3}) `).FindAllStringSubmatch(out, -1)
	if len(replies) < 2 {
		b.t.Fatalf("swaks: %v\n%s", err, out)
	}
	for _, reply := range replies {
		if reply[1] >= "400" {
			return reply[1]
		}
	}
	return "250"
}

// withPostfix is what a new user does, by README.md alone: from the package to the first header, the report, a rule that
// refuses, and back; then what a user does over the years.
func withPostfix(t *testing.T, deb string) {
	b := boot(t, false, "postfix", "bare")
	b.run("useradd --create-home reader && systemctl restart postfix")
	begin := time.Now()
	printed := b.install(deb)
	for _, line := range []string{
		"smtpd_milters = { inet:127.0.0.1:8891,", "include(`/usr/share/helo-milter/helo-milter.m4')dnl",
	} {
		if strings.Count(printed, line) != 1 {
			t.Errorf("the installation does not print %q:\n%s", line, printed)
		}
	}
	b.says("systemctl is-enabled helo-milter.socket helo-milter.service helo-milter-report.timer || true",
		"enabled\nenabled\ndisabled")
	b.says("systemctl is-active helo-milter.socket helo-milter.service", "active\nactive")
	b.says("stat -c '%U:%G %a' "+sock, "helo-milter:postfix 660")
	b.says("grep -c milter /etc/postfix/main.cf || true", "0")
	b.says("postconf -M smtp/inet | awk '{ print $5 }'", "y") // in a chroot, as Debian has it

	b.documented(readme, "postconf -e 'smtpd_milters = { inet:", "systemctl reload postfix")
	b.receives("203.0.113.10", "mail.example.org", "accept; client=203.0.113.10; helo=mail.example.org; iprev=pass")
	b.receives("203.0.113.30", "friend", "accept; client=203.0.113.30; helo=friend")
	if report := b.documented(readme, "helo-milter report "); !strings.Contains(report, "helo-not-fqdn") {
		t.Errorf("the report does not have helo-not-fqdn:\n%s", report)
	}
	b.documented(readme, "sed -i 's/^mode = .*/mode = \"enforce\"/", "helo-milter config ",
		"systemctl reload helo-milter")
	if code := b.swaks("203.0.113.30", "friend"); code != "504" {
		t.Errorf("enforced, it says %s", code)
	}
	b.documented(readme, "sed -i 's/^mode = .*/mode = \"observe\"/", "systemctl reload helo-milter")
	b.receives("203.0.113.30", "friend", "reject; client=203.0.113.30")
	t.Logf("from the package to a refusal and back: %v", time.Since(begin).Round(time.Second/10))

	b.rotates()
	b.chroot()
	b.upgrades(deb)
	b.run("dpkg -r helo-milter && test -e " + config + " && test -e " + decisions)
	b.says("systemctl is-active helo-milter.socket helo-milter.service || true", "inactive\ninactive")
	b.run("rm -r /etc/systemd/system/helo-milter.socket.d; postconf -X smtpd_milters; systemctl reload postfix")
	b.purged()
	if code := b.swaks("203.0.113.30", "friend"); code != "250" {
		t.Errorf("without the milter, Postfix says %s", code)
	}
}

// receives sends a message and checks how the value of its field begins.
func (b *box) receives(client, helo, want string) {
	b.t.Helper()
	if code := b.swaks(client, helo); code != "250" {
		b.t.Errorf("EHLO %s: %s", helo, code)
	}
	b.wait("the message arrives", func() bool { _, err := os.Stat(b.path("/var/mail/reader")); return err == nil })
	field := regexp.MustCompile(`(?m)^X-HELO-Check: (.*)$`).FindStringSubmatch(b.read("/var/mail/reader"))
	if field == nil || !strings.HasPrefix(field[1], want) {
		b.t.Errorf("EHLO %s: X-HELO-Check is %q, want %q", helo, field, want)
	}
	b.run("rm /var/mail/reader")
}

// rotates has logrotate begin a new decision log, which the milter then writes.
func (b *box) rotates() {
	b.t.Helper()
	lines := strings.Count(b.read(decisions), "\n")
	b.run("logrotate -f /etc/logrotate.d/helo-milter")
	b.wait("a new decision log", func() bool { _, err := os.Stat(b.path(decisions)); return err == nil })
	b.receives("203.0.113.10", "mail.example.org", "accept")
	b.wait("a decision", func() bool { return strings.Count(b.read(decisions), "\n") == 1 })
	if old := strings.Count(b.read(decisions+".1"), "\n"); old != lines {
		b.t.Errorf("the old decision log has %d lines of %d", old, lines)
	}
	b.says("stat -c '%U:%G %a' "+decisions, "helo-milter:helo-milter 640")
}

// chroot opens the socket in Postfix's chroot, which smtpd then uses.
func (b *box) chroot() {
	b.t.Helper()
	b.documented(readmeDebian, "mkdir -p /etc/systemd", "cp ", "systemctl daemon-reload", "systemctl stop ",
		"systemctl start helo-milter.socket", "systemctl start helo-milter.service",
		"postconf -e 'smtpd_milters = { unix:helo-milter/", "systemctl reload postfix")
	b.says("stat -c '%U:%G %a' "+chrooted+" "+sock, "helo-milter:postfix 660\nhelo-milter:postfix 660")
	b.receives("203.0.113.10", "mail.example.org", "accept")
}

// upgrades installs a newer package. What the administrator has changed stays, and the sockets stay open.
func (b *box) upgrades(deb string) {
	b.t.Helper()
	inode := b.run("stat -c %i " + sock)
	b.run(`sed -i 's/^profile = .*/profile = "standard"/' ` + config)
	was := b.read(config)
	pid := b.run("systemctl show -p MainPID helo-milter.service")
	b.install(newer(b.t, deb))
	if b.read(config) != was || b.run("tail -n 1 "+config+".dpkg-dist") != "# of version 99\n" {
		b.t.Errorf("the upgrade changed the configuration:\n%s", b.read(config))
	}
	if b.run("systemctl show -p MainPID helo-milter.service") == pid || b.run("stat -c %i "+sock) != inode {
		b.t.Error("the upgrade has not restarted the service, or has closed its socket")
	}
	b.receives("203.0.113.10", "mail.example.org", "accept")
}

// purged purges the package and checks that neither a file of a name like ours nor one with it in /etc is left.
func (b *box) purged() {
	b.t.Helper()
	b.run("dpkg -P helo-milter")
	b.says("find / -xdev -name '*helo-milter*'; grep -rl --exclude='*-' helo-milter /etc || true", "")
}

// postfixLater installs the package where there is no MTA, and then a package that has Postfix's group and the file
// of Postfix's that triggers us: Postfix itself would take ten times as long.
func postfixLater(t *testing.T, deb string) {
	b := boot(t, true, "bare")
	b.install(deb)
	b.says("systemctl is-active helo-milter.socket helo-milter.service", "active\nactive")
	b.says("stat -c '%U:%G %a' "+sock, "helo-milter:helo-milter 660")
	b.run(`mkdir -p /mnt/p/DEBIAN /mnt/p/usr/lib/postfix/sbin && cd /mnt/p && touch usr/lib/postfix/sbin/master
		printf '%s\n' 'Package: postfix' 'Version: 3' 'Architecture: all' 'Maintainer: nobody' \
			'Description: a group' >DEBIAN/control
		printf '#!/bin/sh\ngetent group postfix || groupadd -r postfix\n' >DEBIAN/postinst && chmod 755 DEBIAN/postinst
		dpkg-deb -b . /mnt/postfix.deb && dpkg -i /mnt/postfix.deb`)
	b.says("stat -c '%U:%G %a' "+sock, "helo-milter:postfix 660")
}

// withSendmail installs the package beside Sendmail, sends a message, and removes it: then all is as before.
func withSendmail(t *testing.T, deb string) {
	b := boot(t, true, "sendmail", "bare")
	b.run("useradd --create-home reader; systemctl stop sendmail")
	before := b.files()
	b.install(deb)
	b.says("stat -c '%U:%G %a' "+sock, "helo-milter:helo-milter 660")
	b.run("cp -p /etc/mail/sendmail.mc /mnt && sed -i '/^MAILER_DEFINITIONS/i " +
		"include(`/usr/share/helo-milter/helo-milter.m4'\\'')dnl' /etc/mail/sendmail.mc")
	b.run("cd /etc/mail && m4 sendmail.mc >/mnt/sendmail.cf && " +
		"/usr/sbin/sendmail -bd -C /mnt/sendmail.cf -O RefuseLA=999 -O QueueLA=999")
	if code := b.swaks("203.0.113.30", "friend"); code != "250" {
		t.Errorf("Sendmail says %s", code)
	}
	b.wait("its decision", func() bool { return strings.Contains(b.read(decisions), `"helo":"friend"`) })
	b.run("pkill sendmail; mv /mnt/sendmail.mc /etc/mail; rm /mnt/sendmail.cf")
	b.purged()
	if after := b.files(); after != before {
		t.Errorf("what the package leaves (left: before, right: after):\n%s", diff(t, before, after))
	}
}

// files are all files with their modes and owners, except those that everything that happens leaves.
func (b *box) files() string {
	b.t.Helper()
	return b.run(`find / -xdev -regextype egrep \
		-regex '/(root|tmp|var/(cache|mail|spool|tmp|lib/(dpkg|sendmail)|log/[^h].*))' -prune -o \
		-regex '/etc/.*(-|\.lock)' -o -printf '%y %m %u:%g %p\n' | sort
		cat /etc/passwd /etc/group /etc/shadow`)
}

func diff(t *testing.T, before, after string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"before": before, "after": after} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, _ := exec.Command("diff", filepath.Join(dir, "before"), filepath.Join(dir, "after")).CombinedOutput()
	return string(out)
}
