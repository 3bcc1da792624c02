package integration

import (
	"path/filepath"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

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
