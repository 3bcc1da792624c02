package main

import (
	"os"
	"strings"
	"testing"
)

// README.md has the rule table of the code, and only configuration that the code takes.
func TestReadme(t *testing.T) {
	const file, begin, end = "../../README.md", "-update -->\n", "<!-- end of rules -->"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(text), begin)
	_, tail, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatal("README.md has no place for the rule table")
	}
	golden(t, file, head+begin+markdown()+end+tail)

	blocks := strings.Split(string(text), "```toml\n")[1:]
	if len(blocks) < 3 {
		t.Errorf("README.md has %d pieces of configuration", len(blocks))
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		if err := builtin().read("README.md", []byte(block)); err != nil {
			t.Errorf("%v in\n%s", err, block)
		}
	}
}
