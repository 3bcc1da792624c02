package past

import (
	"cmp"
	"iter"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"time"

	"helo-milter/checks"
)

// received is a Received field by its clauses (RFC 5321 §4.4), each as its words. A comment is a word of the
// clause it is in. Words before any keyword, such as qmail's "(qmail 7 invoked by uid 0)", are in "from".
type received map[string][]string

// keywords begin a clause. "envelope-from" is Haraka's own; ";" begins the date.
var keywords = []string{"from", "by", "via", "with", "id", "for", "envelope-from", ";"}

// unclear is the key of what a field cannot be believed for: another "by", since a client may have written the
// first.
const unclear = "unclear"

// parseReceived cuts a field at its keywords. The word after a keyword is its value even if it is a keyword,
// since a client may call itself "by". Only the first of a keyword counts.
//
// In a field that begins with "from", a client whose HELO its server does not check may have written anything
// up to "by", such as "x with LMTP". So a keyword counts there only with the last word before "by": behind the
// HELO stands the address. And another "by" further on, even inside a comment or in quotes, makes the field
// unclear.
func parseReceived(field string) received {
	r, all := received{}, slices.AppendSeq(make([]string, 0, 32), words(field))
	rest, last := all, []string(nil)
	if n := clientWords(all); n > 0 {
		client := slices.DeleteFunc(slices.Clone(all[1:n]), func(word string) bool { return word == ";" })
		if end := len(client) - 2; end > 0 && slices.Contains(keywords, client[end]) {
			client, last = client[:end], client[end:]
		}
		r["from"], rest = client, all[n:]
	}
	at, begin, value := "from", 0, false
	for i, word := range rest {
		if len(rest) < len(all) && (i > 0 && !value && isBy(rest[i:]) || hidesBy(word)) {
			r[unclear] = []string{word}
		}
		key := strings.ToLower(word)
		first := (key != at || i == 0) && r[key] == nil
		if value = !value && first && slices.Contains(keywords, key); value {
			r.add(at, rest[begin:i])
			at, begin = key, i+1
		}
	}
	r.add(at, rest[begin:])
	if last != nil && r[last[0]] == nil {
		r[last[0]] = last[1:]
	}
	return r
}

// add adds words to a clause. It copies them: clauses must not share their room to grow.
func (r received) add(key string, words []string) {
	if len(words) > 0 {
		r[key] = append(r[key], words...)
	}
}

// clientWords returns how many words stand before "by" in a field that begins with "from", or 0. If "by" is in
// a comment or in quotes, it stands behind all of them.
func clientWords(all []string) int {
	if len(all) < 2 || !strings.EqualFold(all[0], "from") {
		return 0
	}
	for n := 1; n < len(all); n++ {
		if n > 1 && isBy(all[n:]) || hidesBy(all[n]) {
			return n
		}
	}
	return 0
}

// isBy reports whether the name of a host follows on "by". qmail-scanner writes "by uid 7", and some
// configurations of Exim "by authid <me>". Exchange Online writes "with MailboxResubmission by AntispamTT".
func isBy(all []string) bool {
	return strings.EqualFold(all[0], "by") &&
		(len(all) < 2 || !slices.Contains([]string{"uid", "authid", "AntispamTT"}, all[1]))
}

// hidesBy reports whether "by" is in a comment or in quotes, such as those that a client has opened in its HELO
// and closed in its envelope sender. Servers write it there only before the last word: "(authenticated by me)".
func hidesBy(word string) bool {
	if !holds(word, "by") {
		return false
	}
	found := hidden.FindStringIndex(word)
	return found != nil && !lastWord.MatchString(word[found[1]:])
}

// holds reports whether a text has some letters of ASCII in it, in upper or lower case. It rules out most texts
// before a regular expression, which takes far longer.
func holds(text, lower string) bool {
	for i := range len(text) - len(lower) + 1 {
		if text[i]|0x20 == lower[0] && strings.EqualFold(text[i:i+len(lower)], lower) {
			return true
		}
	}
	return false
}

var (
	hidden   = regexp.MustCompile(`(?i)\bby\s`)
	lastWord = regexp.MustCompile(`^[^\s()]+\)$`)
)

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
	// passed are protocols that take a message over from another host inside: to the mail store (RFC 2033),
	// or out of a mailbox. getmail writes "POP3-SSL" and "IMAP4-SSL"; fetchmail any protocol, and its own
	// name. The client of such a field has not handed the message over to an SMTP server.
	passed = regexp.MustCompile(
		`(?i)^(?:(?:UTF8)?LMTPS?A?|S?POP3?(?:S|-?SSL)?|IMAP4?(?:S|-?SSL)?|getmail|SDPS)$`)
	fetched = regexp.MustCompile(`^\((?:fetchmail|getmail|mpop)\b`)

	// inside are protocols on a host, or from its mail store or filter.
	inside = regexp.MustCompile(`(?i)^(?:MAPI|local|internal|queue|SpamAssassin|qmail-scanner\S*)$`)

	// web are the protocols of web mail, whose user has logged in; but also of Microsoft's mail stores.
	web = regexp.MustCompile(`(?i)^HTTPS?(?:U|REST)?$`)

	viaWeb = regexp.MustCompile(`^\(via HTTPS?\)$`) // of the web mail of GMX and mail.com

	// loggedIn are the protocols of an authenticated client: RFC 3848, RFC 6531 §4.3, "asmtp" of old Exim, and
	// "ESMTP AUTH" of others.
	loggedIn = regexp.MustCompile(`(?i)^(?:(?:UTF8)?E?SMTPS?A|ASMTPS?|E?SMTP-AUTH|AUTH)$`)

	// login is a comment about an authenticated client: "(Authenticated sender: me)" of Postfix,
	// "(authenticated bits=0)" of Sendmail, "(AUTH: LOGIN me)" of Courier, "(smtp-auth username me, ...)" of
	// qpsmtpd, "(SquirrelMail authenticated user me)".
	login = regexp.MustCompile(`(?i)^\((?:SquirrelMail )?(?:(?:authenticated(?:[- ](?:sender|user|as|by))?|` +
		`(?:smtp[-_ ]?)?auth|sasl|account)(?:\)|[ :=,]+<?([^\s)>]*))|A=(\S*))`)

	// gmxLogin is where only customers of GMX hand in mail, and log in. It writes so in no other way.
	gmxLogin = regexp.MustCompile(`^mail\.gmx\.(?:net|com) \(mp\w`)

	// sender is a comment with the envelope sender: envelope-from of Exim, envelope-sender of qmail-ldap.
	sender = regexp.MustCompile(`^\(envelope-(?:from|sender) (\S*)\)$`)

	// local are the clauses from of mail that came from no client: qmail's queue, programs on the host
	// (Sendmail, Majordomo, Debian's bug tracker), bounces of Sendmail and Haraka, OpenSMTPD's socket,
	// Microsoft's pickup.
	local = regexp.MustCompile(`^(?:|\(\S+ (?:\S+ )*invoked (?:by|for|from) [^()]*\)|` +
		`\((?:from )?[^\s()[\]]+@[^\s()[\]]+\)|\(at [^\s()]+\)|localhost \(localhost\)|` +
		`\(Haraka outbound\)|\S+ \(\S+ \[local\]\)|mail pickup service)$`)
)

// hop returns what the host recorded of the client. There is no client if the message was inside already, or
// was submitted on the host itself. It is an error if the client is in no form of forms.go.
func (r received) hop() (Hop, *Broken) {
	h := r.envelope()
	if r[unclear] != nil {
		return h, r.unread()
	}
	protocol := cmp.Or(r.word("with"), r.word("via"))
	if slices.ContainsFunc(r["by"], viaWeb.MatchString) {
		protocol = "HTTP"
	}
	h.passed = passed.MatchString(protocol) || slices.ContainsFunc(r["with"], fetched.MatchString)
	if h.passed || inside.MatchString(protocol) {
		return h, nil
	}
	from := r.text("from")
	switch m := r.match(); {
	case m != nil:
		h.client(m)
		h.Login = web.MatchString(protocol) || r.login(m.rest) || m.login() || gmxLogin.MatchString(r.text("by"))
		if m.mta == "Exchange" {
			h.QueueID = "" // Exchange writes its version there
		}
	case local.MatchString(from) || web.MatchString(protocol) || r.queued():
		h.Login = from != "" && web.MatchString(protocol) || r.login(from)
	default:
		return h, r.unread()
	}
	return h, nil
}

func (r received) unread() *Broken {
	return &Broken{Reason: "unknown form of client in Received", Text: r.client()}
}

// filter reports whether a field is of a content filter that qmail starts in the place of its queue: the field
// below has the client. simscan names no host, and qmail-scanner perhaps not the one that qmail does.
func (r received) filter() bool {
	return strings.HasPrefix(r.word("with"), "qmail-scanner-") ||
		r["from"] == nil && strings.HasPrefix(r.text("by"), "simscan ")
}

// queued reports whether a field is of a program that writes a user or a part of itself in the place of a
// client: DragonFly's mail agent, which accepts no mail from outside, and Oracle's Messaging Server.
func (r received) queued() bool {
	by := r.text("by")
	return strings.Contains(by, " (DragonFly Mail Agent") ||
		strings.Contains(by, " Messaging Server ") && r["with"] == nil
}

// envelope returns what a field says of the message.
func (r received) envelope() Hop {
	h := Hop{By: r.by(), QueueID: r.word("id"), From: address(r.word("envelope-from"))}
	if at, err := parseDate(r.text(";")); err == nil {
		h.Time = at.UTC()
	}
	if to := address(r.word("for")); to != "" {
		h.To = []string{to}
	}
	for _, key := range keywords {
		for _, word := range r[key] {
			if !strings.HasPrefix(word, "(envelope-") {
				continue
			}
			if m := sender.FindStringSubmatch(word); m != nil {
				h.From = address(m[1])
			}
		}
	}
	return h
}

// parseDate is mail.ParseDate, which tries 24 other forms before the one that nearly all servers write.
func parseDate(text string) (time.Time, error) {
	date, zone, named := strings.Cut(text, " (")
	if !named || strings.IndexAny(zone, "()\\\r") == len(zone)-1 && strings.HasSuffix(zone, ")") {
		if at, err := time.Parse("Mon, 2 Jan 2006 15:04:05 -0700", date); err == nil {
			return at, nil
		}
	}
	return mail.ParseDate(text)
}

// login reports whether the host wrote that the client has logged in: in the protocol, or in a comment. rest
// is the clause from without what the client may have written.
func (r received) login(rest string) bool {
	for _, word := range r["with"] {
		if strings.ContainsAny(word, "aA") && loggedIn.MatchString(word) {
			return true
		}
	}
	for word := range words(rest + " " + r.host()) {
		if word[0] != '(' {
			continue
		}
		if m := login.FindStringSubmatch(word); m != nil && !strings.EqualFold(m[1], "none") {
			return true
		}
	}
	return false
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
