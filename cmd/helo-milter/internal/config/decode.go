package config

import (
	"encoding"
	"fmt"
	"net/netip"
	"time"

	"helo-milter/checks"
)

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
	case *netip.Prefix:
		var text string
		if err := store(&text, value, "string"); err != nil {
			return err
		}
		prefix, err := parsePrefix(text)
		*p = prefix
		return err
	case *until:
		return p.store(value)
	case *[]string:
		return decodeList(p, value)
	case *[]netip.Addr:
		return decodeList(p, value)
	case *[]netip.Prefix:
		return decodeList(p, value)
	case *[]Address:
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
