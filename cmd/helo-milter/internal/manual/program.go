package manual

import (
	"cmp"
	"fmt"
	"strings"
	"text/template"

	"github.com/alecthomas/kong"
)

// Program is helo-milter(8). It is an error if the template has a part of no command.
func Program(app *kong.Application) (string, error) {
	var p *page
	return render(milterPage, template.FuncMap{
		"synopsis": func() string { return synopsis(app) },
		"options":  func() string { return flagList(app.Flags) },
		"commands": func() (string, error) { return p.commands(app) },
	}, func(made *page) { p = made })
}

// synopsis has a line for each command.
func synopsis(app *kong.Application) string {
	var b strings.Builder
	for _, command := range app.Children {
		if command.Hidden {
			continue
		}
		b.WriteString(".Nm\n.Op Fl -config Ns = Ns Ar FILE\n")
		if command == app.DefaultCmd {
			fmt.Fprintf(&b, ".Op Cm %s\n", command.Name)
			continue
		}
		fmt.Fprintf(&b, ".Cm %s\n", command.Name)
		excluded := map[string][]string{} // flags that exclude each other
		for _, f := range command.Flags {
			for _, group := range f.Xor {
				excluded[group] = append(excluded[group], long(f))
			}
		}
		for _, f := range command.Flags {
			choice := long(f)
			if len(f.Xor) > 0 {
				choice = strings.Join(excluded[f.Xor[0]], " | ")
			}
			if f.Hidden || len(f.Xor) > 0 && long(f) != excluded[f.Xor[0]][0] {
				continue
			}
			fmt.Fprintf(&b, ".Op %s\n", choice)
		}
		b.WriteString(arguments(command))
	}
	return b.String()
}

// arguments are those of a command, a line each.
func arguments(command *kong.Node) string {
	var b strings.Builder
	for _, arg := range command.Positional {
		name := "Ar " + arg.Name
		if arg.IsCumulative() {
			name += " ..."
		}
		if !arg.Required {
			name = "Op " + name
		}
		fmt.Fprintf(&b, ".%s\n", name)
	}
	return b.String()
}

// commands is a list of the commands, and what there is to say about each.
func (p *page) commands(app *kong.Application) (string, error) {
	var b strings.Builder
	b.WriteString(".Bl -tag -width Ds\n")
	for _, command := range app.Children {
		if command.Hidden {
			continue
		}
		more, err := p.part(command.Name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, ".It Cm %s\n%s%s", command.Name, prose(command.Help), more)
		args, flags := "", flagItems(command.Flags)
		for _, arg := range command.Positional {
			args += fmt.Sprintf(".It Ar %s\n%s", arg.Name, prose(arg.Help))
		}
		if args+flags != "" {
			fmt.Fprintf(&b, ".Bl -tag -width Ds\n%s%s.El\n", args, flags)
		}
	}
	b.WriteString(".El\n")
	return b.String(), nil
}

func flagList(flags []*kong.Flag) string { return ".Bl -tag -width Ds\n" + flagItems(flags) + ".El\n" }

func flagItems(flags []*kong.Flag) string {
	var b strings.Builder
	for _, f := range flags {
		if f.Hidden {
			continue
		}
		name, text := long(f), f.Help
		if f.Short != 0 {
			name = fmt.Sprintf("Fl %c , %s", f.Short, name)
		}
		if f.HasDefault && !strings.Contains(text, f.Default) {
			text += " Default: " + f.Default + "."
		}
		if f.Enum != "" {
			text += " One of " + strings.Join(f.EnumSlice(), ", ") + "."
		}
		fmt.Fprintf(&b, ".It %s\n%s", name, prose(text))
	}
	return b.String()
}

// long is a flag in its long form.
func long(f *kong.Flag) string {
	name := "Fl -" + f.Name
	if f.IsBool() || f.IsCounter() {
		return name
	}
	return name + " Ns = Ns Ar " +
		cmp.Or(f.PlaceHolder, strings.ToUpper(f.Target.Type().Name()), strings.ToUpper(f.Name))
}
