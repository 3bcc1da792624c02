package rig

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// PolicyPostfix is a Postfix without a milter, which asks helo-milter as a policy service.
type PolicyPostfix struct{ *Postfix }

// startPolicyPostfix starts one with the needs of Start. Its smtpd processes serve one client each: its session is
// over when they close their connection to the policy service.
func startPolicyPostfix(t T, sink *Sink, needs ...string) PolicyPostfix {
	t.Helper()
	return PolicyPostfix{StartPostfixAs(t, sink, func(p *Postfix) {
		services, err := os.ReadFile(p.Conf("master.cf"))
		if err == nil {
			once := strings.ReplaceAll(string(services), " smtpd\n", " smtpd -o max_use=1\n")
			err = os.WriteFile(p.Conf("master.cf"), []byte(once), 0o644)
		}
		if err != nil {
			t.Fatalf("postfix: %v", err)
		}
	}, needs...)}
}

// PolicyService returns the lines of main.cf for helo-milter as a policy service at a socket, policy:unix:PATH or
// policy:inet:HOST:PORT: those of the files of examples/postfix.
func PolicyService(t T, socket string, files ...string) string {
	t.Helper()
	text := ""
	for _, file := range files {
		part, err := exampleFile(filepath.Join("postfix", file))
		if err != nil {
			t.Fatalf("postfix: %v", err)
		}
		text += part
	}
	return strings.ReplaceAll(text, "inet:127.0.0.1:8892", strings.TrimPrefix(socket, "policy:"))
}

// exampleFile returns a file of examples/.
func exampleFile(name string) (string, error) {
	exim, err := examplesDir()
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(exim), name))
	return string(text), err
}

// Refusals counts the refusals by a policy service at an SMTP command in a log.
func (p PolicyPostfix) Refusals(log, at string) int { return strings.Count(log, "reject: "+at) }

// Refusal returns a regular expression for the log entry of such a refusal. Without a HELO the entry has none.
func (p PolicyPostfix) Refusal(at string, client netip.Addr, code int, helo string) string {
	line := strings.TrimPrefix(p.Postfix.Refusal(at, client, code, helo), "milter-")
	return fmt.Sprintf(`NOQUEUE: %s`, line)
}
