package integration

import (
	"os"
	"path/filepath"
	"regexp"
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
		for _, line := range []string{"read_only: true", "cap_drop: [ALL]", "no-new-privileges:true"} {
			if !strings.Contains(string(text), line) { // as TestContainer runs it
				t.Errorf("%s: no %s", file, line)
			}
		}
	}
}
