package checks

import (
	"fmt"
	"slices"
	"strings"
)

// An enum of this package owns its text both ways: its values index a list of words.

func marshalEnum[E ~uint8](words []string, e E) ([]byte, error) {
	if int(e) >= len(words) {
		return nil, fmt.Errorf("no text for value %d", e)
	}
	return []byte(words[e]), nil
}

func unmarshalEnum[E ~uint8](words []string, e *E, text []byte) error {
	i := slices.Index(words, string(text))
	if i < 0 {
		return fmt.Errorf("%q is none of %s", text, strings.Join(words, ", "))
	}
	*e = E(i)
	return nil
}
