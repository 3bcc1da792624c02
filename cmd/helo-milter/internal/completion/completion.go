// Package completion writes the completions of bash, zsh and fish from the command line, for the tests that keep
// examples/completions. No part of the program imports it.
package completion

import (
	_ "embed"
	"fmt"
	"strings"
	"text/template"

	"github.com/alecthomas/kong"
)

//go:embed bash.tmpl
var bash string

//go:embed zsh.tmpl
var zsh string

//go:embed fish.tmpl
var fish string

// Bash is the completion of bash 4 and later.
func Bash(app *kong.Application) (string, error) { return write(bash, app) }

// Zsh is the completion of zsh 5 and later, for a file _helo-milter in its fpath.
func Zsh(app *kong.Application) (string, error) { return write(zsh, app) }

// Fish is the completion of fish 3 and later.
func Fish(app *kong.Application) (string, error) { return write(fish, app) }

func write(text string, app *kong.Application) (string, error) {
	t, err := template.New("").Funcs(template.FuncMap{
		"takes": takes, "choices": choices, "isFile": isFile, "names": names, "quote": quote, "spec": spec,
		"filesAfter": filesAfter, "join": func(list []string) string { return strings.Join(list, " ") },
	}).Parse(text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, app)
	return b.String(), err
}

// takes reports whether a flag has a value.
func takes(f *kong.Flag) bool { return !f.IsBool() && !f.IsCounter() }

// choices are the values of an enumeration, or none.
func choices(v *kong.Value) []string {
	if v.Enum == "" {
		return nil
	}
	return v.EnumSlice()
}

// isFile reports whether a value is the name of a file or directory.
func isFile(v *kong.Value) bool {
	return v.Name == "file" || v.Flag != nil && v.Flag.PlaceHolder == "FILE"
}

// filesAfter reports whether a command has arguments that are files.
func filesAfter(command *kong.Node) bool {
	for _, arg := range command.Positional {
		if isFile(arg) {
			return true
		}
	}
	return false
}

// names are the flags of a command as they are typed, also the short ones.
func names(flags []*kong.Flag) string {
	var list []string
	for _, f := range flags {
		if f.Hidden {
			continue
		}
		list = append(list, "--"+f.Name)
		if f.Short != 0 {
			list = append(list, fmt.Sprintf("-%c", f.Short))
		}
	}
	return strings.Join(list, " ")
}

// quote is a text in single quotes as the shells have them: fish takes a backslash before a quote, and bash and
// zsh end the quotes for one, which fish takes, too.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// spec is a flag for zsh's _arguments: '(--all)--all[Show every rule.]'. A flag excludes itself and those that
// exclude it, unless it can be given more than once.
func spec(f *kong.Flag, flags []*kong.Flag) string {
	meaning := strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, ":", `\:`).Replace(f.Help)
	value, form := "", "--"+f.Name
	if takes(f) {
		form += "="
		value = ":" + f.Name + ": "
		if list := choices(f.Value); list != nil {
			value = ":" + f.Name + ":(" + strings.Join(list, " ") + ")"
		} else if isFile(f.Value) {
			value = ":" + f.Name + ":_files"
		}
	}
	if f.IsCumulative() {
		return quote("*" + form + "[" + meaning + "]" + value)
	}
	excluded := []*kong.Flag{f}
	for _, other := range flags {
		if other != f && len(f.Xor) > 0 && len(other.Xor) > 0 && f.Xor[0] == other.Xor[0] {
			excluded = append(excluded, other)
		}
	}
	exclude := "(" + names(excluded) + ")"
	line := quote(exclude + form + "[" + meaning + "]" + value)
	if f.Short != 0 {
		line += " " + quote(exclude+fmt.Sprintf("-%c[%s]%s", f.Short, meaning, value))
	}
	return line
}
