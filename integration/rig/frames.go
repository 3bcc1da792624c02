package rig

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// FrameConn is the MTA's end of a connection to a milter, with raw frames: fast, and for protocol violations.
type FrameConn struct {
	net.Conn
	in *bufio.Reader
}

// Optneg is the negotiation of Postfix 3.7: version 6, all actions, all protocol steps.
const Optneg = "\x00\x00\x00\x0dO\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff"

// Frame returns one frame: a length of four bytes, a code of one byte, and data. The codes are SMFIC_* of
// Sendmail's include/libmilter/mfdef.h.
func Frame(code byte, data string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(1+len(data)))) + string(code) + data
}

// Greeting returns CONNECT and HELO of a client, with the macros that Postfix sends.
func Greeting(client, helo string) string {
	family := "4"
	if strings.Contains(client, ":") {
		family = "6"
	}
	return Frame('D', "Cj\x00mx.example.net\x00{daemon_addr}\x00198.51.100.25\x00") +
		Frame('C', helo+"\x00"+family+"\x09\xdd"+client+"\x00") + Frame('H', helo+"\x00")
}

// Envelope returns MAIL and RCPT. Only RCPT is answered.
func Envelope() string {
	return Frame('M', "<sender@example.org>\x00") + Frame('R', "<reader@example.net>\x00")
}

// DialFrames connects to the milter, over TCP from the given address if there is one. Reads and writes fail
// after WaitTimeout.
func (m *Milter) DialFrames(from ...string) (*FrameConn, error) {
	network, address, _ := strings.Cut(m.Socket, ":")
	dialer := net.Dialer{Timeout: WaitTimeout}
	if network == "inet" {
		network = "tcp"
	}
	for _, peer := range from {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(peer)}
	}
	var conn net.Conn
	var err error
	_ = within(func() error {
		conn, err = dialer.Dial(network, address)
		if errors.Is(err, syscall.EAGAIN) { // the backlog of a unix socket is full (connect(2))
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(WaitTimeout))
	return &FrameConn{conn, bufio.NewReaderSize(conn, 512)}, nil
}

// Say sends frames and, if there are codes, reads replies until one has one of them.
func (s *FrameConn) Say(frames, codes string) error {
	if _, err := io.WriteString(s, frames); err != nil {
		return err
	}
	for codes != "" {
		var head [5]byte
		if _, err := io.ReadFull(s.in, head[:]); err != nil {
			return err
		}
		if _, err := s.in.Discard(int(binary.BigEndian.Uint32(head[:])) - 1); err != nil {
			return err
		}
		switch code := head[4]; {
		case strings.IndexByte(codes, code) >= 0:
			return nil
		case strings.IndexByte("hip", code) < 0: // header field inserted, progress
			return fmt.Errorf("the milter answered %q, not one of %q", code, codes)
		}
	}
	return nil
}

// Greet negotiates and starts the session of a client.
func (s *FrameConn) Greet(client, helo string) error {
	if err := s.Say(Optneg, "O"); err != nil {
		return fmt.Errorf("negotiation: %w", err)
	}
	for _, frames := range []string{Greeting(client, helo), ""} { // both CONNECT and HELO are answered
		if err := s.Say(frames, "c"); err != nil {
			return fmt.Errorf("CONNECT and HELO: %w", err)
		}
	}
	return nil
}

// Message sends a message, which must be accepted.
func (s *FrameConn) Message() error {
	if err := s.Say(Envelope(), "c"); err != nil {
		return fmt.Errorf("RCPT: %w", err)
	}
	if err := s.Say(Frame('L', "Subject\x00a message\x00")+Frame('E', ""), "ac"); err != nil {
		return fmt.Errorf("end of message: %w", err)
	}
	return nil
}

// Session plays an SMTP session with one message as Postfix does: on a connection of its own, which QUIT
// ends.
func (m *Milter) Session(client, helo string) error {
	s, err := m.DialFrames()
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Greet(client, helo); err != nil {
		return err
	}
	if err := s.Message(); err != nil {
		return err
	}
	_, err = io.WriteString(s, Frame('Q', ""))
	return err
}
