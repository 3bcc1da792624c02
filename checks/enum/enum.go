// Package enum gives the values of an enum their text, both ways. A type has a table of its words and two
// methods:
//
//	var modes = enum.Words[Mode]{{Observe, "observe"}, {Enforce, "enforce"}}
//
//	func (m Mode) MarshalText() ([]byte, error)     { return modes.Marshal(m) }
//	func (m *Mode) UnmarshalText(text []byte) error { return modes.Unmarshal(m, text) }
package enum

import (
	"fmt"
	"strings"
)

// Words are the texts of an enum's values, in the order in which an error lists them.
type Words[E ~uint8] []struct {
	Value E
	Text  string
}

// Text returns the text of a value, or "" for a value that has none.
func (w Words[E]) Text(value E) string {
	for _, word := range w {
		if word.Value == value {
			return word.Text
		}
	}
	return ""
}

// Marshal returns the text of a value, for encoding.TextMarshaler. A value without one is an error.
func (w Words[E]) Marshal(value E) ([]byte, error) {
	if text := w.Text(value); text != "" {
		return []byte(text), nil
	}
	return nil, fmt.Errorf("no text for value %d", value)
}

// Unmarshal sets a value by its text, for encoding.TextUnmarshaler. The error for any other text lists those
// that there are, and leaves the value as it was.
func (w Words[E]) Unmarshal(value *E, text []byte) error {
	for _, word := range w {
		if word.Text == string(text) {
			*value = word.Value
			return nil
		}
	}
	all := make([]string, len(w))
	for i, word := range w {
		all[i] = word.Text
	}
	return fmt.Errorf("%q is none of %s", text, strings.Join(all, ", "))
}
