package checks

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

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

	end []string // what the text ends with: the rule, the id, and what leads to help
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

// leastText is how much of a reply's text stays at least when it is shortened, in bytes: the client and its HELO.
const leastText = 80

// Line returns the text in one line of at most limit bytes, which has to be 120 or more. Where that is too short, the
// middle is left out, and of what leads to help what does not fit whole: half a link leads nowhere.
func (r *Reply) Line(limit int) string {
	const gap = " ..."
	text := strings.Join(r.Lines, " ")
	if len(text) <= limit {
		return text
	}
	head := strings.TrimSuffix(text, " "+strings.Join(r.end, " "))
	end := gap
	for _, part := range r.end {
		if len(end)+1+len(part)+leastText <= limit {
			end += " " + part
		}
	}
	head = head[:min(len(head), limit-len(end))]
	if space := strings.LastIndexByte(head, ' '); space > leastText/2 {
		head = head[:space]
	}
	return head + end
}

// Help is where a refusal leads its reader. The zero value leads nowhere.
type Help struct {
	URL string // in which {id}, {rule} and {client} are filled in
	// Link, if not nil, returns the address of the page of one refusal: printable ASCII without blanks, at most 400 bytes.
	Link func(at time.Time, f *Facts, v *Verdict) string
}

// fill returns the address for a refusal. It has no blanks: an id that is not one of ours may.
func (h *Help) fill(id string, v *Verdict, client netip.Addr) string {
	return strings.NewReplacer("{id}", clean.Token(id), "{rule}", v.Rule.Name, "{client}", client.String()).Replace(h.URL)
}

// Reply says what a verdict means to the client's administrator: what is wrong, with her address and HELO, what to
// change, the rule's name, the id of the session, and where there is help. at is when the transaction began. It is nil
// when the policy does not want to refuse.
func (v *Verdict) Reply(f *Facts, id string, at time.Time, help *Help) *Reply {
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
	end := []string{"Rule: " + v.Rule.Name}
	if id != "" {
		end = append(end, "Id: "+clean.Token(id))
	}
	if help.Link != nil {
		end = append(end, help.Link(at, f, v))
	}
	if help.URL != "" {
		end = append(end, help.fill(id, v, f.Client))
	}
	return &Reply{Code: code, Lines: wrap(text + " " + strings.Join(end, " ")), end: end}
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
