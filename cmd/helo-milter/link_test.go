package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"helo-milter/cmd/helo-milter/internal/help"
	"helo-milter/dnscache/dnstest"
)

// The link of a refusal opens with the key of the configuration, and replay comes to the same one, with the key.
func TestLinkInReply(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := help.MakeKeys("help.key"); err != nil {
		t.Fatal(err)
	}
	writeFile(t, "helo-milter.toml", fmt.Sprintf("[dns]\nservers = [%q]\n[help]\nurl = 'https://helo.example.net/r/{id}'\n"+
		"key_file = 'help.key'\n", dnstest.Start(t, "").Addr()))
	var out, warned bytes.Buffer
	exit := run(t.Context(), []string{"check", "--config", "helo-milter.toml", "--json", "203.0.113.9", "203.0.113.9"},
		nil, &out, &warned)
	record := out.String()
	link := regexp.MustCompile(`https://helo\.example\.net/r/([a-z2-7]+)`).FindStringSubmatch(record)
	if link == nil || exit != exitBad || warned.Len() > 0 {
		t.Fatalf("exit %d, %s%s", exit, record, &warned)
	}
	keys, err := help.ReadKeys("help.key")
	if err != nil {
		t.Fatal(err)
	}
	ticket, err := keys.Open(link[1], time.Now(), time.Hour)
	if err != nil || ticket.Helo != "203.0.113.9" || ticket.Client.String() != "203.0.113.9" ||
		ticket.Rules[0] != "helo-bare-ip" {
		t.Errorf("%+v, %v", ticket, err)
	}
	replay := []string{"--recorded-dns", "--json", "-"}
	if again, errs, _ := replayed(t, record, replay...); again != record || errs != "" {
		t.Errorf("replay says\n%s\n%s\nwant\n%s", again, errs, record)
	}
	if err := os.Rename("help.key", filepath.Join(t.TempDir(), "key")); err != nil {
		t.Fatal(err)
	}
	if again, errs, exit := replayed(t, record, replay...); exit != exitDone || errs == "" {
		t.Errorf("without the key, replay says %s%s", again, errs)
	}
}
