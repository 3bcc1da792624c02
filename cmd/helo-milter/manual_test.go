package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"helo-milter/cmd/helo-milter/internal/completion"
	"helo-milter/cmd/helo-milter/internal/manual"
)

// model is the command line as kong sees it.
func model(t *testing.T) *kong.Application {
	t.Helper()
	parser, err := kong.New(new(commands), kong.Name("helo-milter"))
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model
}

// helo-milter(8) has every command that is not hidden and every flag, and the date of the newest release.
func TestManual(t *testing.T) {
	app := model(t)
	page, err := manual.Program(app)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "../../examples/man/helo-milter.8", page)
	for _, command := range app.Children {
		if command.Hidden {
			continue
		}
		if !strings.Contains(page, "\n.It Cm "+command.Name+"\n") {
			t.Errorf("%s is missing", command.Name)
		}
		for _, f := range append(command.Flags, app.Flags...) {
			if !regexp.MustCompile(`\n\.It .*Fl -` + f.Name + `( Ns .*)?\n`).MatchString(page) {
				t.Errorf("%s --%s is missing", command.Name, f.Name)
			}
		}
	}
	changes, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	newest := regexp.MustCompile(`(?m)^## .*$`).FindString(string(changes))
	if day := regexp.MustCompile(`\d{4}-\d\d-\d\d`).FindString(newest); day != "" && day != manual.Date {
		t.Errorf("the pages are of %s, and CHANGELOG.md's newest release is of %s", manual.Date, day)
	}
}

// The completions of the shells have every command and every flag. That shells take them is tested in integration.
func TestCompletions(t *testing.T) {
	app := model(t)
	for file, write := range map[string]func(*kong.Application) (string, error){
		"helo-milter.bash": completion.Bash, "_helo-milter": completion.Zsh, "helo-milter.fish": completion.Fish,
	} {
		text, err := write(app)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "../../examples/completions/"+file, text)
		for _, command := range app.Children {
			for _, f := range append(command.Flags, app.Flags...) {
				if !regexp.MustCompile(`(--|-l )` + f.Name + `\b`).MatchString(text) {
					t.Errorf("%s: %s --%s is missing", file, command.Name, f.Name)
				}
			}
		}
	}
}
