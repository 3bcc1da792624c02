package integration

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

// Every story with both MTAs.
func TestStories(t *testing.T) {
	told := &retold{logs: map[string]string{}}
	all := slices.Concat(stories, dynamicStories, listStories, spfStories, policyStories, mistakeStories)
	everyWay(t, func(t *testing.T, w way) {
		for i, story := range all {
			if !w.holds(i, story.says, story.outcome) || w.lacks(story.says) != "" {
				continue
			}
			t.Run(story.client+" "+story.says, func(t *testing.T) {
				t.Parallel()
				s := w.hold(t, story.config, story.client, story.says, rig.Message)
				s.judge(parseOutcome(story.outcome))
				told.keep(s, story.config)
			})
		}
	})
	told.replay(t)
}

// outcome is what must become of a session, written as words:
//
//	accept, reject, tempfail, exempt          what the policy wants
//	pass, fail, temperror, permerror, none    iprev
//	550 5.7.1 RULE                            how the reply begins, and the rule that it names
//	+RULE -RULE ?RULE                         is among the failing rules, is not, is unsure
//	score=1.5                                 the sum
//	only                                      no rules fail or are unsure beyond those named
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

// judge compares the session with the outcome at the client's reply, in the MTA's log and in the delivered
// message.
func (s *session) judge(o outcome) {
	s.Helper()
	defer func() {
		if s.Failed() {
			s.Logf("replies: %+v\n%s:\n%s\nmilter:\n%s", s.replies, s.mta, s.log, s.milter.Log())
		}
	}()
	for _, reply := range s.replies[1:] { // before the banner MTAs do look-ups of their own
		if reply.Took > 4*s.timeout { // on a machine of a quarter of the speed
			s.Errorf("%s took %v", reply.Said, reply.Took)
		}
	}
	if s.mode == "enforce" && o.reply != "" {
		s.refused(o)
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
		s.header(s.sink.Wait(s, 1)[0], o)
	}
}

// refused wants a refusal that tells a stranger what is wrong, and nothing delivered.
func (s *session) refused(o outcome) {
	s.Helper()
	at := "RCPT"
	if s.early {
		at = "MAIL"
	}
	reply := s.reply(at)
	text := fmt.Sprint(reply.Code, " ", reply.Text)
	if !strings.HasPrefix(text, o.reply) {
		s.Errorf("the reply %q does not begin with %s", text, o.reply)
	}
	if !strings.Contains(text, o.rule) || !strings.Contains(text, s.client.String()) || !s.quotesHelo(text) {
		s.Errorf("the reply %q lacks the rule, the client or the HELO", text)
	}
	s.wellFormed(reply)
	s.logged(at, reply.Code)
	if mails := s.sink.Mails(); len(mails) > 0 {
		s.Errorf("a refused message was delivered: %+v", mails)
	}
}

// wellFormed wants lines that fit SMTP (RFC 5321 §4.5.3.1.5) and the contract, no more of them than it
// takes, and enhanced codes of the reply code's class (RFC 2034 §4).
func (s *session) wellFormed(reply rig.Reply) {
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

// logged wants the refusal in the MTA's log, with the recipient and the HELO.
func (s *session) logged(at string, code int) {
	s.Helper()
	helo := ""
	if greetings := s.greetings("STARTTLS"); len(greetings) > 0 { // it forgets the others (RFC 3207 §4.2)
		helo = greetings[len(greetings)-1]
	}
	if entry := s.server.Refusal(at, s.client, code, helo); !regexp.MustCompile(entry).MatchString(s.log) {
		s.Errorf("the log of %s lacks %s", s.mta, entry)
	}
}

// reply is the answer to the last command that begins so.
func (s *session) reply(command string) rig.Reply {
	s.Helper()
	for _, reply := range slices.Backward(s.replies) {
		if strings.HasPrefix(reply.Said, command) {
			return reply
		}
	}
	s.Fatalf("%s was never said: %+v", command, s.replies)
	return rig.Reply{}
}

// greetings are the names that the client said in the session, or in it after the last such command. XCLIENT
// begins another session.
func (s *session) greetings(after ...string) (names []string) {
	for _, reply := range s.replies {
		switch verb, name, _ := strings.Cut(reply.Said, " "); {
		case verb == "EHLO" || verb == "HELO":
			names = append(names, name)
		case verb == "XCLIENT" || slices.Contains(after, verb):
			names = nil
		}
	}
	return names
}

// quotesHelo tells whether the text has one of the session's greetings in quotes, as it was or cleaned.
func (s *session) quotesHelo(text string) bool {
	greetings := s.greetings()
	return len(greetings) == 0 || slices.ContainsFunc(greetings, func(name string) bool {
		return strings.Contains(text, `"`+name+`"`) || strings.Contains(text, `"`+clean(name)+`"`) ||
			strings.Contains(text, `"`+strings.ToLower(name)+`"`)
	})
}

var unclean = regexp.MustCompile(`[^A-Za-z0-9.:_\[\]-]`)

// clean is a value as the header has it.
func clean(s string) string { return unclean.ReplaceAllString(s, "?") }

var grammar = regexp.MustCompile(`^(accept|tempfail|reject|exempt); client=(\S+); helo=(\S*); ` +
	`iprev=(pass|fail|temperror|permerror|none); score=(\d+\.\d); rules=(\S+); unsure=(\S+); id=\S+$`)

// header checks the X-HELO-Check of a delivered message.
func (s *session) header(mail rig.Mail, o outcome) {
	s.Helper()
	value := s.onlyHeader(mail)
	part := grammar.FindStringSubmatch(value)
	if part == nil {
		s.Fatalf("the header is not as the contract has it: %s", value)
	}
	rules, unsure := list(part[6]), list(part[7])
	same := part[1] == o.want && part[2] == s.client.String() && (o.iprev == "" || part[4] == o.iprev) &&
		(o.score == "" || part[5] == o.score)
	if greetings := s.greetings(); len(greetings) > 0 {
		said := strings.TrimSuffix(clean(greetings[len(greetings)-1]), ".")
		same = same && strings.EqualFold(strings.TrimSuffix(part[3], "."), said)
	}
	same = same && all(o.fails, rules, true) && all(o.passes, rules, false) && all(o.unsure, unsure, true)
	if o.only {
		same = same && all(rules, o.fails, true) && len(unsure) == len(o.unsure)
	}
	if !same {
		s.Errorf("got  %s\nwant %+v", value, o)
	}
}

// onlyHeader is the value of the one X-HELO-Check, which must stand above everything the client sent.
func (s *session) onlyHeader(mail rig.Mail) string {
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

// list splits a list of rules.
func list(s string) []string {
	if s == "none" {
		return nil
	}
	return strings.Split(s, ",")
}

// all tells whether every name is in the list, or none is.
func all(names, list []string, in bool) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return slices.Contains(list, name) != in })
}
