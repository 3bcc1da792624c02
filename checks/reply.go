package checks

import (
	"fmt"
	"strconv"
	"strings"

	"helo-milter/checks/clean"
)

const (
	replyLine  = 400 // bytes of text in a reply line; RFC 5321 §4.5.3.1.5 allows 512 with code and CRLF
	replyLines = 5
)

// Reply is an SMTP reply that refuses: RFC 5321 §4.2, with the enhanced code of RFC 3463.
type Reply struct {
	Code
	Lines []string // printable ASCII without the codes, at most 5 lines of at most 400 bytes
}

// String returns the reply's lines as the client sees them, with LF between them.
func (r *Reply) String() string {
	if r == nil {
		return ""
	}
	lines := make([]string, len(r.Lines))
	for i, text := range r.Lines {
		sep := "-"
		if i == len(r.Lines)-1 {
			sep = " "
		}
		lines[i] = strconv.Itoa(r.Code.Reply) + sep + r.Enhanced + " " + text
	}
	return strings.Join(lines, "\n")
}

// Reply says what a verdict means to the client's administrator: what is wrong, with her address and
// HELO, what to change, and the rule's name. It is nil when the policy does not want to refuse.
func (v *Verdict) Reply(f *Facts, helpURL string) *Reply {
	if v.Exempt != "" || v.Action < TempFail {
		return nil
	}
	code := v.Rule.Code
	text := v.accused(f) + ": "
	switch {
	case v.Finding.Result == Unsure:
		code = dnsTrouble
		text += "a DNS lookup needed to evaluate this client failed; please try again later."
	case v.Action == TempFail:
		code = code.temporary()
		fallthrough
	default:
		text += v.Rule.Doc + ". " + v.Rule.Fix
	}
	text += " Rule: " + v.Rule.Name
	if helpURL != "" {
		text += " " + helpURL
	}
	return &Reply{Code: code, Lines: wrap(text)}
}

// accused names the client, with the greeting in question and what was found when that is not the same.
func (v *Verdict) accused(f *Facts) string {
	client := f.Client.String()
	if v.Rule.On == FormMissing {
		return client
	}
	helo, detail := clean.Reply(v.Finding.Problem.Helo), clean.Reply(v.Finding.Problem.Detail)
	who := fmt.Sprintf("HELO %q from %s", helo, client)
	if f.Unheard {
		who = client
	}
	if v.Finding.Result == Unsure || detail == helo || detail == client {
		return who
	}
	return who + " (" + detail + ")"
}

// wrap breaks a text at spaces into lines that fit a reply.
func wrap(text string) []string {
	var lines []string
	for len(text) > replyLine && len(lines) < replyLines-1 {
		at := strings.LastIndexByte(text[:replyLine], ' ')
		if at <= 0 {
			at = replyLine
		}
		lines = append(lines, text[:at])
		text = strings.TrimLeft(text[at:], " ")
	}
	return append(lines, text[:min(len(text), replyLine)])
}
