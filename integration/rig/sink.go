package rig

import (
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"time"
)

// Sink is an SMTP server that stores the messages that it gets.
type Sink struct {
	Addr string // [127.0.0.1]:PORT, as a Postfix next hop

	mu    sync.Mutex
	mails []Mail
}

// Mail is a delivered message with its envelope; lines end in LF.
type Mail struct {
	From string
	To   []string
	Text string
}

// StartSink starts a sink that lives as long as the test.
func StartSink(t T) *Sink {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("sink: %v", err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	s := &Sink{Addr: fmt.Sprintf("[127.0.0.1]:%d", listener.Addr().(*net.TCPAddr).Port)}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(4 * WaitTimeout)) // MTAs reuse connections
			go s.serve(textproto.NewConn(conn))
		}
	}()
	return s
}

func (s *Sink) serve(conn *textproto.Conn) {
	defer conn.Close()
	var mail Mail
	reply := "220 sink.example.net ESMTP"
	for conn.PrintfLine("%s", reply) == nil {
		line, err := conn.ReadLine()
		if err != nil {
			return
		}
		reply = "250 ok"
		if strings.HasPrefix(line, "EHLO ") {
			reply = "250-sink.example.net\r\n250 SMTPUTF8"
		}
		switch verb, rest, _ := strings.Cut(line, ":"); strings.ToUpper(verb) {
		case "MAIL FROM":
			mail = Mail{From: path(rest)}
		case "RCPT TO":
			mail.To = append(mail.To, path(rest))
		case "DATA":
			text, err := readText(conn)
			if err != nil {
				return
			}
			mail.Text = text
			s.keep(mail)
		}
	}
}

func readText(conn *textproto.Conn) (string, error) {
	if err := conn.PrintfLine("354 go on"); err != nil {
		return "", err
	}
	text, err := conn.ReadDotBytes()
	return string(text), err
}

// path returns the address in "<address> PARAMETERS".
func path(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), ">")
	return strings.TrimPrefix(s, "<")
}

func (s *Sink) keep(mail Mail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, mail)
}

// Mails returns the messages delivered so far.
func (s *Sink) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// Reset discards the messages delivered so far.
func (s *Sink) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = nil
}

// Wait waits until n messages have been delivered, or fails the test, and returns all.
func (s *Sink) Wait(t T, n int) []Mail {
	t.Helper()
	err := within(func() error {
		if got := len(s.Mails()); got < n {
			return fmt.Errorf("%d of %d messages were delivered", got, n)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return s.Mails()
}

// Header is one field of a message's header, unfolded.
type Header struct{ Name, Value string }

// Headers returns the message's header fields from the top.
func (m Mail) Headers() (fields []Header) {
	head, _, _ := strings.Cut(m.Text, "\n\n")
	for line := range strings.SplitSeq(head, "\n") {
		if last := len(fields) - 1; last >= 0 && strings.TrimLeft(line, " \t") != line {
			fields[last].Value += " " + strings.TrimSpace(line)
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		fields = append(fields, Header{name, strings.TrimSpace(value)})
	}
	return fields
}
