// Package clean makes text from the network fit for what it is written into. A client, its DNS and the writer
// of a log may say any bytes: some end a line, begin a header field, move a terminal's cursor or turn the
// reading direction. The rule: a text is cleaned once, where it enters another text, by the function of that
// medium. Before that it is data, and is compared and judged as it is.
//
//	          medium               kept as it is                the rest becomes      bound
//	Reply     SMTP reply, advice   printable ASCII without " \  "?" for each byte     100 bytes
//	Token     header value         LDH and . : [ ] _            "?" for each byte     255 bytes
//	Log       attribute of slog    printable                    "?" for each rune     4096 bytes
//	JSON      line of JSON         printable                    \u escapes of JSON    none
//	Terminal  words of a line      printable                    escapes of Go         none
//	Quoted    quoted words         printable without " \        escapes of Go         limit runes, then "…"
//	Cell      quoted, in a column  printable without " \        escapes of Go         64 runes
//	Report    text, JSON, HTML     printable ASCII              "?" for each rune     64 runes, then ".."
//	Field     quoted, unreadable   printable ASCII without " \  escapes of Go         250 bytes
//	Name      a name to keep       printable ASCII              "?" for each rune     none
//	Text      a text to keep       UTF-8                        "?" for byte runs     limit bytes
//
// Printable is what unicode.IsPrint reports: no controls, line ends, bidi marks, nor blanks but the space. A
// byte that is no UTF-8 counts as one rune, U+FFFD, which Log does not keep; quotes of Go show the byte. LDH
// are letters, digits and hyphens of ASCII (RFC 5890 §2.3.1).
//
// To add a medium, write its row above, its function below with the reason for its bound, a few texts in
// TestMedia, and what may come out of it in a table of FuzzMedia. A medium without a caller has no function.
package clean

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Whole is the limit of a text that somebody has bounded already.
const Whole = math.MaxInt

// Reply is for the text of an SMTP reply, where it may be put between quotes. A line has at most 512 bytes
// (RFC 5321 §4.5.3.1.5), and most of them are for what we say.
func Reply(text string) string { return eachByte(first(text, 100), isQuotable) }

// Token is for a value in our header field, between semicolons. No host name is longer (RFC 1035 §2.3.4), and
// three of them fit into a line of 998 bytes (RFC 5322 §2.1.1).
func Token(text string) string { return eachByte(first(text, 255), isToken) }

// Log is for an attribute in the log. slog lets DEL through, and escapes the rest with Go's \x, which logfmt
// does not know. The bound has room for a list of recipients: a path has 256 bytes (RFC 5321 §4.5.3.1.3).
func Log(text string) string { return eachRune(first(text, 4096), isLogged, mask) }

// JSON is for a line of JSON, as json.Marshal writes it, and decodes to the same. encoding/json leaves DEL,
// C1 controls and bidi marks as they are, and a terminal obeys them.
func JSON(line string) string { return eachRune(line, unicode.IsPrint, escapeJSON) }

// AppendJSON appends a text as a string of JSON with its quotes: what JSON makes, to the byte, of what
// json.Marshal has made of the text, in one pass.
func AppendJSON(b []byte, text string) []byte {
	b = append(b, '"')
	for len(text) > 0 {
		n := 0
		for n < len(text) && isLiteral(text[n]) {
			n++
		}
		b, text = append(b, text[:n]...), text[n:]
		if r, size := utf8.DecodeRuneInString(text); size > 0 {
			b, text = appendRune(b, r, size), text[size:]
		}
	}
	return append(b, '"')
}

// isLiteral reports whether a byte stands for itself in a string of json.Marshal, which is fit for HTML, too.
func isLiteral(c byte) bool {
	return ' ' <= c && c <= '~' && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
}

// appendRune appends a rune of size bytes that is not literal.
func appendRune(b []byte, r rune, size int) []byte {
	switch i := strings.IndexRune("\"\\\b\f\n\r\t", r); {
	case r == utf8.RuneError && size == 1: // no UTF-8
		return append(b, `\ufffd`...)
	case i >= 0:
		return append(b, '\\', `"\bfnrt`[i])
	case r > '~' && unicode.IsPrint(r):
		return utf8.AppendRune(b, r)
	default:
		return append(b, escapeJSON(r)...)
	}
}

// Terminal is for text among words on a terminal. It stays whole, since it may be there to be copied.
func Terminal(text string) string { return eachRune(text, unicode.IsPrint, escapeGo) }

// Quoted is for text between quotes on a terminal: at most limit runes of it, and "…" where it is cut. In a
// text that is cut, bytes that are no UTF-8 are shown as U+FFFD.
func Quoted(text string, limit int) string {
	if head := firstRunes(text, limit); len(head) < len(text) {
		return strconv.Quote(string([]rune(head))) + "…"
	}
	return strconv.Quote(text)
}

// Cell is for text between quotes in a column on a terminal: two of them fit beside each other.
func Cell(text string) string { return strconv.Quote(firstRunes(text, 64)) }

// Report is for the report in all its forms: text, whose columns count bytes, JSON, and HTML, for which
// html/template escapes it once more. No label of a name is longer (RFC 1035 §2.3.4).
func Report(text string) string {
	const limit, end = 64, ".."
	text = eachRune(firstRunes(text, limit+1), isASCII, mask)
	if len(text) > limit {
		return text[:limit-len(end)] + end
	}
	return text
}

// Field is for the beginning of what could not be read of past mail, in an error: a clause or two of a Received
// field, or a log line up to where it says which program wrote it.
func Field(text string) string { return strconv.QuoteToASCII(first(text, 250)) }

// Name is for a name that a host wrote down and that is shown as it is: with anything but ASCII in it, it is
// no host name (RFC 5321 §4.1.2), neither before nor after. Its reader bounds it.
func Name(text string) string { return eachRune(text, isASCII, mask) }

// Text is for what is kept of a text until it enters a medium, such that JSON does not change it (RFC 8259
// §8.1). It has at most limit bytes, and does not keep the memory of the rest.
func Text(text string, limit int) string {
	if len(text) > limit {
		text = strings.Clone(text[:limit])
	}
	return strings.ToValidUTF8(text, "?")
}

// isPlain reports whether a text is printable ASCII, which every medium of runes keeps.
func isPlain(text string) bool {
	for i := range len(text) {
		if !isASCII(rune(text[i])) {
			return false
		}
	}
	return true
}

func isASCII(r rune) bool { return ' ' <= r && r <= '~' }

func isQuotable(r rune) bool { return isASCII(r) && r != '"' && r != '\\' }

func isToken(r rune) bool {
	switch r {
	case '-', '.', ':', '[', ']', '_':
		return true
	}
	return 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' || '0' <= r && r <= '9'
}

func isLogged(r rune) bool { return unicode.IsPrint(r) && r != utf8.RuneError }

// first has at most limit bytes of a text, which may end within a rune.
func first(text string, limit int) string { return text[:min(len(text), limit)] }

// firstRunes has at most limit runes of a text.
func firstRunes(text string, limit int) string {
	n := 0
	for i := range text {
		if n == limit {
			return text[:i]
		}
		n++
	}
	return text
}

func eachByte(text string, keep func(rune) bool) string {
	i := 0
	for i < len(text) && keep(rune(text[i])) {
		i++
	}
	if i == len(text) {
		return text
	}
	b := []byte(text)
	for ; i < len(b); i++ {
		if !keep(rune(b[i])) {
			b[i] = '?'
		}
	}
	return string(b)
}

func eachRune(text string, keep func(rune) bool, instead func(rune) string) string {
	if isPlain(text) {
		return text
	}
	var b strings.Builder
	b.Grow(len(text))
	for _, r := range text {
		if keep(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(instead(r))
		}
	}
	return b.String()
}

func mask(rune) string { return "?" }

func escapeGo(r rune) string { return strings.Trim(strconv.QuoteRune(r), "'") }

// escapeJSON is an escape of RFC 8259 §7: beyond the basic plane, one of each surrogate.
func escapeJSON(r rune) string {
	if r < 0x10000 {
		return fmt.Sprintf(`\u%04x`, r)
	}
	high, low := utf16.EncodeRune(r)
	return fmt.Sprintf(`\u%04x\u%04x`, high, low)
}
