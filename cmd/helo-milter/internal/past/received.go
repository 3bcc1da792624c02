package past

import (
	"fmt"
	"iter"
	"net/mail"
	"regexp"
	"slices"
	"strings"

	"helo-milter/checks"
	"helo-milter/checks/clean"
)

// received is a Received field by its clauses, RFC 5321 §4.4. A comment is a word of the clause that it is
// in. What is before any keyword is in "from": qmail's "(qmail 7 invoked by uid 0)".
type received map[string][]string

// keywords begin a clause. The last but one is Haraka's own; the last begins the date.
var keywords = []string{"from", "by", "via", "with", "id", "for", "envelope-from", ";"}

// parseReceived cuts a field at its keywords. The word behind a keyword is its value whatever it says, since
// a client may call itself "by". And a keyword counts once, but "with": s-qmail has another one for TLS.
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

// words are the words, the comments and the semicolons of a field.
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

// wordLen is the length of the word, the comment or the semicolon that s begins with. Comments nest, RFC 5322
// §3.2.2. One without an end takes all the rest, and so does a quoted string.
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

// text is a clause as it stands.
func (r received) text(key string) string { return strings.Join(r[key], " ") }

// word is the first word of a clause that is no comment.
func (r received) word(key string) string {
	for _, word := range r[key] {
		if word[0] != '(' {
			return word
		}
	}
	return ""
}

// by is the host that wrote the field.
func (r received) by() string { return checks.Canonical(r.word("by")) }

var (
	// inner is how mail goes on that is there already: to the mail store (RFC 2033), out of a mailbox, from
	// one's own web mail or filter. The client of such a field did not hand anything over to an SMTP server.
	inner = regexp.MustCompile(`(?i)^(?:(?:UTF8)?LMTPS?A?|POP3S?|IMAPS?|MAPI|HTTPS?|local|SpamAssassin)$`)

	// loggedIn are the protocols of a client that has logged in: RFC 3848, RFC 6531 §4.3.
	loggedIn = regexp.MustCompile(`(?i)^(?:UTF8)?E?SMTPS?A$`)

	// login is how others say so: "(Authenticated sender: me)" is Postfix, "(authenticated bits=0)" Sendmail.
	login = regexp.MustCompile(`(?i)^\(authenticated\b`)

	// sender is the envelope's: Exim writes envelope-from, qmail-ldap envelope-sender.
	sender = regexp.MustCompile(`^\(envelope-(?:from|sender) (\S*)\)$`)
)

// hop is what the host wrote of the client that handed the mail over to it. There is no client where the mail
// was there already, or was made on the host itself.
func (r received) hop() (Hop, error) {
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
		return h, fmt.Errorf("no known form of a client: %s", clean.Field(r.text("from")))
	}
	if f != nil {
		h.client(f, parts)
	}
	if f != nil && f.mta == "Exchange" {
		h.QueueID = "" // that was its version
	}
	return h, nil
}

// address is an address of the envelope without its brackets.
func address(word string) string { return strings.TrimSuffix(strings.TrimPrefix(word, "<"), ">") }
