package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"helo-milter/checks"
)

// defaults is the commented default configuration: what holds without a file, key by key.
func defaults() string {
	standard := checks.NewPolicy(checks.Standard)
	return printKeys(func(k key) string {
		if k.value != "" {
			return fmt.Sprintf("%-38s # %s", k.base()+" = "+k.value, k.doc)
		}
		return fmt.Sprintf("# %s = %s", k.base(), k.ofRule(standard))
	})
}

// String is the configuration as a file of the same effect.
func (c *Config) String() string {
	policy := c.policy()
	text := printKeys(func(k key) string {
		if k.value != "" {
			return k.base() + " = " + literal(k.at(c))
		}
		return k.base() + " = " + k.ofRule(policy)
	})
	for _, a := range c.Allow {
		text += "\n[[allow]]\n"
		if a.Network.IsValid() {
			text += "network = " + literal(a.Network) + "\n"
		}
		if a.Name != "" {
			text += "name = " + literal(a.Name) + "\n"
		}
		if !a.Until.IsZero() {
			text += "until = " + a.Until.Format("2006-01-02T15:04:05Z07:00") + "\n"
		}
		text += "reason = " + literal(a.Reason) + "\n"
	}
	for _, d := range c.Deny {
		text += "\n[[deny]]\n"
		switch {
		case d.Network.IsValid():
			text += "network = " + literal(d.Network) + "\n"
		case d.PTR.String() != "":
			text += "ptr = " + literal(d.PTR) + "\n"
		default:
			text += "helo = " + literal(d.Helo) + "\n"
		}
	}
	return text
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
		b.WriteString(strings.TrimRight(line(k), " #") + "\n")
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

// literal is a value in TOML. Whatever a configuration holds is written there as it is in JSON.
func literal(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(b.String())
}
