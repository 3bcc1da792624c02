package manual

import (
	"fmt"
	"strings"
	"text/template"

	"helo-milter/checks"
)

// Key is a configuration key, as the table of keys has it.
type Key struct {
	Name   string // dotted
	Value  string // in TOML: the default, or an example for the keys of a list
	Doc    string // the comment of `config --default`
	Bounds string // "between 1 and 9"; "" without any
}

// Table is a table of keys: "" for those that stand before all tables, or [table], or [[list]].
type Table struct {
	Heading string
	Doc     string // of a list
	Keys    []Key
}

// Configuration is helo-milter.toml(5). The keys of the rules are not among these: they are in the list of
// rules. It is an error if nothing says what a key is for, or if the template has a part of no key.
func Configuration(tables []Table) (string, error) {
	var p *page
	return render(configPage, template.FuncMap{
		"tables": func() (string, error) { return p.tables(tables) },
		"rules":  rules,
	}, func(made *page) { p = made })
}

func (p *page) tables(tables []Table) (string, error) {
	var b strings.Builder
	for _, t := range tables {
		if t.Heading != "" {
			fmt.Fprintf(&b, ".Ss %s\\&\n", t.Heading) // roff takes a bracket at the end for a delimiter
		}
		if t.Doc != "" {
			b.WriteString(prose(sentence(t.Doc)))
		}
		about, err := p.part(t.Heading)
		if err != nil {
			return "", err
		}
		b.WriteString(about)
		if len(t.Keys) == 0 {
			continue
		}
		b.WriteString(".Bl -tag -width Ds\n")
		for _, k := range t.Keys {
			more, err := p.part(k.Name)
			if err != nil {
				return "", err
			}
			if k.Doc+more == "" {
				return "", fmt.Errorf("nothing says what %s is for", k.Name)
			}
			b.WriteString(k.item())
			b.WriteString(more)
		}
		b.WriteString(".El\n")
	}
	return b.String(), nil
}

// item is a key with what the table of keys says of it.
func (k *Key) item() string {
	base := k.Name[strings.LastIndexByte(k.Name, '.')+1:]
	value := strings.Fields(k.Value)
	for i, word := range value {
		value[i] = escape(word)
	}
	item := fmt.Sprintf(".It Ic %s No = %s\n", base, strings.Join(value, " "))
	if text := sentence(k.Doc); text != "" {
		item += prose(text)
	}
	if k.Bounds != "" {
		item += prose(sentence(k.Bounds))
	}
	return item
}

// rules is the rule table.
func rules() string {
	var b strings.Builder
	b.WriteString(".Bl -tag -width Ds\n")
	for _, r := range checks.All {
		action := fmt.Sprintf("%v in each profile", r.Actions[0])
		if r.Actions[checks.Careful] != r.Actions[checks.Strict] {
			action = fmt.Sprintf("careful %v, standard %v, strict %v",
				r.Actions[checks.Careful], r.Actions[checks.Standard], r.Actions[checks.Strict])
		}
		fmt.Fprintf(&b, ".It Ic %s\n%s.br\n%s;\nscore %.1f; %d\\ %s\n",
			r.Name, prose(sentence(r.Doc)), action, r.Score, r.Code.Reply, r.Code.Enhanced)
	}
	b.WriteString(".El\n")
	return b.String()
}
