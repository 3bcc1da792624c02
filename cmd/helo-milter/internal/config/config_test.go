package config

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden files anew")

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
		t.Errorf("%s differs (go test ./cmd/helo-milter/internal/config -update writes it)\n got %s\nwant %s",
			file, got, want)
	}
}

// Each file of testdata/config has one mistake, and beside it what is said about that.
func TestMistakes(t *testing.T) {
	files, err := filepath.Glob("testdata/config/*.toml")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d files in testdata/config (%v)", len(files), err)
	}
	for _, file := range files {
		c, err := Load(file)
		if c != nil || err == nil {
			t.Errorf("%s is taken", file)
			continue
		}
		golden(t, strings.TrimSuffix(file, ".toml")+".golden", err.Error()+"\n")
	}
}

// What a configuration is taken with, and may not have been meant to do.
func TestWarnings(t *testing.T) {
	c, err := Load("testdata/warnings.toml")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/warnings.golden", strings.Join(c.Warnings(), "\n")+"\n")
	if w := parse(t, "").Warnings(); len(w) > 0 {
		t.Errorf("the default: %s", w)
	}
}

func TestDefault(t *testing.T) {
	golden(t, "testdata/defaults.toml", Default())
	c := parse(t, "")
	// What is printed as default is what holds without a file.
	for name, text := range map[string]string{"config --default": Default(), "config": c.String()} {
		if got, want := parse(t, text).String(), c.String(); got != want {
			t.Errorf("%s is read as\n%s\nwant\n%s", name, got, want)
		}
	}
	// Without the comments it is the same, and the examples of the lists, which have all of their keys.
	got := parse(t, strings.ReplaceAll(Default(), "\n# ", "\n")).String()
	examples, found := strings.CutPrefix(got, c.String())
	if !found {
		t.Errorf("uncommented, it is read as\n%s\nwant first\n%s", got, c.String())
	}
	for _, l := range lists {
		for _, k := range l.keys(0) {
			if !strings.Contains(examples, "\n"+k.base()+" = ") {
				t.Errorf("the examples have no %s:\n%s", k.name, examples)
			}
		}
	}
}

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("test", []byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return c
}

// A file that sets every key is taken.
func TestEveryKey(t *testing.T) {
	c, err := Load("testdata/every-key.toml")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/every-key.golden", c.String())
	meta, err := toml.Decode(string(c.text), new(map[string]any))
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]bool{}
	for _, k := range meta.Keys() {
		set[strings.Join(k, ".")] = true
	}
	rows := slices.Concat(plainKeys, sumKeys)
	for _, l := range lists {
		rows = append(rows, l.keys(0)...)
	}
	for _, k := range rows {
		if !set[k.name] {
			t.Errorf("testdata/every-key.toml does not set %s", k.name)
		}
	}
}
