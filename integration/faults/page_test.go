package faults

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the table of faults in the top README")

var (
	pageRow  = regexp.MustCompile(`(?m)^\| (.+) \| (` + "`Test[^|]+" + `) \| (.+) \|$`)
	testName = regexp.MustCompile(`\bTest\w+`)
	testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
)

// README.md here has each story of this directory, and no story that does not exist. The table of the top
// README has its rows in bold.
func TestFaultsPage(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	table := "| | |\n|---|---|\n"
	for _, row := range pageRow.FindAllStringSubmatch(string(page), -1) {
		fault, stories, noticed := row[1], row[2], row[3]
		named = append(named, testName.FindAllString(stories, -1)...)
		if bold, ok := strings.CutPrefix(fault, "**"); ok {
			table += fmt.Sprintf("| %s | %s |\n", strings.TrimSuffix(bold, "**"), noticed)
		}
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
	checkTable(t, "../../README.md", table)
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

// checkTable holds the generated table in a file against what it must be, or rewrites it.
func checkTable(t *testing.T, file, want string) {
	t.Helper()
	const begin = "<!-- faults: written by go test ./integration/faults -update -->\n"
	const end = "<!-- end of faults -->"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(text), begin)
	table, tail, ended := strings.Cut(rest, end)
	switch {
	case !found || !ended:
		t.Errorf("%s has no place for the table of faults", file)
	case *update:
		err = os.WriteFile(file, []byte(head+begin+want+end+tail), 0o644)
	case table != want:
		err = fmt.Errorf("%s has\n%s\nnot\n%s", file, table, want)
	}
	if err != nil {
		t.Error(err)
	}
}
