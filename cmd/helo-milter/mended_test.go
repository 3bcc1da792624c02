package main

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"helo-milter/checks"
)

// The daemon says of an allow entry until "mended" that it is not needed any more, by what the decision log has of the
// time before its start, rotated and packed, and says so once.
func TestAllowMendedLogged(t *testing.T) {
	dir := t.TempDir()
	log, file := filepath.Join(dir, "decisions.jsonl"), filepath.Join(dir, "helo-milter.toml")
	client := netip.MustParseAddr("203.0.113.9")
	itself := checks.Answer[netip.Addr]{Status: checks.Found, Values: []netip.Addr{client}}
	name := checks.Host{Name: "mail.example.org", Addrs: itself}
	line := func(day int) string {
		f := &checks.Facts{
			Client: client, PTRCount: 1, PTR: checks.Answer[checks.Host]{Status: checks.Found, Values: []checks.Host{name}},
			Greetings: []checks.Greeting{{Helo: checks.ParseHelo(name.Name), A: itself}},
		}
		d := checks.Decision{
			ID: fmt.Sprint("s", day), Facts: f, Time: time.Now().AddDate(0, 0, -day),
			Verdict: checks.Verdict{Exempt: checks.AllowList},
		}
		return d.Record(false).String() + "\n"
	}
	writeFile(t, log, line(1)+line(2)+"broken\n")
	writeFile(t, log+".1", line(3)+line(4))
	writeFile(t, log+".2.gz", pack(t, line(15)))
	config := func(more string) {
		writeFile(t, file, fmt.Sprintf("listen = [\"unix:%s/sock\"]\ndecision_log = %q\n[[allow]]\nnetwork = \"203.0.113.0/24\"\n"+
			"until = \"mended\"\nreason = \"they know\"\n%s", dir, log, more))
	}
	config("[[allow]]\nnetwork = \"198.51.100.0/24\"\nuntil = \"mended\"\n")
	var stdout, stderr output
	ctx, stop := context.WithCancel(t.Context())
	exit := make(chan int)
	go func() { exit <- run(ctx, []string{"--config", file}, nil, &stdout, &stderr) }()
	stderr.waitFor(t, "allow entry: not needed any more")
	stop()
	if code := <-exit; code != exitDone {
		t.Errorf("exit %d\n%s", code, stderr.String())
	}
	got := stderr.String()
	want := `clients=203.0.113.0/24 reason="they know" since=` + time.Now().UTC().AddDate(0, 0, -15).Format(time.DateOnly) + " sessions=5"
	if strings.Count(got, "not needed any more") != 1 || !strings.Contains(got, want) {
		t.Errorf("%s\nwant %s", got, want)
	}
}
