package opensmtpd

import (
	"fmt"

	"helo-milter/checks"
)

// maxReply is the length of a reply line, in bytes: RFC 5321 §4.5.3.1.5, without CRLF.
const maxReply = 510

// replyLine returns a reply in one line, since smtpd takes no more.
func replyLine(r *checks.Reply) string {
	code := fmt.Sprintf("%d %s ", r.Code.Reply, r.Enhanced)
	return code + r.Line(maxReply-len(code))
}
