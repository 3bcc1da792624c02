package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// With -update, this package writes its golden files and the tables of README.md, and internal/config its own
// golden files. What differs says which of the two to run.
var update = flag.Bool("update", false, "write the golden files and README.md's table anew")

// golden compares with a file, or writes it with -update.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test ./cmd/helo-milter -update writes it)\n got %s\nwant %s", file, got, want)
	}
}

// Each mistake of a configuration is an error with its place (internal/config has what is said of each), and
// prints no configuration.
func TestConfigMistakes(t *testing.T) {
	files, err := filepath.Glob("internal/config/testdata/config/*.toml")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d files in testdata/config (%v)", len(files), err)
	}
	for _, file := range files {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{"config", "--config", file}, nil, &stdout, &stderr)
		if code != exitConfig || stdout.Len() > 0 {
			t.Errorf("%s: exit %d, %d bytes of output", file, code, stdout.Len())
		}
		if !strings.HasPrefix(stderr.String(), file+":") {
			t.Errorf("%s: the error does not begin with the file: %s", file, stderr.String())
		}
	}
}

// A configuration is printed as it takes effect, with a warning about an expired entry.
func TestConfig(t *testing.T) {
	var stdout, stderr bytes.Buffer
	args := []string{"config", "--config", "internal/config/testdata/every-key.toml"}
	if code := run(t.Context(), args, nil, &stdout, &stderr); code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr.String())
	}
	want, err := os.ReadFile("internal/config/testdata/every-key.golden")
	if err != nil || stdout.String() != string(want) {
		t.Errorf("%v, got %s", err, stdout.String())
	}
	golden(t, "testdata/every-key.warnings.golden", stderr.String())
}

func TestMissingFile(t *testing.T) {
	var stdout, stderr bytes.Buffer
	args := []string{"serve", "--config", "no-such-file"}
	if code := run(t.Context(), args, nil, &stdout, &stderr); code != exitConfig {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args string
		want int
	}{
		{"no-such-command", exitUsage},
		{"check", exitUsage},
		{"check mail.example.org mail.example.org", exitUsage},
		{"check --dns 192.0.2.53 192.0.2.1 mail.example.org", exitUsage},
		{"--no-such-flag", exitUsage},
		{"--help", exitDone},
		{"check --help", exitDone},
		{"version", exitDone},
		{"rules", exitDone},
		{"rules --markdown", exitDone},
		{"config --default", exitDone},
		{"health", exitBad}, // without http.listen
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), strings.Fields(tt.args), nil, &stdout, &stderr); code != tt.want {
			t.Errorf("%s: exit %d, want %d: %s", tt.args, code, tt.want, stderr.String())
		}
	}
}
