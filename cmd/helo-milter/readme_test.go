package main

import (
	"os"
	"strings"
	"testing"

	"helo-milter/cmd/helo-milter/internal/config"
)

// readmeBlock holds what is between two marks of README.md against a text.
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

// README.md has the rule table of the code, and only configuration that the code takes.
func TestReadme(t *testing.T) {
	text := readmeBlock(t, "../../README.md", "rules", markdown())
	blocks := strings.Split(text, "```toml\n")[1:]
	if len(blocks) < 3 {
		t.Errorf("README.md has %d pieces of configuration", len(blocks))
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		if _, err := config.Parse("README.md", []byte(block)); err != nil {
			t.Errorf("%v in\n%s", err, block)
		}
	}
}
