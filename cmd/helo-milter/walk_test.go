package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"helo-milter/dnscache/dnstest"
)

// visitors hand in a message on each of some days: how many, the first one's address, HELO and PTR name, with
// %d for the number.
var visitors = []struct {
	clients, days   int
	first, says, is string
}{
	{250, 4, "192.0.2.1", "mail%d.example.org", "mail%d.example.org"},
	{30, 9, "2001:db8::1", "out%d.example.com", "out%d.example.com"},
	{8, 3, "198.51.100.1", "198.51.100.%d", ""},
	{2, 5, "203.0.113.8", "mx.example.net", "vm%d.example.com"},
	{3, 4, "203.0.113.16", "gmail.com", "vm%d.example.com"},
	{6, 4, "203.0.113.64", "friend", "host%d.example.com"},
	{2, 6, "203.0.113.128", "localhost", "shop%d.example.com"},
}

// inbox is a mailbox that they have filled, and what the DNS says of them.
func inbox() (mbox, zone string) {
	for _, v := range visitors {
		addr := netip.MustParseAddr(v.first)
		for n := range v.clients {
			is, says := "unknown", strings.ReplaceAll(v.says, "%d", fmt.Sprint(n+1))
			if v.is != "" {
				is = fmt.Sprintf(v.is, n+1)
				qtype := map[bool]string{true: "A", false: "AAAA"}[addr.Is4()]
				zone += fmt.Sprintf("%s. %s %s\n%s PTR %s.\n", is, qtype, addr, addr, is)
			}
			for day := range v.days {
				at := time.Date(2026, 11, 10+day, 8, n%60, 0, 0, time.UTC).Format(time.RFC1123Z)
				tag := ""
				if addr.Is6() {
					tag = "IPv6:"
				}
				mbox += fmt.Sprintf("From a@example.org Tue Nov 10 08:00:00 2026\nReceived: from %s (%s [%s%s])\n"+
					"\tby mx.example.net (Postfix) with ESMTP id 4C%d\n\tfor <b@example.net>; %s\nSubject: hello\n\nHello.\n\n",
					says, is, tag, addr, day, at)
			}
			addr = addr.Next()
		}
	}
	return mbox, zone + "gmail.com A 192.0.2.254\ngmail.com MX 10 mail1.example.org.\n"
}

// A newcomer's walk, from a mailbox to the decision to enforce three rules. README.md here has it, with what the
// commands say.
func TestWalk(t *testing.T) {
	readme, err := filepath.Abs("README.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	mbox, zone := inbox()
	dns := fmt.Sprintf("[dns]\nservers = [%q]\n", dnstest.Start(t, zone).Addr())
	site := "[site]\nnames = [\"example.net\", \".example.net\"]\n"
	writeFile(t, "inbox", mbox)
	writeFile(t, "helo-milter.toml", site+dns)
	text, before, after := "```\n", "", ""
	walk := func(command string) string {
		text += "$ helo-milter " + command + "\n"
		var out, errs bytes.Buffer
		command, _, _ = strings.Cut(command, " >")
		args := append([]string{"--config", "helo-milter.toml"}, strings.Fields(command)...)
		if run(t.Context(), args, nil, &out, &errs); errs.Len() > 0 {
			t.Fatalf("%s: %s", command, &errs)
		}
		return out.String()
	}
	text += excerpt(t, walk("replay inbox"), "", "Would be refused", "  5") + "\n"
	writeFile(t, "past.jsonl", walk("replay --json inbox >past.jsonl"))
	report := walk("report past.jsonl")
	_, now, _ := strings.Cut(report, "looked up later")
	_, paste, _ := strings.Cut(now, "into [rules]\n\n")
	paste = regexp.MustCompile(`(?m)^    `).ReplaceAllString(paste, "")
	text += "…\n" + excerpt(t, now, "RECOMMENDATIONS", "  wait") + "…\n" + excerpt(t, now, "TO PASTE") + "\n"
	text += "…\n" + excerpt(t, walk("check 198.51.100.3 198.51.100.3"), "verdict", "  2.") + "…\n\n"
	before, after, _ = strings.Cut(paste, "[rules]\n")
	writeFile(t, "helo-milter.toml", before+site+dns+"[rules]\n"+after)
	text += "# with those lines in helo-milter.toml:\n"
	_, now, _ = strings.Cut(walk("--config helo-milter.toml replay past.jsonl"), "\nPAST MAIL, ")
	text += "…\n" + excerpt(t, "PAST MAIL, "+now, "", "  rule") + "…\n" + excerpt(t, now, "Same action wanted") + "```\n"
	readmeBlock(t, readme, "walk", text)
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// excerpt is a text from the line that begins so, up to the one before the last that is given: each stands
// behind the one before.
func excerpt(t *testing.T, text, from string, to ...string) string {
	t.Helper()
	at := strings.Index("\n"+text, "\n"+from)
	if at < 0 {
		t.Fatalf("no line begins with %q in\n%s", from, text)
	}
	text = text[at:]
	end := len(text)
	for i, line := range to {
		if i == 0 {
			end = 0
		}
		next := strings.Index(text[end:], "\n"+line)
		if next < 0 {
			t.Fatalf("no line begins with %q in\n%s", line, text)
		}
		end += next + 1
	}
	return text[:end]
}
