package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

// systemd accepts the units without a warning, and rates the exposure of the service at no more than 2.0 of
// 10.
func TestUnits(t *testing.T) {
	units, err := filepath.Glob("../examples/systemd/helo-milter.*")
	if err != nil || len(units) != 2 {
		t.Fatalf("units: %v, %v", units, err)
	}
	dir := t.TempDir()
	for i, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		units[i] = filepath.Join(dir, filepath.Base(unit))
		if strings.HasSuffix(unit, ".socket") && !strings.Contains(string(text), "ListenStream="+unitSocket+"\n") {
			t.Errorf("%s does not listen at %s, the socket in sendmail/tempfail.mc", unit, unitSocket)
		}
		here := strings.ReplaceAll(string(text), "/usr/sbin/helo-milter", rig.Binary())
		if err := os.WriteFile(units[i], []byte(here), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		append([]string{"verify"}, units...),
		{"security", "--offline=true", "--threshold=20", filepath.Join(dir, "helo-milter.service")},
	} {
		out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
		if err != nil || args[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
		}
	}
}

// Our configuration files are valid.
func TestExampleConfigs(t *testing.T) {
	files, err := filepath.Glob("../examples/*/*.toml")
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		if strings.Contains(file, "/vector/") {
			continue
		}
		if out, exit := rig.RunMilter(t, "config", "--config", file); exit != 0 {
			t.Errorf("%s: %d\n%s", file, exit, out)
		}
	}
}

// The compose files build a Dockerfile that exists, with the service name that the Postfix files use, and
// mount the configuration where the image reads it.
func TestCompose(t *testing.T) {
	files, err := filepath.Glob("../examples/*/*compose*")
	if err != nil || len(files) != 3 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		service := regexp.MustCompile(`(?s)\n  helo-milter:\n    build:\n      context: \./helo-milter\n` +
			`      dockerfile: (\S+)\n.*\n      - \./\S+:(\S+):ro\n`).FindSubmatch(text)
		if service == nil {
			t.Fatalf("%s:\n%s", file, text)
		}
		docker, err := os.ReadFile("../" + string(service[1]))
		config := `["serve", "--config", "` + string(service[2]) + `/helo-milter.toml"]`
		if err != nil || !strings.Contains(string(docker), config) {
			t.Errorf("%s: %s: %v\n%s", file, config, err, docker)
		}
	}
}
