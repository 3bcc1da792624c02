package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
)

// Lines of Debian's sendmail.mc that read files of an installed Sendmail, or delay the banner; and those with
// the listening addresses.
var (
	mcHost    = regexp.MustCompile("(?m)^(include\\(|FEATURE\\(`(use_cw_file|greet_pause)').*\n")
	mcDaemons = regexp.MustCompile("(?m)^(FEATURE\\(`no_default_msa'|DAEMON_OPTIONS\\().*\n")
)

// StartDebianSendmail is StartSendmail with the sendmail.mc that Debian ships. DAEMON_OPTIONS among the needs
// replace Debian's, as users are told to do.
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

// debianMc inserts settings and lines above the mailers, and makes Sendmail listen at the rig's address. The
// access map may be missing.
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

// SendmailBuild returns the compile-time options that Debian's Sendmail prints.
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
