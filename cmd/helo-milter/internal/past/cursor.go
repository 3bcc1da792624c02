package past

import (
	"bytes"
	"encoding"
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"helo-milter/checks"
)

// cursor reads a line of JSON of a known form from left to right. At the first that is of another form, it sets
// other, and what it returns from then on means nothing.
type cursor struct {
	rest  []byte
	first bool // at the beginning of an object, where a key has no comma
	other bool

	raw    string // the last HELO, which a record has three times
	parsed checks.Helo
	digits string // the last address
	ip     netip.Addr
}

// must reads a piece of the form: one that begins or ends an object or an array.
func (in *cursor) must(piece string) {
	rest, ok := bytes.CutPrefix(in.rest, []byte(piece))
	in.rest, in.first = rest, piece == "{"
	in.other = in.other || !ok
}

// peek reports whether a key is the next.
func (in *cursor) peek(key string) bool {
	text, n := in.rest, len(key)
	if !in.first {
		if len(text) == 0 || text[0] != ',' {
			return false
		}
		text = text[1:]
	}
	return len(text) > n+2 && text[0] == '"' && string(text[1:n+1]) == key && text[n+1] == '"' && text[n+2] == ':'
}

// has reads a key, if it is the next.
func (in *cursor) has(key string) bool {
	if in.other || !in.peek(key) {
		return false
	}
	n := len(key) + len(`"":`)
	if !in.first {
		n++
	}
	in.rest, in.first = in.rest[n:], false
	return true
}

func (in *cursor) key(key string) { in.other = !in.has(key) || in.other }

// object reads a key and the beginning of its object.
func (in *cursor) object(key string) {
	in.key(key)
	in.must(`{`)
}

// literally reads a key with this value, if it is the next. No other value of the key is of the form.
func (in *cursor) literally(key, value string) bool {
	is := in.has(key)
	if is {
		in.must(value)
	}
	return is
}

// quoted reads a string as it is in the line, with its quotes; plain reports that nothing between them is
// escaped or has to be checked.
func (in *cursor) quoted() (text []byte, plain bool) {
	plain = true
	for i := 1; i < len(in.rest) && in.rest[0] == '"'; i++ {
		switch c := in.rest[i]; {
		case c == '"':
			text, in.rest = in.rest[:i+1], in.rest[i+1:]
			return text, plain
		case c == '\\':
			plain = false
			i++
		case c < ' ' || c > '~':
			plain = false
		}
	}
	in.other = true
	return []byte(`""`), true
}

// value reads a string.
func (in *cursor) value() (text string) {
	quoted, plain := in.quoted()
	if plain {
		return string(quoted[1 : len(quoted)-1])
	}
	if text, ok := unescaped(quoted[1 : len(quoted)-1]); ok {
		return text
	}
	in.other = json.Unmarshal(quoted, &text) != nil || in.other
	return text
}

// unescaped returns a text of printable ASCII whose escapes are of one letter, as those of our headers and replies are.
func unescaped(escaped []byte) (text string, ok bool) {
	const letters, meanings = `"\/bfnrt`, "\"\\/\b\f\n\r\t" // RFC 8259 §7
	b := make([]byte, 0, len(escaped))
	for i := 0; i < len(escaped); i++ {
		c := escaped[i]
		if c < ' ' || c > '~' {
			return "", false
		}
		if c == '\\' {
			i++
			at := strings.IndexByte(letters, escaped[i]) // quoted has seen to it that there is one
			if at < 0 {
				return "", false
			}
			c = meanings[at]
		}
		b = append(b, c)
	}
	return string(b), true
}

func (in *cursor) text(key string) string {
	in.key(key)
	return in.value()
}

func (in *cursor) optional(key string) string {
	if in.has(key) {
		return in.value()
	}
	return ""
}

// word reads a value of an enum.
func (in *cursor) word(key string, value encoding.TextUnmarshaler) {
	in.key(key)
	text, plain := in.quoted()
	in.other = !plain || value.UnmarshalText(text[1:len(text)-1]) != nil || in.other
}

func (in *cursor) time(key string, value *time.Time) {
	in.key(key)
	text, _ := in.quoted()
	in.other = value.UnmarshalJSON(text) != nil || in.other
}

func (in *cursor) helo(key string) checks.Helo {
	in.key(key)
	return in.heloValue()
}

func (in *cursor) heloValue() checks.Helo {
	if raw := in.value(); raw != in.raw || in.parsed.Form == 0 {
		in.raw, in.parsed = raw, checks.ParseHelo(raw)
	}
	return in.parsed
}

func (in *cursor) addr(key string) netip.Addr {
	in.key(key)
	return in.addrValue()
}

func (in *cursor) addrValue() netip.Addr {
	text, plain := in.quoted()
	if digits := text[1 : len(text)-1]; string(digits) != in.digits {
		in.digits = string(digits)
		in.other = in.ip.UnmarshalText(digits) != nil || in.other
	}
	in.other = in.other || !plain
	return in.ip
}

// count reads a number without a sign or a fraction, of at most nine digits.
func (in *cursor) count(key string) int {
	in.key(key)
	n, err := strconv.Atoi(string(in.numeral()))
	in.other = err != nil || n > 999_999_999 || in.other
	return n
}

// number reads a number without an exponent.
func (in *cursor) number(key string) float64 {
	in.key(key)
	n, err := strconv.ParseFloat(string(in.numeral()), 64)
	in.other = err != nil || in.other
	return n
}

// numeral reads digits, and perhaps a point between them (RFC 8259 §6).
func (in *cursor) numeral() []byte {
	n, points := 0, 0
	for ; n < len(in.rest) && (in.rest[n] == '.' || '0' <= in.rest[n] && in.rest[n] <= '9'); n++ {
		if in.rest[n] == '.' {
			points++
		}
	}
	text := in.rest[:n]
	in.rest = in.rest[n:]
	switch {
	case n == 0, points > 1, text[0] == '.', text[n-1] == '.', n > 1 && text[0] == '0' && text[1] != '.':
		in.other = true
	}
	return text
}

// list reads an array, or null.
func list[T any](in *cursor, key string, value func(*cursor) T) []T {
	in.key(key)
	if bytes.HasPrefix(in.rest, []byte(`null`)) {
		in.must(`null`)
		return nil
	}
	in.must(`[`)
	values := []T{}
	for !in.other && len(in.rest) > 0 && in.rest[0] != ']' {
		if len(values) > 0 {
			in.must(`,`)
		}
		values = append(values, value(in))
	}
	in.must(`]`)
	return values
}

// optionalList reads an array that is left out if it would be empty.
func optionalList[T any](in *cursor, key string, value func(*cursor) T) []T {
	if in.other || !in.peek(key) {
		return nil
	}
	return list(in, key, value)
}
