package integration

import (
	"bufio"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
	"helo-milter/checks/clean"
)

// rsyslog is where integration/run has unpacked it.
const rsyslog = "/var/cache/helo-milter-rig/rsyslog"

// rsyslog, with Debian's configuration and the example, sends on each record that would be refused as it is,
// whatever was said in HELO and however long it is.
func TestRsyslog(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dir := t.TempDir()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	local := strings.NewReplacer("/var/log/helo-milter", dir, "/var/log/", dir+"/", "/var/spool/rsyslog", dir,
		"/etc/rsyslog.d/*.conf", dir+"/helo-milter.conf", "logs.example.net", "127.0.0.1", "5140", port,
		`module(load="imuxsock")`, "", `module(load="imklog")`, "") // this machine's own log
	for from, to := range map[string]string{
		rsyslog + "/etc/rsyslog.conf": "rsyslog.conf", "../examples/rsyslog/helo-milter.conf": "helo-milter.conf",
	} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		writeText(t, filepath.Join(dir, to), local.Replace(string(text)))
	}
	var want, others []string
	for _, text := range checkstest.Hostile(t) {
		want = append(want, recordLine(text, checks.Reject))
		others = append(others, recordLine(text, checks.Mark))
	}
	slices.Sort(want)
	all := append(append([]string{`{"v":1,"verdict":{"want":"reject`}, others...), want...)
	writeText(t, filepath.Join(dir, "decisions.jsonl"), strings.Join(all, "\n")+"\n")

	libraries := filepath.Dir(findOne(t, rsyslog+"/usr/lib/*/rsyslog/imfile.so"))
	cmd := exec.CommandContext(t.Context(), rsyslog+"/usr/sbin/rsyslogd", "-n", "-i", "NONE", "-M", libraries,
		"-f", filepath.Join(dir, "rsyslog.conf"))
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Dir(libraries))
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	got := receive(t, ln, len(want))
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%d records of %d arrived, or not as they were\n%s", len(got), len(want), said.String())
	}
}

// Vector is not run here. Its file is TOML, and what it reads goes through all components to the sink.
func TestVector(t *testing.T) {
	type component struct {
		Type   string
		Inputs []string
	}
	var file map[string]map[string]component
	if _, err := toml.DecodeFile("../examples/vector/helo-milter.toml", &file); err != nil {
		t.Fatal(err)
	}
	all := file["sources"]
	maps.Copy(all, file["transforms"])
	maps.Copy(all, file["sinks"])
	var way []string
	for c, ok := all["helo_milter"]; ok; c, ok = all[strings.Join(c.Inputs, "")] {
		way = append(way, c.Type)
	}
	if want := []string{"socket", "filter", "remap", "file"}; !slices.Equal(way, want) {
		t.Errorf("from the sink on there is %q, not %q", way, want)
	}
}

func writeText(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// recordLine is the record of a client that says a text everywhere, as much of it as an address has.
func recordLine(text string, action checks.Action) string {
	text = clean.Text(text, 1024)
	d := &checks.Decision{
		ID: "id1", MTA: text, MailFrom: text, RcptTo: slices.Repeat([]string{text}, 10),
		Verdict: checks.Verdict{Action: action, Rule: &checks.All[0]},
		Facts: &checks.Facts{
			Client: netip.MustParseAddr("203.0.113.9"), Greetings: []checks.Greeting{{Helo: checks.ParseHelo(text)}},
		},
	}
	return d.Record(false).String()
}

// receive returns the first lines that a connection brings.
func receive(t *testing.T, ln net.Listener, lines int) (got []string) {
	t.Helper()
	_ = ln.(*net.TCPListener).SetDeadline(time.Now().Add(20 * time.Second))
	conn, err := ln.Accept()
	if err != nil {
		t.Error(err)
		return nil
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(conn)
	for range lines {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Error(err)
			break
		}
		got = append(got, strings.TrimSuffix(line, "\n"))
	}
	return got
}

func findOne(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) != 1 {
		t.Fatalf("%s: %q, %v", pattern, files, err)
	}
	return files[0]
}
