package main

import (
	"os"
	"path"
	"strings"
	"testing"

	"helo-milter/cmd/helo-milter/internal/config"
)

// readmeBlock holds what is between two marks of a README against a text.
func readmeBlock(t *testing.T, file, name, want string) (readme string) {
	t.Helper()
	begin := "<!-- " + name + ": written by go test ./cmd/helo-milter -update -->\n"
	end := "<!-- end of " + name + " -->"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(text), begin)
	_, tail, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for %s", file, name)
	}
	golden(t, file, head+begin+want+end+tail)
	return string(text)
}

// The READMEs have only configuration that the code takes, the top one is short, and checks/README.md has the
// rule table of the code.
func TestReadme(t *testing.T) {
	readmeBlock(t, "../../checks/README.md", "rules", markdown())
	blocks := 0
	for _, dir := range []string{".", "checks", "dnscache", "examples", "cmd/helo-milter/internal/daemon"} {
		name := path.Join(dir, "README.md")
		text, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(string(text), "\n"); dir == "." && lines > 200 {
			t.Errorf("%s has %d lines, more than 200", name, lines)
		}
		for _, block := range strings.Split(string(text), "```toml\n")[1:] {
			block, _, _ = strings.Cut(block, "```")
			if _, err := config.Parse(name, []byte(block)); err != nil {
				t.Errorf("%v in\n%s", err, block)
			}
			blocks++
		}
	}
	if blocks < 5 {
		t.Errorf("%d pieces of configuration", blocks)
	}
}
