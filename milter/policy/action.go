package policy

import (
	"strconv"
	"strings"

	"helo-milter/checks"
)

// maxReply is how long an SMTP reply may be, in bytes with its CRLF (RFC 5321 §4.5.3.1.5), and around is what Postfix
// puts around our text, without the recipient.
const (
	maxReply = 512
	around   = "550 5.7.25 <>: Recipient address rejected: \r\n"
	minText  = 200
)

// refusal returns the action of a reply, in one line. A temporary one does not hide that Postfix refuses for good.
func (s *session) refusal(reply *checks.Reply, r *request) string {
	if reply == nil {
		return dunno
	}
	action := strconv.Itoa(reply.Code.Reply)
	if reply.Code.Reply < 500 {
		action = "DEFER_IF_PERMIT"
	}
	text := reply.Line(max(minText, maxReply-len(around)-len(r.recipient)))
	return action + " " + reply.Enhanced + " " + text
}

// header returns the action that adds our header field, once per message.
func (s *session) header() string {
	if s.message.header {
		return dunno
	}
	value := s.Value()
	if value == "" {
		return dunno
	}
	s.message.header = true
	s.Marked(value)
	return "PREPEND " + s.Config.Header + ": " + strings.ReplaceAll(value, "\n\t", " ")
}
