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

// Message is what Talk sends where nothing else is asked for.
const Message = `From: sender@example.org
To: reader@example.net
Subject: a message

Hello.
`

// Reply is the server's answer to one line of a script; Said is empty for the banner.
type Reply struct {
	Said string
	Code int
	Text string // lines joined by \n
	Took time.Duration
}

// Client is in an SMTP session.
type Client struct {
	Replies []Reply // so far, beginning with the banner

	raw  net.Conn
	conn *textproto.Conn
	left string // of the message, for BDAT
	over bool   // the server has hung up
}

// Dial connects from a client's address and hears the banner.
func Dial(t T, client netip.Addr, server string) *Client {
	t.Helper()
	dialer := net.Dialer{Timeout: Patience, LocalAddr: &net.TCPAddr{IP: client.AsSlice()}}
	raw, err := dialer.Dial("tcp", server)
	if err != nil {
		t.Fatalf("%v", err)
	}
	_ = raw.SetDeadline(time.Now().Add(Patience))
	c := &Client{raw: raw, conn: textproto.NewConn(raw)}
	if strings.HasSuffix(server, ":465") { // RFC 8314 §3.3: TLS comes first
		c.conn = textproto.NewConn(tls.Client(raw, &tls.Config{InsecureSkipVerify: true}))
	}
	c.hear("", time.Now())
	return c
}

// Close hangs up.
func (c *Client) Close() { _ = c.raw.Close() }

// Talk holds a whole session, see Say, and returns its replies.
func Talk(t T, client netip.Addr, server, script, message string) []Reply {
	t.Helper()
	c := Dial(t, client, server)
	defer c.Close()
	c.Say(script, message)
	return c.Replies
}

// Say goes on with the session, as a script of steps separated by "|", until the server hangs up. A step is
// a command, or several in lines, which are sent at once (RFC 2920), or a duration, which is a pause. DATA
// sends the message when the server says go on, BDAT N its next N bytes and BDAT LAST what is left of it
// (RFC 3030).
func (c *Client) Say(script, message string) {
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
			c.hear(said, begin)
			c.follow(said, message)
		}
	}
}

// write buffers a command as it is sent; what goes wrong, the reply shows.
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

// hear reads a reply; code 0 carries the error instead.
func (c *Client) hear(said string, begin time.Time) {
	code, text, err := c.conn.ReadResponse(0)
	if code == 0 && err != nil {
		text = err.Error()
	}
	c.Replies = append(c.Replies, Reply{said, code, text, time.Since(begin)})
	c.over = code == 0 || code == 421
}

// follow does what a reply allows: the message after DATA, TLS after STARTTLS.
func (c *Client) follow(said, message string) {
	switch code := c.Replies[len(c.Replies)-1].Code; {
	case code == 354:
		writer := c.conn.DotWriter()
		_, _ = writer.Write([]byte(message))
		_ = writer.Close()
		c.hear("", time.Now())
	case code == 220 && said == "STARTTLS":
		c.conn = textproto.NewConn(tls.Client(c.raw, &tls.Config{InsecureSkipVerify: true}))
	}
}
