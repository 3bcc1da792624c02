package rig

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// Message is an ordinary message.
const Message = `From: sender@example.org
To: reader@example.net
Subject: a message

Hello.
`

// Reply is the server's reply to one command of a script. Said is empty for the banner, and for the reply to
// a message. Code is 0 if the server hung up or did not answer in time, and Text is the error then.
type Reply struct {
	Said string
	Code int
	Text string // lines joined by \n
	Took time.Duration
}

// Result returns the code that decides on a script: that of the first error (4xx, 5xx, 0), or else that of
// the last reply before QUIT.
func Result(replies []Reply) (code int) {
	for _, reply := range replies {
		switch {
		case reply.Code == 0 || reply.Code >= 400:
			return reply.Code
		case reply.Said != "QUIT":
			code = reply.Code
		}
	}
	return code
}

// Client is the client of an SMTP session.
type Client struct {
	Replies []Reply // so far, beginning with the banner

	raw  net.Conn
	conn *textproto.Conn
	left string // the part of the message that BDAT has not sent yet
	over bool   // the server has hung up
}

// Dial is Connect for a test, which fails if the client cannot connect.
func Dial(t T, client netip.Addr, server string) *Client {
	t.Helper()
	c, err := Connect(client, server)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return c
}

// Connect connects from a client's address and reads the banner.
func Connect(client netip.Addr, server string) (*Client, error) {
	dialer := net.Dialer{Timeout: WaitTimeout, LocalAddr: &net.TCPAddr{IP: client.AsSlice()}}
	raw, err := dialer.Dial("tcp", server)
	if err != nil {
		return nil, err
	}
	_ = raw.SetDeadline(time.Now().Add(2 * WaitTimeout))
	c := &Client{raw: raw, conn: textproto.NewConn(raw)}
	if strings.HasSuffix(server, ":465") { // RFC 8314 §3.3: TLS comes first
		c.conn = textproto.NewConn(tls.Client(raw, &tls.Config{InsecureSkipVerify: true}))
	}
	c.readReply("", time.Now())
	return c, nil
}

// Close hangs up.
func (c *Client) Close() { _ = c.raw.Close() }

// Talk runs a whole session, see Say, and returns its replies.
func Talk(t T, client netip.Addr, server, script, message string) []Reply {
	t.Helper()
	c := Dial(t, client, server)
	defer c.Close()
	c.Say(script, message)
	return c.Replies
}

// Say runs a script in the session, until the server hangs up, and returns the replies to it. A script is
// steps separated by "|". A step is a command, or several commands on lines of their own, which are pipelined
// (RFC 2920), or a duration, which is a pause. DATA sends the message after the reply 354, BDAT N its next N
// bytes and BDAT LAST the rest of it (RFC 3030).
func (c *Client) Say(script, message string) []Reply {
	before := len(c.Replies)
	c.say(script, message)
	return c.Replies[before:]
}

func (c *Client) say(script, message string) {
	c.left = strings.ReplaceAll(message, "\n", "\r\n")
	for step := range strings.SplitSeq(script, "|") {
		if pause, err := time.ParseDuration(step); err == nil {
			time.Sleep(pause)
			continue
		}
		begin := time.Now()
		for said := range strings.SplitSeq(step, "\n") {
			c.write(said)
		}
		_ = c.conn.W.Flush()
		for said := range strings.SplitSeq(step, "\n") {
			if c.over {
				return
			}
			c.readReply(said, begin)
			c.follow(said, message)
		}
	}
}

// write buffers a command. An error shows in the reply.
func (c *Client) write(said string) {
	size, isBdat := strings.CutPrefix(said, "BDAT ")
	if !isBdat {
		_, _ = c.conn.W.WriteString(said + "\r\n")
		return
	}
	n, err := strconv.Atoi(size)
	if err != nil {
		n, size = len(c.left), fmt.Sprintf("%d %s", len(c.left), size)
	}
	_, _ = c.conn.W.WriteString("BDAT " + size + "\r\n" + c.left[:n])
	c.left = c.left[n:]
}

// readReply reads a reply, see Reply.
func (c *Client) readReply(said string, begin time.Time) {
	code, text, err := c.conn.ReadResponse(0)
	if code == 0 && err != nil {
		text = err.Error()
	}
	c.Replies = append(c.Replies, Reply{said, code, text, time.Since(begin)})
	c.over = code == 0 || code == 421
}

// follow does what follows a positive reply: the message after DATA, the TLS handshake after STARTTLS.
func (c *Client) follow(said, message string) {
	switch code := c.Replies[len(c.Replies)-1].Code; {
	case code == 354:
		writer := c.conn.DotWriter()
		_, _ = writer.Write([]byte(message))
		_ = writer.Close()
		c.readReply("", time.Now())
	case code == 220 && said == "STARTTLS":
		c.conn = textproto.NewConn(tls.Client(c.raw, &tls.Config{InsecureSkipVerify: true}))
	}
}
