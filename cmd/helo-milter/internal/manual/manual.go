// Package manual writes the manual pages helo-milter(8) and helo-milter.toml(5), in mdoc(7), for the tests that
// keep examples/man. No part of the program imports it.
//
// Each page is a template, *.tmpl, with the sections that people write. What the program knows of itself is filled
// in: the command line, the configuration keys, the rule table. A part of the template that begins with
// {{define "NAME"}} is printed below the command, the key or the [table] of that name, after what the program
// itself says of it; it is an error when there is none of that name.
package manual

import (
	_ "embed"
	"fmt"
	"strings"
	"text/template"
	"time"
)

// Date is that of the pages, and changes with each release in CHANGELOG.md: the same source always makes the
// same pages.
const Date = "2026-11-28"

//go:embed helo-milter.8.tmpl
var milterPage string

//go:embed helo-milter.toml.5.tmpl
var configPage string

// page is a manual page that is being written.
type page struct {
	*template.Template
	used map[string]bool // the parts that have been printed
}

// render fills in a template. Its fields are functions without an argument, or with one text.
func render(text string, fields template.FuncMap, bind func(*page)) (string, error) {
	p := &page{template.New("page"), map[string]bool{"page": true}}
	bind(p)
	day, err := time.Parse(time.DateOnly, Date)
	if err != nil {
		return "", err
	}
	p.Funcs(fields).Funcs(template.FuncMap{"date": func() string { return day.Format("January 2, 2006") }})
	if _, err := p.Parse(text); err != nil {
		return "", err
	}
	var b strings.Builder
	if err := p.Execute(&b, nil); err != nil {
		return "", err
	}
	for _, t := range p.Templates() {
		if !p.used[t.Name()] {
			return "", fmt.Errorf("%q is neither a command nor a key", t.Name())
		}
	}
	return b.String(), nil
}

// part is what the template says of a command, a key or a table; "" is nothing.
func (p *page) part(name string) (string, error) {
	t := p.Lookup(name)
	if t == nil {
		return "", nil
	}
	p.used[name] = true
	var b strings.Builder
	err := t.Execute(&b, nil)
	return strings.TrimPrefix(b.String(), "\n"), err
}

// width is that of a line of text: mandoc -Tlint wants less than 80 bytes.
const width = 78

// prose is a text of sentences as lines of mdoc, each sentence on a line of its own.
func prose(text string) string {
	var b strings.Builder
	column, ended := 0, false
	for _, word := range strings.Fields(text) {
		switch {
		case column > 0 && (ended || column+1+len(word) > width):
			b.WriteByte('\n')
			column = 0
		case column > 0:
			b.WriteByte(' ')
			column++
		}
		ended = strings.HasSuffix(word, ".") || strings.HasSuffix(word, "?")
		word = escape(word)
		b.WriteString(word)
		column += len(word)
	}
	b.WriteByte('\n')
	return b.String()
}

// escape is a word that roff takes for nothing else, wherever it stands, also as an argument of a macro.
func escape(word string) string {
	word = strings.ReplaceAll(word, `\`, `\e`)
	word = strings.ReplaceAll(word, `"`, `\(dq`)
	if strings.HasPrefix(word, ".") || strings.HasPrefix(word, "'") {
		word = `\&` + word
	}
	return word
}

// sentence is a comment of the table of keys as a sentence. "a | b: why" are values.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	values, rest, _ := strings.Cut(text, ":")
	if list := strings.Split(values, " | "); len(list) > 1 {
		text = `one of "` + strings.Join(list, `", "`) + `"`
		if rest != "" {
			text += ":" + rest
		}
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
