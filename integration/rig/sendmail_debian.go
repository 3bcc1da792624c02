package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
)

// Lines of Debian's sendmail.mc that read files of a machine with Sendmail installed, or pause at the banner;
// and those that say where it listens.
var (
	mcHost    = regexp.MustCompile("(?m)^(include\\(|FEATURE\\(`(use_cw_file|greet_pause)').*\n")
	mcDaemons = regexp.MustCompile("(?m)^(FEATURE\\(`no_default_msa'|DAEMON_OPTIONS\\().*\n")
)

// StartDebianSendmail is StartSendmail with the sendmail.mc that Debian ships: its DAEMON_OPTIONS give way to
// those among the lines, as a user is told to do, and nothing else is said of ports.
func StartDebianSendmail(t T, sink *Sink, needs ...string) *Sendmail {
	t.Helper()
	var lines []string
	for _, need := range needs {
		lines = append(lines, sendmailOffer(t, need)...)
	}
	return startSendmail(t, sink, func(settings string) (string, error) {
		return debianMc(settings, strings.Join(lines, "\n"))
	})
}

// debianMc puts settings and lines above the mailers, and the world's address for that of the machine. There
// need not be an access map.
func debianMc(settings, lines string) (string, error) {
	text, err := os.ReadFile(sendmailCf + "/debian/sendmail.mc")
	if err != nil {
		return "", err
	}
	mc := mcHost.ReplaceAllString(string(text), "")
	if strings.Contains(lines, "DAEMON_OPTIONS(") {
		mc = mcDaemons.ReplaceAllString(mc, "")
	}
	mc = strings.NewReplacer(
		"Addr=127.0.0.1", "Addr={mx}",
		"FEATURE(`access_db', ,", "FEATURE(`access_db', `hash -o -T<TMPF> /etc/mail/access',",
	).Replace(mc)
	head, tail, found := strings.Cut(mc, "MAILER_DEFINITIONS\n")
	if !found {
		return "", fmt.Errorf("no mailers in Debian's sendmail.mc:\n%s", mc)
	}
	autoconf := fmt.Sprintf("include(`%s/debian/autoconf.m4')dnl\n", sendmailCf)
	return autoconf + head + settings + lines + "\nMAILER_DEFINITIONS\n" + tail, nil
}

// SendmailBuild is what Debian's Sendmail says that it was compiled with.
func SendmailBuild(t T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), WaitTimeout)
	defer cancel()
	out, _ := exec.CommandContext(ctx, sendmailBin, "-d0.13", "-C", os.DevNull).CombinedOutput() // it is no file
	if !strings.Contains(string(out), "Compiled with: ") {
		t.Fatalf("sendmail -d0.13: %s", out)
	}
	return string(out)
}
