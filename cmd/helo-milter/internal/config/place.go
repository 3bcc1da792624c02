package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// KeyError is an error about the value of a key that shows only when the value is used.
type KeyError struct {
	Key string // dotted
	Err error
}

func (e *KeyError) Error() string { return e.Key + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *KeyError) Unwrap() error { return e.Err }

// Placed puts the place of the key in front of a KeyError, as the mistakes that Load finds have it. Other
// errors, and those about a configuration without a file, stay as they are.
func (c *Config) Placed(err error) error {
	wrong, ok := errors.AsType[*KeyError](err)
	if !ok || c.File == "" {
		return err
	}
	line, col := locate(c.text, wrong.Key, 0)
	return fmt.Errorf("%s:%d:%d: %w", c.File, line, col, err)
}

var (
	tableLine = regexp.MustCompile(`^\s*\[\[?\s*([^\[\]]+?)\s*\]`)
	keyLine   = regexp.MustCompile(`^\s*([A-Za-z0-9_."'\- ]+?)\s*=`)
)

// locate finds where a key stands in a TOML text: line and column from 1. The library keeps the places
// of keys to itself. entry is the index of the table in a list of tables. What stands in an inline table
// is found by the key of that.
func locate(text []byte, path string, entry int) (line, col int) {
	table, seen := "", map[string]int{}
	for n, s := range strings.Split(string(text), "\n") {
		m, full := tableLine.FindStringSubmatchIndex(s), ""
		if m != nil {
			table = bare(s[m[2]:m[3]])
			full = table
			seen[table]++
		} else if m = keyLine.FindStringSubmatchIndex(s); m != nil {
			full = strings.TrimPrefix(table+"."+bare(s[m[2]:m[3]]), ".")
		}
		if m != nil && full == path && (table == "" || seen[table] == entry+1) {
			return n + 1, m[2] + 1
		}
	}
	if i := strings.LastIndexByte(path, '.'); i > 0 {
		return locate(text, path[:i], entry)
	}
	return 1, 1
}

// bare takes quotes and spaces out of a dotted key.
func bare(key string) string { return strings.NewReplacer(" ", "", `"`, "", "'", "").Replace(key) }
