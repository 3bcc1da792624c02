package opensmtpd

import (
	"fmt"
	"strings"

	"helo-milter/checks"
)

// maxReply is the length of a reply line, in bytes: RFC 5321 §4.5.3.1.5, without CRLF.
const maxReply = 510

// replyLine returns a reply in one line, since smtpd takes no more. Where that is too long, it is the
// middle that goes: what is wrong is at the beginning, and the rule and help_url are at the end.
func replyLine(r *checks.Reply) string {
	text := strings.Join(r.Lines, " ")
	code := fmt.Sprintf("%d %s ", r.Code.Reply, r.Enhanced)
	most := maxReply - len(code)
	if len(text) <= most {
		return code + text
	}
	const gap = " ..."
	tail := text[max(strings.LastIndex(text, " Rule: "), 0):]
	if len(tail)+len(gap) > most {
		return code + text[:most]
	}
	head := text[:most-len(tail)-len(gap)]
	return code + head[:max(strings.LastIndexByte(head, ' '), 0)] + gap + tail
}
