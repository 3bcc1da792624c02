package integration

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// overstrike is how a text has bold and underlined letters: each is written twice.
var overstrike = regexp.MustCompile(`.\x08`)

// The manual pages are valid mdoc without a warning, and no line of theirs is wider than a terminal.
func TestManualPages(t *testing.T) {
	pages, err := filepath.Glob("../examples/man/*.[58]")
	if err != nil || len(pages) != 2 {
		t.Fatalf("%v, %v", pages, err)
	}
	for _, page := range pages {
		out, _ := exec.Command("mandoc", "-Tlint", page).CombinedOutput() // exits with the worst of its messages
		for line := range strings.Lines(string(out)) {
			installed := strings.Contains(line, "referenced manual not found") || strings.Contains(line, "mandoc.db")
			if !installed { // else it is about this machine
				t.Error(line)
			}
		}
		out, err := exec.Command("mandoc", "-Tascii", "-Owidth=78", page).CombinedOutput()
		if err != nil || len(out) < 5000 {
			t.Fatalf("%s: %v, %d bytes", page, err, len(out))
		}
		for line := range strings.Lines(string(out)) {
			if plain := overstrike.ReplaceAllString(line, ""); len(plain) > 80 {
				t.Errorf("%s: %d columns: %s", page, len(plain), plain)
			}
		}
	}
}
