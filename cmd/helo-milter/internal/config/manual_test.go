package config

import (
	"math"
	"strings"
	"testing"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/manual"
)

// helo-milter.toml(5) has every key with its default, its comment and its bounds, and every rule.
func TestManual(t *testing.T) {
	var tables []manual.Table
	for _, k := range keys {
		heading := ""
		if table := strings.TrimSuffix(k.name, k.base()); table != "" {
			heading = "[" + strings.TrimSuffix(table, ".") + "]"
		}
		if len(tables) == 0 || tables[len(tables)-1].Heading != heading {
			tables = append(tables, manual.Table{Heading: heading})
		}
		if last := &tables[len(tables)-1]; k.value != "" {
			last.Keys = append(last.Keys, k.documented())
		}
	}
	for _, l := range lists {
		table := manual.Table{Heading: "[[" + l.name + "]]", Doc: l.doc}
		for _, k := range l.keys(0) {
			table.Keys = append(table.Keys, manual.Key{Name: k.name, Value: k.value, Doc: k.doc})
		}
		tables = append(tables, table)
	}
	page, err := manual.Configuration(tables)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "../../../../examples/man/helo-milter.toml.5", page)
	for _, table := range tables {
		for _, k := range table.Keys {
			if base := k.Name[strings.LastIndexByte(k.Name, '.')+1:]; !strings.Contains(page, "\n.It Ic "+base+" ") {
				t.Errorf("%s is missing", k.Name)
			}
		}
	}
	for _, r := range checks.All {
		if !strings.Contains(page, "\n.It Ic "+r.Name+"\n") {
			t.Errorf("%s is missing", r.Name)
		}
	}
	_, example, _ := strings.Cut(page, ".Sh EXAMPLES")
	for _, block := range strings.Split(example, ".Bd -literal -offset indent\n")[1:] {
		block, _, _ = strings.Cut(block, ".Ed")
		if _, err := Parse("example", []byte(block)); err != nil {
			t.Errorf("%v in\n%s", err, block)
		}
	}
}

// documented is a key as the manual page has it. What its check says of a value that is too large are the
// bounds.
func (k *key) documented() manual.Key {
	c, bounds := &Config{}, ""
	switch at := k.at(c).(type) {
	case *int:
		*at = math.MaxInt
	case *float64:
		*at = math.MaxFloat64
	case *duration:
		*at = math.MaxInt64
	default:
		return manual.Key{Name: k.name, Value: k.value, Doc: k.doc}
	}
	if k.check != nil {
		_, bounds, _ = strings.Cut(k.check(c).Error(), " is not ")
	}
	return manual.Key{
		Name: k.name, Value: k.value, Doc: k.doc,
		Bounds: strings.NewReplacer("h0m0s", "h", "m0s", "m").Replace(bounds),
	}
}
