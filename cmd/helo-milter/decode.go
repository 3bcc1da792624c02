package main

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"helo-milter/checks"
	"helo-milter/milter"
)

// duration is a time.Duration that is always written with its unit.
type duration time.Duration

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration, such as 5s or 500ms", text)
	}
	*d = duration(v)
	return nil
}

// fileMode is the mode of a socket file, in octal.
type fileMode uint32

func (m fileMode) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%04o", uint32(m)), nil }

func (m *fileMode) UnmarshalText(text []byte) error {
	v, err := strconv.ParseUint(string(text), 8, 9)
	if err != nil {
		return fmt.Errorf("%q is not a file mode in octal, such as 0660", text)
	}
	*m = fileMode(v)
	return nil
}

// stage is a milter.Stage as configuration files have it.
type stage milter.Stage

func (s stage) MarshalText() ([]byte, error) {
	if milter.Stage(s) == milter.AtMail {
		return []byte("mail"), nil
	}
	return []byte("rcpt"), nil
}

func (s *stage) UnmarshalText(text []byte) error {
	switch string(text) {
	case "rcpt":
		*s = stage(milter.AtRcpt)
	case "mail":
		*s = stage(milter.AtMail)
	default:
		return fmt.Errorf("%q is none of mail, rcpt", text)
	}
	return nil
}

// onDNSError is a checks.Action of which only two are allowed: a DNS failure never costs a 5xx.
type onDNSError checks.Action

func (a onDNSError) MarshalText() ([]byte, error) {
	if checks.Action(a) == checks.TempFail {
		return []byte("tempfail"), nil
	}
	return []byte("accept"), nil
}

func (a *onDNSError) UnmarshalText(text []byte) error {
	switch string(text) {
	case "accept":
		*a = onDNSError(checks.Mark)
	case "tempfail":
		*a = onDNSError(checks.TempFail)
	default:
		return fmt.Errorf("%q is none of accept, tempfail", text)
	}
	return nil
}

// network is a CIDR, an address, or "private".
type network struct {
	private bool
	prefix  netip.Prefix
}

func (n network) MarshalText() ([]byte, error) {
	if n.private {
		return []byte("private"), nil
	}
	return n.prefix.MarshalText()
}

func (n *network) UnmarshalText(text []byte) error {
	if string(text) == "private" {
		n.private = true
		return nil
	}
	prefix, err := parsePrefix(string(text))
	n.prefix = prefix
	return err
}

func parsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%q is not a network, such as 192.0.2.0/24 or 2001:db8::/32", s)
	}
	if p.Masked() != p {
		return p, fmt.Errorf("%q has bits beyond its length: did you mean %s?", s, p.Masked())
	}
	return p, nil
}

// decode stores a TOML value behind a pointer.
func decode(at, value any) error {
	switch p := at.(type) {
	case *string:
		return store(p, value, "string")
	case *bool:
		return store(p, value, "boolean")
	case *int:
		var v int64
		err := store(&v, value, "integer")
		*p = int(v)
		return err
	case *float64:
		if whole, ok := value.(int64); ok {
			value = float64(whole)
		}
		return store(p, value, "number")
	case **float64:
		*p = new(float64)
		return decode(*p, value)
	case **checks.Action:
		*p = new(checks.Action)
		return decode(*p, value)
	case *netip.Addr:
		var text string
		if err := store(&text, value, "string"); err != nil {
			return err
		}
		addr, err := netip.ParseAddr(text)
		if *p = addr.Unmap(); err != nil || addr.Zone() != "" {
			return fmt.Errorf("%q is not an IP address", text)
		}
		return nil
	case *[]string:
		return decodeList(p, value)
	case *[]netip.Addr:
		return decodeList(p, value)
	case *[]network:
		return decodeList(p, value)
	case encoding.TextUnmarshaler:
		var text string
		if err := store(&text, value, "string"); err != nil {
			return err
		}
		return p.UnmarshalText([]byte(text))
	}
	return fmt.Errorf("no way to decode into %T", at)
}

func store[T any](p *T, value any, want string) error {
	v, ok := value.(T)
	if !ok {
		return fmt.Errorf("wrong type: want %s, got %s", want, tomlType(value))
	}
	*p = v
	return nil
}

func decodeList[T any](p *[]T, value any) error {
	list, ok := value.([]any)
	if !ok {
		return fmt.Errorf("wrong type: want list, got %s", tomlType(value))
	}
	*p = make([]T, len(list))
	for i, v := range list {
		if err := decode(&(*p)[i], v); err != nil {
			return err
		}
	}
	return nil
}

func tomlType(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case int64:
		return "integer"
	case float64:
		return "float"
	case time.Time:
		return "date"
	case []any, []map[string]any:
		return "list"
	default:
		return "table"
	}
}

type failFunc func(path string, entry int, err error)

// readAllow reads the entries of [[allow]].
func (c *Config) readAllow(value any, fail failFunc) {
	for i, entry := range entries("allow", value, fail) {
		var allow checks.Allow
		for _, name := range entryKeys["allow"] {
			v, ok := entry[name]
			if !ok {
				continue
			}
			if err := setAllow(&allow, name, v); err != nil {
				fail("allow."+name, i, err)
			}
		}
		if entry["network"] == nil && entry["name"] == nil {
			fail("allow", i, errors.New("has neither network nor name, and would allow everybody"))
		}
		c.Allow = append(c.Allow, allow)
	}
}

func setAllow(a *checks.Allow, name string, value any) error {
	if name == "until" {
		err := store(&a.Until, value, "date")
		if a.Until.Location().String() == "date-local" {
			a.Until = a.Until.AddDate(0, 0, 1) // a date is over when the day is
		}
		return err
	}
	var text string
	if err := store(&text, value, "string"); err != nil {
		return err
	}
	var err error
	switch name {
	case "network":
		a.Network, err = parsePrefix(text)
	case "name":
		a.Name, err = listed(text), names([]string{text}, true)
	case "reason":
		a.Reason = text
	}
	return err
}

// readDeny checks the entries of [[deny]].
func (c *Config) readDeny(value any, fail failFunc) {
	for i, entry := range entries("deny", value, fail) {
		for _, name := range entryKeys["deny"] {
			if v, ok := entry[name]; ok {
				var text string
				if err := store(&text, v, "string"); err != nil {
					fail("deny."+name, i, err)
				}
			}
		}
		c.Deny++
	}
}

// entries returns the tables of a list, after a look at their keys.
func entries(list string, value any, fail failFunc) []map[string]any {
	var tables []map[string]any
	switch v := value.(type) {
	case nil:
	case []map[string]any:
		tables = v
	case []any: // inline tables
		for _, x := range v {
			table, _ := x.(map[string]any)
			tables = append(tables, table)
		}
	default:
		fail(list, 0, fmt.Errorf("wrong type: want [[%s]], got %s", list, tomlType(value)))
	}
	for i, table := range tables {
		for _, name := range slices.Sorted(maps.Keys(table)) {
			if !slices.Contains(entryKeys[list], name) {
				fail(list+"."+name, i, unknown(list+"."+name))
			}
		}
	}
	return tables
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
