package faults

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

var (
	pageRow  = regexp.MustCompile(`(?m)^\| (.+) \| (` + "`Test[^|]+" + `) \| (.+) \|$`)
	testName = regexp.MustCompile(`\bTest\w+`)
	testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
)

// README.md here has each story of this directory, and no story that does not exist.
func TestFaultsPage(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, row := range pageRow.FindAllStringSubmatch(string(page), -1) {
		named = append(named, testName.FindAllString(row[2], -1)...)
	}
	here := stories(t, "*_test.go")
	for _, name := range here {
		if name != t.Name() && !slices.Contains(named, name) {
			t.Errorf("README.md lacks %s", name)
		}
	}
	all := append(here, stories(t, "../*_test.go")...)
	for _, name := range named {
		if !slices.Contains(all, name) {
			t.Errorf("README.md has %s, which does not exist", name)
		}
	}
}

// stories returns the names of the tests in files.
func stories(t *testing.T, pattern string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range testFunc.FindAllStringSubmatch(string(text), -1) {
			names = append(names, name[1])
		}
	}
	return names
}
