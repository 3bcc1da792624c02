package integration

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

// frameStories are sessions that Postfix cannot be made to have: the frames that an MTA sends (see
// encodeFrames), the milter's replies (see decodeReplies), and the decisions in its log (see
// loggedDecisions). A script without O starts with an offer of everything.
var frameStories = []struct{ name, says, replies, decided string }{
	{"ordinary session", "C4|H|M|R|E|Q", goodSession, accepted},

	// A connection reused for another client: nothing of the first one counts for the second.
	{
		"QUIT_NC after a message", "C4|H|M|R|E|K|C4 203.0.113.30|H 203.0.113.30|M|R|A|Q",
		goodSession + " c c 504/helo-bare-ip", accepted + " reject/203.0.113.30/203.0.113.30",
	},
	{
		"QUIT_NC after a refusal", "C4 203.0.113.30|H 203.0.113.30|M|R|K|C4|H|M|R|E|Q",
		"c c 504/helo-bare-ip " + goodSession, "reject/203.0.113.30/203.0.113.30 " + accepted,
	},
	{
		"QUIT_NC after a login", "C4|H friend|DM {auth_type}=PLAIN|M|R|E|K|C4|H 203.0.113.10|M|R|A|Q",
		"c c c +exempt/203.0.113.10/friend a c c 504/helo-bare-ip", "exempt/203.0.113.10/friend " + bareIPRejected,
	},
	{
		"QUIT_NC and no HELO", "C4|H|M|R|E|K|C4|M|R|A|Q",
		goodSession + " c 503/helo-missing", accepted + " reject/203.0.113.10/",
	},
	{
		"QUIT_NC within a message", "C4|H 203.0.113.10|M a@example.org|K|C4|H|M|R|E|Q",
		"c c " + goodSession, accepted,
	},
	{
		"QUIT_NC and no CONNECT", "C4|H 203.0.113.10|M|R|K|H friend|M|R|E|Q",
		"c c 504/helo-bare-ip c c +exempt/none/friend a", bareIPRejected + " " + exemptNone,
	},
	{"QUIT_NC at once", "K|K|C4|H|M|R|E|Q", goodSession, accepted},
	{"a second CONNECT", "C4 203.0.113.30|H 203.0.113.30|C4|H|M|R|E|Q", "c c " + goodSession, accepted},

	// ABORT ends a message and its login, not the session.
	{
		"ABORT everywhere", "A*1000|C4|A*1000|H|A*1000|M|R|E|A*1000|M|R|E|A*1000|Q",
		goodSession + " " + goodMessage, accepted + " " + accepted,
	},
	{
		"ABORT within messages", "C4|H|M a@example.org|A*1000|M|R|A*1000|M|R|E|Q",
		"c " + goodSession, accepted + " " + accepted,
	},
	{
		"ABORT after a bad name", "C4|H 203.0.113.10|A*1000|H|A*1000|M|R|A|Q",
		"c c c 504/helo-bare-ip", "reject/203.0.113.10/mail.example.org",
	},
	{
		"ABORT after a login", "C4|H 203.0.113.10|DM {auth_authen}=someone|M|R|A|M|R|A|Q",
		"c c c 504/helo-bare-ip", "exempt/203.0.113.10/203.0.113.10 " + bareIPRejected,
	},

	// Clients without an Internet address. Sendmail sends U for sendmail -bs.
	{"CONNECT U", "CU|H friend|M|R|E|Q", "c c c +exempt/none/friend a", exemptNone},
	{"CONNECT L", "CL /run/client|H friend|M|R|E|Q", "c c c +exempt/none/friend a", exemptNone},
	{"CONNECT 4 unknown", "C4 unknown|H friend|M|R|E|Q", "c c c +exempt/none/friend a", exemptNone},
	{"CONNECT 6 unknown", "C6 unknown|H friend|M|R|E|Q", "c c c +exempt/none/friend a", exemptNone},
	{"CONNECT 9", "C9 203.0.113.10|H friend|M|R|E|Q", "c c c +exempt/none/friend a", exemptNone},
	{"no CONNECT", "H friend|M|R|E|Q", "c c +exempt/none/friend a", exemptNone},
	{
		"CONNECT 6 as Sendmail has it", "C6 IPv6:2001:db8:0:0:0:0:0:10|H mail6.example.org|M|R|E|Q",
		"c c c +accept/2001:db8::10/mail6.example.org a", "accept/2001:db8::10/mail6.example.org",
	},

	// An MTA offers less than the milter wants, or more than there is. An event that it cannot leave
	// unanswered gets a reply.
	{"no SETSYMLIST", "O 6 ff 1fffff|C4|H|M|R|E|Q", "O6/11/43d0 " + goodSession, accepted},
	{
		"no header changes", "O 6 100 1fffff|C4|H|M|R|L X-HELO-Check: me|E|Q",
		"O6/100/43d0+macros c c c a", accepted,
	},
	{
		"version 6 without options", "O 6 1ff 0|C4|H|U FOO|M|R|T|L a: b|N|B text|E|Q",
		"O6/111/0+macros c c c c c c c c " + goodMessage, accepted,
	},
	{
		"version 2 without options", "O 2 1f 0|C4|H|M|R|L a: b|N|B text|E|Q",
		"O2/11/0 c c c c c c " + goodMessage, accepted,
	},
	{
		"version 2 of Postfix", "O 2 3f 7f|C4|H 203.0.113.10|M|R|A|Q",
		"O2/11/50 c c c 504/helo-bare-ip", bareIPRejected,
	},
	{
		"version 3", "O 3 3f 17f|C4|H|M|R|L x-helo-check: me|E|Q",
		"O3/11/150 c c c c c -1 " + goodMessage[2:], accepted,
	},
	{
		"version 4", "O 4 3f 37f|C4|H|M|R|L x-helo-check: me|E|Q",
		"O4/11/350 c c c c c -1 " + goodMessage[2:], accepted,
	},
	{
		"version 5", "O 5 1ff 1fffff|C4|H 203.0.113.10|M|R|A|Q",
		"O5/111/43d0+macros c c 504/helo-bare-ip", bareIPRejected,
	},
	{
		"version 7", "O 7 1ff 1fffff|C4|H 203.0.113.10|M|R|A|Q",
		"O6/111/43d0+macros c c 504/helo-bare-ip", bareIPRejected,
	},
	{"version 1", "O 1 1ff 1fffff", "", ""}, // the milter hangs up

	// Out of order.
	{"MAIL after MAIL", "C4|H|M|R|M|R|E|Q", "c " + goodSession, accepted + " " + accepted},
	{"HELO never", "C4|M|R|A|Q", "c 503/helo-missing", "reject/203.0.113.10/"},
	{"HELO after MAIL", "C4|M a@example.org|H|M|R|E|Q", goodSession, accepted},
	{
		"HELO after RCPT", "C4|M|R|H|M|R|E|Q",
		"c 503/helo-missing c " + goodMessage, "reject/203.0.113.10/ " + accepted,
	},
	{
		"RCPT after the message", "C4|H|M|R|E|R b@example.net|E|Q",
		goodSession + " " + goodMessage, accepted + " " + accepted,
	},
	{"RCPT before MAIL", "C4|H|R b@example.net|M|R|E|Q", "c " + goodSession, accepted + " " + accepted},
	{"RCPT never", "C4|H|M a@example.org|E|Q", "c " + goodMessage, accepted},
	{"the end first", "E|C4|H|M|R|E|Q", "a " + goodSession, accepted},
}

const (
	goodMessage    = "c +" + accepted + " a"
	goodSession    = "c c " + goodMessage // from CONNECT on
	bareIPRejected = "reject/203.0.113.10/203.0.113.10"
	exemptNone     = "exempt/none/friend"
)

// TestFrames plays the frame stories to the milter, without an MTA.
func TestFrames(t *testing.T) {
	for _, network := range []string{"unix", "inet"} {
		for _, tt := range frameStories {
			t.Run(network+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				stage := variant{mode: "enforce", network: network}.stage(t, "")
				says, replies := tt.says, tt.replies
				if says[0] != 'O' {
					says, replies = "O 6 1ff 1fffff|"+says, "O6/111/43d0+macros "+replies
				}
				if got := decodeReplies(t, sendFrames(t, stage.milter, encodeFrames(says))); got != replies {
					t.Errorf("\n got %s\nwant %s\n%s", got, replies, stage.milter.Log())
				}
				stage.decisions() // waits until all are made
				checkDecisions(t, stage.milter, tt.decided)
			})
		}
	}
}

// sendFrames sends all frames of an MTA at once and returns all of the milter's, which hangs up after the
// last.
func sendFrames(t *testing.T, milter *rig.Milter, frames string) string {
	t.Helper()
	network, address, _ := strings.Cut(milter.Socket, ":")
	conn, err := net.Dial(strings.Replace(network, "inet", "tcp", 1), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(rig.WaitTimeout))
	if _, err := io.WriteString(conn, frames); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("%v after %q\n%s", err, answer, milter.Log())
	}
	return string(answer)
}

// encodeFrames encodes a script of frames separated by "|": a command's letter as in Sendmail's mfdef.h, and
// its data as text; C4, H, M and R without data are those of a good client. C is followed by the family, D by
// the command that its macros are for; *1000 at the end repeats the frame.
//
//	O version actions protocol (hexadecimal)   C4 203.0.113.10   CU   CL /path   DM {auth_type}=PLAIN
//	H name   M address   R address   U command   T (DATA)   L name: value   N (end of header)   B text
//	E (end of message)   A (abort)   K (QUIT_NC)   Q
func encodeFrames(script string) string {
	var b strings.Builder
	for step := range strings.SplitSeq(script, "|") {
		step, times, _ := strings.Cut(step, "*")
		command, arg, _ := strings.Cut(step, " ")
		data := command[:1] + payload(command, arg)
		n, _ := strconv.Atoi("0" + times)
		length := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
		b.WriteString(strings.Repeat(string(length)+data, max(n, 1)))
	}
	return b.String()
}

// payload returns a frame's data after the command's letter.
func payload(command, arg string) string {
	switch command[0] {
	case 'O':
		var data []byte
		for number := range strings.FieldsSeq(arg) {
			n, _ := strconv.ParseUint(number, 16, 32)
			data = binary.BigEndian.AppendUint32(data, uint32(n))
		}
		return string(data)
	case 'C':
		data := "host.example.org\x00" + command[1:]
		if command != "CU" {
			data += "\x00\x19" + cmp.Or(arg, "203.0.113.10") + "\x00"
		}
		return data
	case 'H':
		return cmp.Or(arg, "mail.example.org") + "\x00"
	case 'M':
		return "<" + cmp.Or(arg, "sender@example.org") + ">\x00"
	case 'R':
		return "<" + cmp.Or(arg, "reader@example.net") + ">\x00"
	case 'U':
		return arg + "\x00"
	case 'D':
		return command[1:] + strings.NewReplacer("=", "\x00", " ", "\x00").Replace(arg) + "\x00"
	case 'L':
		return strings.Replace(arg, ": ", "\x00", 1) + "\x00"
	}
	return arg
}

// decodeReplies returns what a milter sent as words:
//
//	O6/11/fe0481+macros                   version, actions, protocol; macros are asked for
//	504/helo-bare-ip                      a refusal, with the rule
//	-2                                    the second header field of our name is deleted
//	+accept/203.0.113.10/mail.example.org X-HELO-Check is inserted at the top
//	c a                                   any other reply by its letter
func decodeReplies(t *testing.T, answer string) string {
	t.Helper()
	var words []string
	for answer != "" {
		size := 4
		if len(answer) > size {
			size += int(binary.BigEndian.Uint32([]byte(answer)))
		}
		if size < 5 || size > len(answer) {
			t.Fatalf("an incomplete frame: %q", answer)
		}
		words = append(words, decodeFrame(answer[4], answer[5:size]))
		answer = answer[size:]
	}
	return strings.Join(words, " ")
}

var (
	refusal = regexp.MustCompile(`^(\d{3}) .* Rule: (\S+) Id: \S+\x00$`)
	topmost = regexp.MustCompile(`^\x00{4}X-HELO-Check\x00 ?(\w+); client=(\S+); helo=(\S*); `)
	deleted = regexp.MustCompile(`^\x00{3}(.)X-HELO-Check\x00\x00$`)
)

// decodeFrame returns the word for a frame.
func decodeFrame(code byte, data string) string {
	switch m := []string(nil); code {
	case 'O':
		n := func(at int) uint32 { return binary.BigEndian.Uint32([]byte(data[at:])) }
		macros := ""
		if len(data) > 12 {
			macros = "+macros"
		}
		return fmt.Sprintf("O%d/%x/%x%s", n(0), n(4), n(8), macros)
	case 'y':
		if m = refusal.FindStringSubmatch(data); m != nil {
			return m[1] + "/" + m[2]
		}
	case 'i':
		if m = topmost.FindStringSubmatch(data); m != nil {
			return "+" + strings.Join(m[1:], "/")
		}
	case 'm':
		if m = deleted.FindStringSubmatch(data); m != nil {
			return fmt.Sprint("-", m[1][0])
		}
	}
	return string(code) + strings.Trim(strconv.Quote(data), `"`)
}
