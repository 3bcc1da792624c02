package door

import (
	"fmt"
	"mime"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/emersion/go-msgauth/authres"

	"helo-milter/checks"
	"helo-milter/checks/clean"
)

// ResultsField is the name of the header field of RFC 8601.
const ResultsField = "Authentication-Results"

// AuthResults is what the host says in Authentication-Results (RFC 8601 §2.7.3), with the name that was
// confirmed as a comment. It is "", for no field, where nothing was looked up: "none" (§2.2) would speak for
// all that share our name, such as a DKIM verifier behind us, and stand on mail that our users send.
func AuthResults(host string, f *checks.Facts) string {
	iprev := f.Iprev()
	if iprev == "none" || !isPlain(host) {
		return ""
	}
	ip, comment := f.Client.String(), ""
	if f.Client.Is6() {
		ip = `"` + ip + `"` // a colon is not for tokens: RFC 2045 §5.1
	}
	if names := f.Confirmed(); len(names) > 0 && isPlain(names[0]) {
		comment = " (" + names[0] + ")"
	}
	return fmt.Sprintf("%s;\n\tiprev=%s policy.iprev=%s%s", host, iprev, ip, comment)
}

// isPlain reports whether a name can stand in a field as it is, unlike some that the DNS has.
func isPlain(name string) bool {
	const bytes = "abcdefghijklmnopqrstuvwxyz0123456789.-_"
	return name != "" && len(name) <= maxName && strings.Trim(name, bytes) == ""
}

// Claims reports whether an Authentication-Results field says that the host wrote it: RFC 8601 §5 has those
// removed at the border, whatever their version. What does not begin as §2.2 has it tells nothing to those
// who go by the RFC, and who does not may find our name anywhere in it: it is ours if the name is there,
// even as a MIME word, which Python's email package decodes in any field.
func Claims(value, host string) bool {
	head, ok := plainHead(value)
	id, _, err := authres.Parse(head)
	if ok && err == nil && id != "" {
		return checks.Canonical(clean.Text(id, maxName)) == host
	}
	text, err := new(mime.WordDecoder).DecodeHeader(value)
	return host != "" && (err != nil || strings.Contains(strings.Map(bare, text), host))
}

// bare leaves out what a reader may not see or may overlook: all but printable ASCII, in lower case.
func bare(r rune) rune {
	if r <= ' ' || r > '~' {
		return -1
	}
	return unicode.ToLower(r)
}

// plainHead is what stands before a field's first semicolon, without the comments and quotes that package
// authres does not know: the authserv-id and perhaps a version. It is not ok where they do not end, or where
// there is anything else.
func plainHead(value string) (head string, ok bool) {
	var b strings.Builder
	comments, quoted, escaped := 0, false, false
	for _, r := range value {
		switch {
		case r == utf8.RuneError, !unicode.IsPrint(r) && !unicode.IsSpace(r):
			return "", false
		case escaped || quoted && r != '"' && r != '\\':
			escaped = false
			if quoted {
				b.WriteRune(r)
			}
		case r == '\\' && (quoted || comments > 0):
			escaped = true
		case r == '(' && !quoted:
			comments++
			b.WriteByte(' ')
		case comments > 0:
			if r == ')' {
				comments--
			}
		case r == '"':
			quoted = !quoted
		case r == ';':
			return b.String(), true
		case strings.ContainsRune(`()<>@,:\/[]?=`, r): // RFC 2045's tspecials
			return "", false
		default:
			b.WriteRune(r)
		}
	}
	return b.String(), comments == 0 && !quoted
}
