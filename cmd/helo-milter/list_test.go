package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"helo-milter/cmd/helo-milter/internal/fleet/fleettest"
	"helo-milter/dnscache/dnstest"
)

// lists are what the commands say, one after the other, on one list.
var lists = []struct {
	args string
	exit int
	says string // in what it prints, on either output
}{
	{"deny list", exitDone, "no entries: `helo-milter deny add` makes one"},
	{"allow add 192.0.2.1 --who op --reason move", exitDone, "allow 192.0.2.1/32: "},
	{"allow add 192.0.2.1/32 --who op2", exitDone, "replaced allow 192.0.2.1/32 (by op, "},
	{"allow add 198.51.100.0/24 .Partner.example.org --until mended", exitDone, "allow 198.51.100.0/24 .partner.example.org: "},
	{"allow list", exitDone, "192.0.2.1/32 - op2 "},
	{"allow list", exitDone, "198.51.100.0/24 .partner.example.org mended "},
	{"allow add 203.0.113.0/24", exitBad, "the configuration has an entry for the same, which counts"},
	{"allow list", exitDone, "203.0.113.0/24 - configuration - ours"},
	{"allow remove 203.0.113.0/24", exitBad, "is an entry of the configuration: take it out there"},
	{"allow remove 198.51.100.0/24", exitBad, "there is one for 198.51.100.0/24 .partner.example.org"},
	{"allow remove 192.0.2.77", exitBad, "no entry for 192.0.2.77/32"},
	{"allow remove 192.0.2.1", exitDone, "removed allow 192.0.2.1/32: "},
	{"allow list --changes", exitDone, "op2 replace allow 192.0.2.1/32"},
	{"allow list --json", exitDone, `"network":"198.51.100.0/24"`},
	{"deny add ylmf-pc --reason worm", exitDone, "deny helo ylmf-pc: "},
	{"deny add --ptr .dsl.example.org --until 2199-12-31", exitDone, "deny ptr .dsl.example.org: "},
	{"deny add 2001:db8::/32", exitDone, "deny 2001:db8::/32: "},
	{"deny add /^pc[0-9]+/", exitDone, "deny helo /^pc[0-9]+/: "},
	{"deny list", exitDone, "helo ylmf-pc "},
	{"deny remove --ptr .dsl.example.org", exitDone, "removed deny ptr .dsl.example.org: "},
	{"deny", exitDone, "2001:db8::/32 "},
	{"config", exitDone, "# [[deny]] # helo = \"ylmf-pc\""},

	{"allow add 192.0.2.1/24", exitUsage, "did you mean 192.0.2.0/24"},
	{"allow add 192.0.2.1 192.0.2.2", exitUsage, "one network and one name at most"},
	{"allow add no!name", exitUsage, "is not a host name"},
	{"allow add 192.0.2.9 --until yesterday", exitUsage, "is neither a date"},
	{"allow add 192.0.2.9 --until 2020-01-01", exitUsage, "2020-01-01 is over"},
	{"allow add 0.0.0.0/0", exitDone, "warning: allow: the entry for 0.0.0.0/0"},
	{"deny add /(/", exitUsage, "error parsing regexp"},
	{"deny add x --until mended", exitUsage, "is for allow"},
	{"allow add", exitUsage, "expected"},
	{"deny list --bogus", exitUsage, "unknown flag"},
}

// Both places that the list can be in are edited with the same words.
func TestLists(t *testing.T) {
	file := filepath.Join(t.TempDir(), "list.json")
	own := "\n[[allow]]\nnetwork = \"203.0.113.0/24\"\nreason = \"ours\"\n"
	for place, config := range map[string]string{
		"file":  fmt.Sprintf("list_file = %q\n", file),
		"fleet": fmt.Sprintf("[fleet]\nredis = [\"unix:%s\"]\n", fleettest.Start(t).Socket),
	} {
		t.Run(place, func(t *testing.T) {
			toml := filepath.Join(t.TempDir(), "helo-milter.toml")
			writeFile(t, toml, config+own)
			for _, test := range lists {
				if place == "fleet" && test.args == "config" {
					continue // has what the daemon has copied
				}
				args := strings.Fields(test.args)
				out, errs, exit := runWith(t, append(args, "--config", toml)...)
				text := regexp.MustCompile(`\s+`).ReplaceAllString(out+errs, " ")
				if exit != test.exit || !strings.Contains(text, test.says) {
					t.Errorf("%s: exit %d\n%s\nwant exit %d, %s", test.args, exit, text, test.exit, test.says)
				}
			}
		})
	}
}

// Without a list there is nothing to edit; a broken one stays as it is.
func TestListsNowhere(t *testing.T) {
	if _, errs, exit := runWith(t, "allow", "add", "192.0.2.1"); exit != exitConfig || !strings.Contains(errs, "set list_file") {
		t.Errorf("exit %d, %s", exit, errs)
	}
	dir := t.TempDir()
	file, toml := filepath.Join(dir, "list.json"), filepath.Join(dir, "helo-milter.toml")
	writeFile(t, toml, fmt.Sprintf("list_file = %q\n", file))
	writeFile(t, file, "{")
	for _, args := range []string{"allow add 192.0.2.1", "config", "allow list"} {
		_, errs, exit := runWith(t, append(strings.Fields(args), "--config", toml)...)
		if exit != exitConfig || !strings.Contains(errs, "helo-milter.toml:1:1: list_file: "+file+": ") {
			t.Errorf("%s: exit %d, %s", args, exit, errs)
		}
	}
	writeFile(t, toml, "[fleet]\nredis = [\"unix:/nowhere/redis\"]\n")
	_, errs, exit := runWith(t, "allow", "add", "192.0.2.1", "--config", toml)
	if exit != exitBad || !strings.Contains(errs, "the list was not changed") {
		t.Errorf("exit %d, %s", exit, errs)
	}
}

// What a list exempts is exempt in check, too, which says whose entry it is.
func TestListsCount(t *testing.T) {
	dir := t.TempDir()
	toml := filepath.Join(dir, "helo-milter.toml")
	writeFile(t, toml, fmt.Sprintf("list_file = %q\n", filepath.Join(dir, "list.json")))
	server := dnstest.Start(t, "mail.example.org. A 192.0.2.1\n192.0.2.1 PTR mail.example.org.\n").Addr()
	check := func() string {
		out, _, _ := runWith(t, "check", "--config", toml, "--dns", server, "192.0.2.1", "friend")
		return out
	}
	if text := check(); strings.Contains(text, "exempt") {
		t.Errorf("before: %s", text)
	}
	if _, errs, exit := runWith(t, "allow", "add", "--config", toml, "--who", "op", "--reason", "they know", ".example.org"); exit != exitDone {
		t.Fatal(errs)
	}
	if text := check(); !strings.Contains(text, "exempt   allow") || !strings.Contains(text, "by op, ") || !strings.Contains(text, "they know") {
		t.Errorf("after: %s", text)
	}
}
