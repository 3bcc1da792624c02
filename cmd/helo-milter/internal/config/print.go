package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"helo-milter/checks"
)

// Default is the commented default configuration: what holds without a file, key by key. What has no default
// is there as a comment: the profile's for the rules, and an example for the lists.
func Default() string {
	careful := checks.NewPolicy(checks.Careful) // the default of profile
	text := printKeys(func(k key) string {
		if k.value != "" {
			return commented(k.base()+" = "+k.value, k.doc)
		}
		return fmt.Sprintf("# %s = %s", k.base(), k.ofRule(careful))
	})
	for _, l := range lists {
		heading := "# [[" + l.name + "]]"
		text += "\n" + commented(heading, l.doc) + "\n"
		for n, k := range l.keys(0) {
			if n > 0 && l.single {
				text += "\n" + heading + "\n"
			}
			text += commented("# "+k.base()+" = "+k.value, k.doc) + "\n"
		}
	}
	return text
}

// commented is a line of the default configuration, with what there is to say about it.
func commented(line, doc string) string {
	return strings.TrimRight(fmt.Sprintf("%-38s # %s", line, doc), " #")
}

// String is the configuration as a file of the same effect.
func (c *Config) String() string {
	var b strings.Builder
	b.WriteString(printKeys(func(k key) string {
		if k.value != "" {
			return k.base() + " = " + literal(k.at(c))
		}
		return k.base() + " = " + k.ofRule(c.Judge.Policy)
	}))
	for _, l := range lists {
		for i := range l.size(c) {
			fmt.Fprintf(&b, "\n[[%s]]\n", l.name)
			for _, k := range l.keys(i) {
				if at := k.at(c); given(at) {
					fmt.Fprintf(&b, "%s = %s\n", k.base(), literal(at))
				}
			}
		}
	}
	b.WriteString(c.listedComment())
	return b.String()
}

// printKeys prints a line for each key, under the headings of their tables.
func printKeys(line func(key) string) string {
	var b strings.Builder
	table := ""
	for _, k := range keys {
		if t := strings.TrimSuffix(k.name, k.base()); t != table {
			table = t
			fmt.Fprintf(&b, "\n[%s]\n", strings.TrimSuffix(t, "."))
		}
		b.WriteString(line(k) + "\n")
	}
	return b.String()
}

// base is the last part of the key's name.
func (k *key) base() string { return k.name[strings.LastIndexByte(k.name, '.')+1:] }

// ofRule is the value that a policy has for the key of a rule.
func (k *key) ofRule(p *checks.Policy) string {
	i := checks.Index(k.base())
	if strings.HasPrefix(k.name, "rules.") {
		return literal(p.Actions[i])
	}
	return literal(p.Scores[i])
}

// given reports whether a list's entry has a value. A plain string always has one, which may be empty.
func given(at any) bool {
	_, plain := at.(*string)
	return plain || literal(at) != `""`
}

func (u *until) literal() string {
	switch {
	case u.Mended:
		return `"` + mended + `"`
	case u.Until.IsZero():
		return `""`
	default:
		return u.Until.Format("2006-01-02T15:04:05Z07:00")
	}
}

// literal is a value in TOML. Whatever a configuration holds is written there as it is in JSON, but dates.
func literal(v any) string {
	if u, ok := v.(*until); ok {
		return u.literal()
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(b.String())
}
