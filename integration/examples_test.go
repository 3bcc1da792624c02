package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

// The units are what systemd takes, without a warning, and shut the milter in: its exposure is at most 2.0 of 10.
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
