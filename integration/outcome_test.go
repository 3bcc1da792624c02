package integration

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"helo-milter/integration/rig"
)

// outcome is the expected result of a session, written as words:
//
//	accept, reject, tempfail, exempt          what the policy wants
//	pass, fail, temperror, permerror, none    iprev
//	550 5.7.1 RULE                            the reply in enforce mode starts so and names RULE, which fails
//	+RULE -RULE ?RULE                         the rule fails; does not fail; is unsure
//	score=1.5                                 the sum of the scores
//	only                                      no other rules fail or are unsure
type outcome struct {
	want, iprev, reply, rule, score string
	fails, passes, unsure           []string
	only                            bool
}

func parseOutcome(text string) (o outcome) {
	for word := range strings.FieldsSeq(text) {
		switch first := word[0]; {
		case word == "only":
			o.only = true
		case first == '+':
			o.fails = append(o.fails, word[1:])
		case first == '-':
			o.passes = append(o.passes, word[1:])
		case first == '?':
			o.unsure = append(o.unsure, word[1:])
		case first >= '0' && first <= '9':
			o.reply = strings.TrimSpace(o.reply + " " + word)
		case strings.HasPrefix(word, "score="):
			o.score = strings.TrimPrefix(word, "score=")
		case strings.Contains(word, "-"):
			o.rule = word
			o.fails = append(o.fails, word)
		case o.want == "":
			o.want = word
		default:
			o.iprev = word
		}
	}
	return o
}

// check compares the session with the expected outcome: the replies that the client got, the MTA's log and
// the delivered message.
func (s *session) check(o outcome) {
	s.Helper()
	defer func() {
		if s.Failed() {
			s.Logf("replies: %+v\n%s:\n%s\nmilter:\n%s", s.replies, s.mta, s.log, s.milter.Log())
		}
	}()
	for _, reply := range s.replies[1:] { // before the banner, MTAs do lookups of their own
		if reply.Took > 4*s.timeout { // on a machine at a quarter of the speed
			s.Errorf("%s took %v", reply.Said, reply.Took)
		}
	}
	if s.mode == "enforce" && o.reply != "" {
		s.checkRefusal(o)
		return
	}
	for _, reply := range s.replies {
		if reply.Code < 200 || reply.Code > 399 {
			s.Errorf("%s: %d %s", reply.Said, reply.Code, reply.Text)
		}
	}
	if s.server.Refusals(s.log, "MAIL")+s.server.Refusals(s.log, "RCPT") > 0 {
		s.Errorf("%s logged a refusal", s.mta)
	}
	if !s.Failed() {
		s.checkHeader(s.sink.Wait(s, 1)[0], o)
	}
}

// checkRefusal requires a refusal that tells its reader what is wrong, and no delivered message.
func (s *session) checkRefusal(o outcome) {
	s.Helper()
	at := "RCPT"
	if s.replyAtMail {
		at = "MAIL"
	}
	reply := s.reply(at)
	text := fmt.Sprint(reply.Code, " ", reply.Text)
	if s.asksPolicy() { // the protocol of policy services has one code for all that may be tried again
		o.reply = strings.Replace(o.reply, "451 ", "450 ", 1)
	}
	if !strings.HasPrefix(text, o.reply) {
		s.Errorf("the reply %q does not start with %s", text, o.reply)
	}
	if !strings.Contains(text, o.rule) || !strings.Contains(text, s.client.String()) || !s.quotesHelo(text) {
		s.Errorf("the reply %q lacks the rule, the client or the HELO", text)
	}
	s.checkReplyFormat(reply)
	s.checkLogged(at, reply.Code)
	if mails := s.sink.Mails(); len(mails) > 0 {
		s.Errorf("a refused message was delivered: %+v", mails)
	}
}

// checkReplyFormat requires reply lines within the limits of SMTP (RFC 5321 §4.5.3.1.5) and of the contract,
// a single line where the text fits, and enhanced codes of the reply code's class (RFC 2034 §4).
func (s *session) checkReplyFormat(reply rig.Reply) {
	s.Helper()
	lines := strings.Split(reply.Text, "\n")
	if len(lines) > 5 || len(lines) > 1 && len(reply.Text) <= 400 {
		s.Errorf("the reply has %d lines: %q", len(lines), reply.Text)
	}
	for _, line := range lines {
		code, text, _ := strings.Cut(line, " ")
		if !enhanced.MatchString(code) || code[0] != fmt.Sprint(reply.Code)[0] || len(text) > 400 ||
			len("550 \r\n")+len(line) > 512 {
			s.Errorf("a line of the reply %d is %q", reply.Code, line)
		}
	}
}

var enhanced = regexp.MustCompile(`^[45]\.\d\.\d{1,3}$`)

// checkLogged requires the refusal in the MTA's log, with the recipient and the HELO.
func (s *session) checkLogged(at string, code int) {
	s.Helper()
	helo := ""
	if greetings := s.greetings("STARTTLS"); len(greetings) > 0 { // discards earlier ones (RFC 3207 §4.2)
		helo = greetings[len(greetings)-1]
	}
	if entry := s.server.Refusal(at, s.client, code, helo); !regexp.MustCompile(entry).MatchString(s.log) {
		s.Errorf("the log of %s lacks %s", s.mta, entry)
	}
}

// quotesHelo reports whether the text quotes one of the session's greetings, unchanged, sanitized or in lower
// case.
func (s *session) quotesHelo(text string) bool {
	greetings := s.greetings()
	return len(greetings) == 0 || slices.ContainsFunc(greetings, func(name string) bool {
		return strings.Contains(text, `"`+name+`"`) || strings.Contains(text, `"`+headerToken(name)+`"`) ||
			strings.Contains(text, `"`+strings.ToLower(name)+`"`)
	})
}

var notToken = regexp.MustCompile(`[^A-Za-z0-9.:_\[\]-]`)

// headerToken returns a HELO as X-HELO-Check shows it.
func headerToken(s string) string { return notToken.ReplaceAllString(s, "?") }

var headerFormat = regexp.MustCompile(`^(accept|tempfail|reject|exempt); client=(\S+); helo=(\S*); ` +
	`iprev=(pass|fail|temperror|permerror|none); score=(\d+\.\d); rules=(\S+); unsure=(\S+); id=\S+$`)

// checkHeader compares the X-HELO-Check of a delivered message with the expected outcome.
func (s *session) checkHeader(mail rig.Mail, o outcome) {
	s.Helper()
	value := s.soleHeader(mail)
	part := headerFormat.FindStringSubmatch(value)
	if part == nil {
		s.Fatalf("the header does not match the contract: %s", value)
	}
	rules, unsure := ruleNames(part[6]), ruleNames(part[7])
	same := part[1] == o.want && part[2] == s.client.String() && (o.iprev == "" || part[4] == o.iprev) &&
		(o.score == "" || part[5] == o.score)
	if greetings := s.greetings(); len(greetings) > 0 {
		said := strings.TrimSuffix(headerToken(greetings[len(greetings)-1]), ".")
		same = same && strings.EqualFold(strings.TrimSuffix(part[3], "."), said)
	}
	same = same && allIn(o.fails, rules) && noneIn(o.passes, rules) && allIn(o.unsure, unsure)
	if o.only {
		same = same && allIn(rules, o.fails) && len(unsure) == len(o.unsure)
	}
	if !same {
		s.Errorf("got  %s\nwant %+v", value, o)
	}
}

// soleHeader returns the value of X-HELO-Check, which must occur once, above everything that the client sent.
func (s *session) soleHeader(mail rig.Mail) string {
	s.Helper()
	var at []int
	headers := mail.Headers()
	for i, header := range headers {
		if strings.EqualFold(header.Name, "X-HELO-Check") {
			at = append(at, i)
		}
	}
	if len(at) != 1 || at[0] > 0 {
		s.Fatalf("X-HELO-Check at %v in\n%s", at, mail.Text)
	}
	return headers[at[0]].Value
}

// ruleNames splits a list of rules as the header has it.
func ruleNames(s string) []string {
	if s == "none" {
		return nil
	}
	return strings.Split(s, ",")
}

// allIn reports whether every name is in the list.
func allIn(names, list []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(list, name) })
}

// noneIn reports whether no name is in the list.
func noneIn(names, list []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return slices.Contains(list, name) })
}
