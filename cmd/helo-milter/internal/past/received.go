package past

import (
	"iter"
	"net/mail"
	"regexp"
	"slices"
	"strings"

	"helo-milter/checks"
)

// received is a Received field by its clauses (RFC 5321 §4.4), each as its words. A comment is a word of the
// clause it is in. Words before any keyword, such as qmail's "(qmail 7 invoked by uid 0)", are in "from".
type received map[string][]string

// keywords begin a clause. "envelope-from" is Haraka's own; ";" begins the date.
var keywords = []string{"from", "by", "via", "with", "id", "for", "envelope-from", ";"}

// parseReceived cuts a field at its keywords. The word after a keyword is its value even if it is a keyword,
// since a client may call itself "by". Only the first of a keyword counts, but the last "with": s-qmail
// writes another one for TLS.
func parseReceived(field string) received {
	r := received{}
	at, value := "from", false
	for word := range words(field) {
		key := strings.ToLower(word)
		if !value && slices.Contains(keywords, key) && (r[key] == nil || key == "with") {
			at, value = key, true
			r[at] = nil
			continue
		}
		r[at] = append(r[at], word)
		value = false
	}
	return r
}

const blanks = " \t\r\n"

// words yields the words, comments and semicolons of a field.
func words(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for {
			s = strings.TrimLeft(s, blanks)
			n := wordLen(s)
			if n == 0 || !yield(s[:n]) {
				return
			}
			s = s[n:]
		}
	}
}

// wordLen returns the length of the word, comment or semicolon that s begins with. Comments nest (RFC 5322
// §3.2.2). An unterminated comment or quoted string extends to the end.
func wordLen(s string) int {
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && (quoted || depth > 0):
			i++
		case c == '"' && depth == 0:
			quoted = !quoted
		case quoted:
		case c == '(' && depth == 0 && i > 0:
			return i
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			if depth--; depth == 0 {
				return i + 1
			}
		case depth == 0 && strings.IndexByte(blanks+";", c) >= 0:
			return max(i, 1)
		}
	}
	return len(s)
}

// text returns a clause, its words joined by single spaces.
func (r received) text(key string) string { return strings.Join(r[key], " ") }

// word returns the first word of a clause that is not a comment, or "".
func (r received) word(key string) string {
	for _, word := range r[key] {
		if word[0] != '(' {
			return word
		}
	}
	return ""
}

// by returns the host that wrote the field.
func (r received) by() string { return checks.Canonical(r.word("by")) }

var (
	// inner are protocols inside a site: to the mail store (RFC 2033), out of a mailbox, from its web mail or
	// filter. The client of such a field has not handed the message over to an SMTP server.
	inner = regexp.MustCompile(`(?i)^(?:(?:UTF8)?LMTPS?A?|POP3S?|IMAPS?|MAPI|HTTPS?|local|SpamAssassin)$`)

	// loggedIn are the protocols of an authenticated client: RFC 3848, RFC 6531 §4.3.
	loggedIn = regexp.MustCompile(`(?i)^(?:UTF8)?E?SMTPS?A$`)

	// login is a comment about an authenticated client: "(Authenticated sender: me)" of Postfix,
	// "(authenticated bits=0)" of Sendmail.
	login = regexp.MustCompile(`(?i)^\(authenticated\b`)

	// sender is a comment with the envelope sender: envelope-from of Exim, envelope-sender of qmail-ldap.
	sender = regexp.MustCompile(`^\(envelope-(?:from|sender) (\S*)\)$`)
)

// hop returns what the host recorded of the client. There is no client if the message was inside already, or
// was submitted on the host itself. It is an error if the client is in no form of forms.go.
func (r received) hop() (Hop, *Broken) {
	protocol := r.word("with")
	h := Hop{By: r.by(), QueueID: r.word("id"), From: address(r.word("envelope-from"))}
	h.Login = loggedIn.MatchString(protocol) || slices.ContainsFunc(r["from"], login.MatchString)
	if at, err := mail.ParseDate(r.text(";")); err == nil {
		h.Time = at.UTC()
	}
	if to := address(r.word("for")); to != "" {
		h.To = []string{to}
	}
	for _, key := range keywords {
		for _, word := range r[key] {
			if m := sender.FindStringSubmatch(word); m != nil {
				h.From = address(m[1])
			}
		}
	}
	if inner.MatchString(protocol) {
		return h, nil
	}
	f, parts := findForm(r)
	if f == nil && r.word("from") != "" {
		return h, &Broken{Reason: "unknown form of client in Received", Text: r.client()}
	}
	if f != nil {
		h.client(f, parts)
	}
	if f != nil && f.mta == "Exchange" {
		h.QueueID = "" // Exchange writes its version there
	}
	return h, nil
}

// client returns what tells a form from others: the client, the host and its protocol.
func (r received) client() string {
	text := "from " + r.text("from")
	for _, key := range []string{"by", "with"} {
		if len(r[key]) > 0 {
			text += " " + key + " " + r.text(key)
		}
	}
	return text
}

// address returns an envelope address without its angle brackets.
func address(word string) string { return strings.TrimSuffix(strings.TrimPrefix(word, "<"), ">") }
