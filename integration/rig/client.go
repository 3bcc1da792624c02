package rig

import (
	"crypto/tls"
	"net"
	"net/netip"
	"net/textproto"
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

// Talk holds an SMTP session from a client's address, as a script of commands separated by "|"; DATA sends
// the message when the server says go on, and a duration is a pause. The replies begin with the banner and end early when the server
// hangs up.
func Talk(t T, client netip.Addr, server, script, message string) []Reply {
	t.Helper()
	dialer := net.Dialer{Timeout: startTime, LocalAddr: &net.TCPAddr{IP: client.AsSlice()}}
	raw, err := dialer.Dial("tcp", server)
	if err != nil {
		t.Fatalf("%v", err)
	}
	_ = raw.SetDeadline(time.Now().Add(time.Minute))
	conn := textproto.NewConn(raw)
	if strings.HasSuffix(server, ":465") { // RFC 8314 §3.3: TLS comes first
		conn = textproto.NewConn(tls.Client(raw, &tls.Config{InsecureSkipVerify: true}))
	}
	defer conn.Close()
	replies := []Reply{ask(conn, "")}
	for said := range strings.SplitSeq(script, "|") {
		if pause, err := time.ParseDuration(said); err == nil {
			time.Sleep(pause)
			continue
		}
		reply := ask(conn, said)
		replies = append(replies, reply)
		if said == "STARTTLS" && reply.Code == 220 {
			conn = textproto.NewConn(tls.Client(raw, &tls.Config{InsecureSkipVerify: true}))
		}
		if reply.Code == 354 {
			writer := conn.DotWriter()
			_, _ = writer.Write([]byte(message))
			_ = writer.Close()
			replies = append(replies, ask(conn, ""))
		}
		if reply.Code == 0 || reply.Code == 421 {
			break
		}
	}
	return replies
}

// ask sends a line, unless empty, and reads a reply; code 0 carries the error instead.
func ask(conn *textproto.Conn, said string) Reply {
	begin := time.Now()
	if said != "" {
		if err := conn.PrintfLine("%s", said); err != nil {
			return Reply{Said: said, Text: err.Error()}
		}
	}
	code, text, err := conn.ReadResponse(0)
	if code == 0 && err != nil {
		text = err.Error()
	}
	return Reply{said, code, text, time.Since(begin)}
}
