package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helo-milter/checks"
)

// threeHosts writes the logs of three hosts into folders, rotated and packed as logrotate does. Each host has some
// of the crowds; only the clients of the first are seen by two hosts.
func threeHosts(t *testing.T) (dir string, files []string) {
	t.Helper()
	dir = t.TempDir()
	for host, crowds := range map[string][]crowd{
		"mx1.example.net": healthy[:2], "mx2.example.net": healthy[:1],
		"relay-of-branch-office.example.net": healthy[2:],
	} {
		logs := map[string]*strings.Builder{}
		for _, name := range []string{"decisions.jsonl", "decisions.jsonl.1", "decisions.jsonl.2.gz"} {
			logs[name] = &strings.Builder{}
		}
		for i, c := range crowds {
			for n, r := range c.records(checks.NewPolicy(checks.Standard)) {
				id := fmt.Sprintf("%s-%d-%d", host, i, n)
				r.Verdict.Reply = strings.Replace(r.Verdict.Reply, "Id: "+r.ID, "Id: "+id, 1)
				r.ID, r.MTA = id, host
				name := "decisions.jsonl"
				switch day := r.Time.Day(); {
				case day < 3:
					name += ".2.gz"
				case day < 8:
					name += ".1"
				}
				fmt.Fprintln(logs[name], r)
			}
		}
		if err := os.Mkdir(filepath.Join(dir, host), 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range logs {
			file := filepath.Join(dir, host, name)
			files = append(files, file)
			writeFile(t, file, text.String())
			if strings.HasSuffix(name, ".gz") {
				writeFile(t, file, pack(t, text.String()))
			}
		}
	}
	slices.Sort(files)
	return dir, files
}

func pack(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The logs of several hosts are found by a pattern, and have a column each.
func TestReportFleet(t *testing.T) {
	dir, files := threeHosts(t)
	pattern := filepath.Join(dir, "*", "decisions.jsonl*")
	for format, ending := range map[string]string{"--config=": "txt", "--json": "json", "--html": "html"} {
		text, _ := report(t, exitDone, format, pattern)
		golden(t, filepath.Join("testdata", "report", "fleet."+ending), text)
	}
	want, _ := report(t, exitDone, pattern)
	copied := filepath.Join(dir, "copy")
	writeFile(t, copied, string(read(t, files[0]))+string(read(t, files[1])))
	backwards := slices.Clone(files)
	slices.Reverse(backwards)
	for name, args := range map[string][]string{
		"backwards": backwards,
		"twice":     append(backwards, pattern, files[3]),
		"a copy":    append(backwards, copied),
	} {
		if got, _ := report(t, exitDone, args...); got != want {
			t.Errorf("%s, it is\n%s\nwant\n%s", name, got, want)
		}
	}
	some, _ := report(t, exitDone, "--since=2026-11-08", pattern)
	var latest []string
	for i := 0; i < len(files); i += 3 {
		latest = append(latest, files[i])
	}
	if want, _ := report(t, exitDone, latest...); some != want {
		t.Errorf("since then, it is\n%s\nwant\n%s", some, want)
	}
	text, errs, exit := replayFiles(t, "--recorded-dns", "--since", "2026-11-08T00:00:00Z", pattern)
	again, _, _ := replayFiles(t, append([]string{"--recorded-dns"}, latest...)...)
	if exit != exitDone || text != again {
		t.Errorf("exit %d %s, replay has\n%s\nwant\n%s", exit, errs, text, again)
	}
	text, _, _ = replayFiles(t, append([]string{"--recorded-dns", copied}, backwards...)...)
	golden(t, filepath.Join("testdata", "replay", "fleet.golden"), text)
}

func replayFiles(t *testing.T, args ...string) (stdout, stderr string, exit int) {
	t.Helper()
	var out, errs bytes.Buffer
	exit = run(t.Context(), append([]string{"replay"}, args...), nil, &out, &errs)
	return out.String(), errs.String(), exit
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What is wrong with names and periods is said, and what can be read is read.
func TestReportPatterns(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "[log]", string(read(t, decisionLog(t, young))))
	writeFile(t, "log.1", string(read(t, "[log]")))
	for _, tt := range []struct {
		args string
		exit int
		errs string
	}{
		{"[log]", exitDone, ""},
		{"l*", exitDone, ""},
		{"log.? [log]", exitDone, ""},
		{"log.1 no*", exitBad, "no*: no file matches this pattern"},
		{"log.1 [no", exitBad, "[no: no file of this name, and not a pattern"},
		{"--since=7d log.1", exitBad, "no judged mail in these files since 20"},
		{"--since=65535w log.1", exitDone, ""},
		{"--since=2026-11-01 log.1", exitDone, ""},
		{"--since=2026-11-01T00:00:00+01:00 log.1", exitDone, ""},
		{"--since=yesterday log.1", exitUsage, `"yesterday" is neither a length of time (36h, 7d, 2w), nor a date`},
		{"--since=0d log.1", exitUsage, "neither"},
		{"--since=-7d log.1", exitUsage, "neither"},
		{"--since=7 log.1", exitUsage, "neither"},
		{"--since=2026-02-30 log.1", exitUsage, "neither"},
	} {
		for _, command := range []string{"report", "replay --recorded-dns"} {
			exit, errs := tt.exit, tt.errs
			if command != "report" && strings.HasPrefix(errs, "no judged mail") {
				exit, errs = exitDone, ""
			}
			var out, stderr bytes.Buffer
			args := strings.Fields(command + " " + tt.args)
			got := run(t.Context(), args, nil, &out, &stderr)
			if got != exit || !strings.Contains(stderr.String(), errs) || errs == "" && stderr.Len() > 0 {
				t.Errorf("%s %s: exit %d, %s", command, tt.args, got, stderr.String())
			}
		}
	}
}
