package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// config refuses what serve refuses, with the same words, and nothing that serve takes.
func TestConfigIsServe(t *testing.T) {
	const peers = "\n[limits]\npeers = [\"192.0.2.0/24\"]"
	for _, tt := range []struct{ text, says string }{ // says "" is taken
		{`listen = ["unix:DIR/sock"]`, ""},
		{`listen = ["unix:DIR/sock", "unix:DIR/other", "inet:127.0.0.1:PORT"]`, ""},
		{`listen = ["unix:DIR/sock", "local:DIR/sock"]`, "listen: local:DIR/sock: unix:DIR/sock is listened on"},
		{`listen = ["unix:DIR/sock", "unix:DIR/./sock"]`, "listen: "},
		{`listen = ["unix:DIR/file"]`, "listen: DIR/file exists and is not a socket"},
		{`listen = ["unix:DIR/a\u0000b"]`, "listen: "},
		{`listen = ["unix:DIR/` + strings.Repeat("a", 108) + `"]`, "listen: "},
		{`listen = ["inet:127.0.0.1:PORT", "inet:PORT@127.0.0.1"]`, "listen: inet:PORT@127.0.0.1: inet:127.0.0.1:PORT"},
		{`listen = ["inet:127.0.0.1:PORT", "inet:PORT@localhost"]`, "listen: "},
		{`listen = ["inet:127.0.0.1:PORT", "inet:0PORT@127.0.0.1"]`, "listen: "},
		{`listen = ["inet:127.0.0.1:PORT", "inet:127.0.0.2:PORT", "inet6:[::1]:PORT"]`, ""},
		{`listen = ["inet:0.0.0.0:PORT"]`, "listen: other hosts can connect to 0.0.0.0:PORT"},
		{`listen = ["inet:0.0.0.0:PORT"]` + peers, ""},
		{`listen = ["inet6:[::]:PORT", "inet:127.0.0.1:PORT"]` + peers, ""}, // of IPv6 alone
		{`listen = ["inet:0.0.0.0:PORT", "inet:127.0.0.1:PORT"]` + peers, "listen: "},
		{`listen = ["inet:127.0.0.1:PORT", "inet:0.0.0.0:PORT"]` + peers, "listen: "},
		{`listen = ["inet:0.0.0.0:PORT", "inet6:[::]:PORT"]` + peers, "listen: "}, // Go's 0.0.0.0 is IPv6's, too
		{`listen = ["inet:[::]:PORT", "inet6:[::1]:PORT"]` + peers, "listen: "},
		{`listen = ["inet:127.0.0.256:PORT"]` + peers, "listen: "},
		{`listen = ["inet6:127.0.0.1:PORT"]`, "listen: "},

		{"listen = [\"unix:DIR/sock\"]\nsocket_group = \"root\"", ""},
		{"listen = [\"unix:DIR/sock\"]\nsocket_group = \"nobody-knows\"", "socket_group: "},
		{"listen = [\"inet:127.0.0.1:PORT\"]\nsocket_group = \"nobody-knows\"", ""},

		{"listen = [\"unix:DIR/sock\"]\ndecision_log = \"-\"", ""},
		{"listen = [\"unix:DIR/sock\"]\ndecision_log = \"DIR/log\"", ""},
		{"listen = [\"unix:DIR/sock\"]\ndecision_log = \"DIR/file\"", ""},
		{"listen = [\"unix:DIR/sock\"]\ndecision_log = \"DIR\"", "decision_log: DIR is a directory"},
		{
			"listen = [\"unix:DIR/sock\"]\ndecision_log = \"DIR/helo-milter.toml\"",
			"decision_log: DIR/helo-milter.toml is the configuration file",
		},
		{"listen = [\"unix:DIR/sock\"]\ndecision_log = \"DIR/a\\u0000b\"", "decision_log: "},

		{"listen = [\"unix:DIR/sock\"]\n[http]\nlisten = \"127.0.0.1:PORT\"", ""},
		{"listen = [\"unix:DIR/sock\"]\n[http]\nlisten = \"localhost:PORT\"", ""},
		{"listen = [\"unix:DIR/sock\"]\n[http]\nlisten = \"unix:DIR/http\"", ""},
		{"listen = [\"unix:DIR/sock\"]\n[http]\nlisten = \"unix:DIR/sock\"", "http.listen: unix:DIR/sock: "},
		{"listen = [\"unix:DIR/sock\"]\n[http]\nlisten = \"unix:DIR/file\"", "http.listen: DIR/file exists"},
		{"listen = [\"inet:127.0.0.1:PORT\"]\n[http]\nlisten = \"127.0.0.1:PORT\"", "http.listen: "},
		{"listen = [\"unix:DIR/sock\"]\n[http]\nlisten = \":PORT\"", "http.listen: other hosts can connect to :PORT"},
		{"listen = [\"unix:DIR/sock\"]\n[http]\nlisten = \"0.0.0.0:PORT\"", "http.listen: "},
		{"listen = [\"unix:DIR/sock\"]\n[http]\nlisten = \":PORT\"\nallow = [\"192.0.2.0/24\"]", ""},
		{"listen = [\"unix:DIR/sock\"]\n[http]\nlisten = \"127.0.0.1:0\"", "http.listen: "},
		{"listen = [\"unix:DIR/sock\"]\n[header]\nname = \"Received\"", "header.name: "},
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "helo-milter.toml")
		names := strings.NewReplacer("DIR", dir, "PORT", freePort(t))
		text := names.Replace(tt.text)
		for name, content := range map[string]string{file: text, filepath.Join(dir, "file"): ""} {
			if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{"config", "--config", file}, nil, &stdout, &stderr)
		says := stderr.String()
		if (code == exitConfig) != (tt.says != "") || !strings.Contains(says, names.Replace(tt.says)) {
			t.Errorf("%s\nconfig: exit %d %s", text, code, says)
		}
		if place := strings.TrimPrefix(says, "helo-milter: "); code != exitDone && !strings.HasPrefix(place, file+":") {
			t.Errorf("%s\nconfig says no place: %s", text, says)
		}
		switch served, log := serves(t, file); {
		case served != (code == exitDone):
			t.Errorf("%s\nconfig: exit %d %s\nserve: %s", text, code, says, log)
		case !served && log != says:
			t.Errorf("%s\nconfig says %s\nserve says %s", text, says, log)
		}
	}
}

// A directory that is not there is a warning: it may be there at the start.
func TestConfigMissingDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	file := filepath.Join(t.TempDir(), "helo-milter.toml")
	text := fmt.Sprintf("listen = [\"unix:%s/sock\"]\ndecision_log = \"%s/log\"\n", dir, dir)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"config", "--config", file}, nil, &stdout, &stderr)
	want := "helo-milter: warning: " + dir + " does not exist: serve does not start without it\n"
	if code != exitDone || stderr.String() != want {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
	if served, log := serves(t, file); served || !strings.Contains(log, dir) {
		t.Errorf("serve says %s", log)
	}
}

// freePort is a port that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return fmt.Sprint(ln.Addr().(*net.TCPAddr).Port)
}

// serves reports whether serve takes a configuration, and what it says.
func serves(t *testing.T, file string) (served bool, log string) {
	t.Helper()
	var stdout, stderr output
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	exit := make(chan int, 1)
	go func() { exit <- run(ctx, []string{"serve", "--config", file}, nil, &stdout, &stderr) }()
	code := -1
	for code < 0 {
		select {
		case code = <-exit:
		case <-time.After(time.Millisecond):
			if strings.Contains(stderr.String(), "msg=serving") {
				stop()
			}
		}
	}
	if code != exitDone && code != exitConfig {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
	return strings.Contains(stderr.String(), "msg=serving"), stderr.String()
}
