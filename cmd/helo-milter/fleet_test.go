package main

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/fleet"
	"helo-milter/cmd/helo-milter/internal/fleet/fleettest"
)

// shareLogs has hosts share the records of logs, and returns the file of a configuration that names the server.
func shareLogs(t *testing.T, logs map[string][]byte) (file string) {
	t.Helper()
	redis := fleettest.Start(t)
	text := "[fleet]\nredis = [\"unix:" + redis.Socket + "\"]\n"
	file = filepath.Join(t.TempDir(), "fleet.toml")
	writeFile(t, file, text)
	for host, log := range logs {
		cfg, err := config.Parse("", []byte(text+"host = \""+host+"\"\n"))
		if err != nil {
			t.Fatal(err)
		}
		server, err := fleet.Connect(cfg)
		if err != nil {
			t.Fatal(err)
		}
		present := make(chan error, 1)
		presence := fleet.NewPresence(server, func(err error) {
			select {
			case present <- err:
			default:
			}
		})
		if err := <-present; err != nil {
			t.Fatal(err)
		}
		presence.Close()
		stream := fleet.NewDecisions(server, 1000, func() uint64 { return 0 })
		if _, err := stream.Write(bytes.ReplaceAll(log, []byte("\n"), []byte("\t\n"))); err != nil {
			t.Fatal(err)
		}
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

// What hosts share is read as their logs are, all of them or one, beside files; what is missing is said.
func TestFleet(t *testing.T) {
	_, files := threeHosts(t)
	plain := func(n int) []byte { return read(t, files[n]) }
	logs := map[string][]byte{
		"mx1.example.net": plain(1), "mx2.example.net": plain(4), "mx3.example.net": plain(7),
	}
	toml := shareLogs(t, logs)
	want, _ := report(t, exitDone, files[1], files[4], files[7])
	got, errs := report(t, exitDone, "--config", toml, "fleet:")
	if got != want || errs != "" {
		t.Errorf("the report over fleet: is\n%s%s\nand over the logs\n%s", errs, got, want)
	}
	one, _ := report(t, exitDone, files[4])
	if got, _ := report(t, exitDone, "--config", toml, "fleet:MX2.example.net"); got != one {
		t.Errorf("the report over a host is\n%s\nand over its log\n%s", got, one)
	}
	if got, _ := report(t, exitDone, "--config", toml, "fleet:mx1.example.net", files[4], files[7]); got != want {
		t.Errorf("the report over a host and files is\n%s\nand over files\n%s", got, want)
	}
	text, _, exit := replayFiles(t, "--recorded-dns", files[1], files[4], files[7])
	again, errs, exitFleet := replayFiles(t, "--recorded-dns", "--config", toml, "fleet:")
	if exit != exitFleet || text != again || errs != "" {
		t.Errorf("replay over fleet: is\n%s%s\nand over the logs\n%s", errs, again, text)
	}
	id := between(string(plain(7)), `"id":"`, `"`)
	found, errs, exit := runWith(t, "show", "--config", toml, id, "fleet:")
	if exit != exitDone || !strings.Contains(found, id) {
		t.Errorf("show: exit %d, %s%s", exit, found, errs)
	}
	for _, test := range []struct {
		args []string
		exit int
		says string
	}{
		{[]string{"report", "--config", toml, "fleet:mx9.example.net"}, exitBad, "no such host; there are: mx1.example.net, mx2"},
		{[]string{"report", "fleet:"}, exitConfig, "set redis in [fleet]"},
		{[]string{"show", "x", "fleet:"}, exitConfig, "set redis in [fleet]"},
		{[]string{"report", "--config", toml, "--since", time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339), "fleet:"}, exitBad, "no judged mail"},
	} {
		_, errs, exit := runWith(t, test.args...)
		if exit != test.exit || !strings.Contains(errs, test.says) {
			t.Errorf("%q: exit %d, %s", test.args, exit, errs)
		}
	}
}

// A stream is bounded, and the report says what it has not.
func TestFleetTrimmed(t *testing.T) {
	_, files := threeHosts(t)
	line, _, _ := bytes.Cut(read(t, files[1]), []byte("\n"))
	toml := shareLogs(t, map[string][]byte{"mx1.example.net": slices.Concat(bytes.Repeat(append(line, '\n'), 3000), read(t, files[1]))})
	text, _ := report(t, exitDone, "--config", toml, "fleet:")
	if said := "earlier records are not kept any more."; !strings.Contains(strings.Join(strings.Fields(text), " "), said) {
		t.Errorf("the report does not say %q:\n%s", said, text)
	}
}

// between returns what is between two texts.
func between(text, before, after string) string {
	_, text, _ = strings.Cut(text, before)
	text, _, _ = strings.Cut(text, after)
	return text
}

func runWith(t *testing.T, args ...string) (stdout, stderr string, exit int) {
	t.Helper()
	var out, errs bytes.Buffer
	exit = run(t.Context(), args, nil, &out, &errs)
	return out.String(), errs.String(), exit
}
