package dnstest

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"
)

// The list of the package comment is that of the map.
func TestBehavioursAreDocumented(t *testing.T) {
	source, err := os.ReadFile("dnstest.go")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, line := range regexp.MustCompile(`(?m)^//\t([a-z-]+) {2,}\S`).FindAllSubmatch(source, -1) {
		documented = append(documented, string(line[1]))
	}
	slices.Sort(documented)
	if words := slices.Sorted(maps.Keys(behaviours)); !slices.Equal(words, documented) {
		t.Errorf("behaviours has %v\nthe comment %v", words, documented)
	}
}
