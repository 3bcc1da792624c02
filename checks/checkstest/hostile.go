// Package checkstest has what the tests of several packages say to the program.
package checkstest

import (
	_ "embed"
	"fmt"
	"strings"
	"testing"
)

//go:embed hostile.txt
var hostile string

// Hostile returns texts that a client may say, by name: those of hostile.txt, each as often as it says there.
func Hostile(t testing.TB) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for line := range strings.Lines(hostile) {
		var name, text string
		var times int
		if _, err := fmt.Sscanf(line, "%q %q %d", &name, &text, &times); err != nil {
			t.Fatalf("hostile.txt: %s: %v", line, err)
		}
		texts[name] = strings.Repeat(text, times)
	}
	return texts
}
