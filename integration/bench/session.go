package main

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

	"helo-milter/integration/rig"
)

// mta plays a mail server at the milter's end: one connection for each SMTP session, as Postfix does.
type mta struct {
	client *client
	all    bool // sends every macro that Postfix and Sendmail know, whatever the milter asked for

	greeted  time.Time // when HELO was answered
	conn     net.Conn
	in       *bufio.Reader
	out      []byte
	protocol uint32            // SMFIP_*, as negotiated
	asked    map[byte][]string // the macros that the milter asked for, by the command that they go with
}

// Steps that a milter does not want, and those that it does not answer (SMFIP_*, include/libmilter/mfdef.h of
// Sendmail).
const (
	noConnect = 1 << 0
	noHelo    = 1 << 1
	noMail    = 1 << 2
	noRcpt    = 1 << 3
	noBody    = 1 << 4
	noHeader  = 1 << 5
	noEOH     = 1 << 6
	noData    = 1 << 9

	silentHeader  = 1 << 7
	silentConnect = 1 << 12
	silentHelo    = 1 << 13
	silentMail    = 1 << 14
	silentRcpt    = 1 << 15
	silentData    = 1 << 16
	silentEOH     = 1 << 18
	silentBody    = 1 << 19
)

// macroStages are the commands by their number in a milter's list of macros (SMFIM_*).
const macroStages = "CHMRTEN"

// values are the values of macros in a session without TLS and authentication. The client's are left out.
var values = map[string]string{
	"j": "mx.example.net", "v": "Postfix 3.7.11",
	"{daemon_name}": "mx.example.net", "{daemon_addr}": "198.51.100.25", "{daemon_port}": "25",
	"i": "4bXyz12345zABC", "{mail_addr}": "sender@example.org", "{mail_host}": "example.org",
	"{mail_mailer}": "smtp", "{rcpt_addr}": "reader@example.net", "{rcpt_host}": "example.net",
	"{rcpt_mailer}": "local",
}

// usual are the macros that Postfix sends for stages that a milter names none for (milter_*_macros in
// postconf(5)) if they have a value; before the first recipient there is no queue id yet.
var usual = map[byte][]string{
	'C': {"j", "{daemon_name}", "{daemon_addr}", "v"},
	'M': {"{mail_addr}", "{mail_host}", "{mail_mailer}"},
	'R': {"i", "{rcpt_addr}", "{rcpt_host}", "{rcpt_mailer}"},
	'T': {"i"}, 'N': {"i"}, 'E': {"i"},
}

// everything is what a session with TLS has in addition, for mta.all.
var everything = map[byte]string{
	'C': "{client_port}\x0040000\x00{client_resolve}\x00OK\x00{if_addr}\x00198.51.100.25\x00",
	'H': "{tls_version}\x00TLSv1.3\x00{cipher}\x00TLS_AES_256_GCM_SHA384\x00{cipher_bits}\x00256\x00" +
		"{cert_subject}\x00\x00{cert_issuer}\x00\x00",
	'M': "i\x00\x00",
}

var body = strings.Repeat("The quick brown fox jumps over the lazy dog.\r\n", 22)

var fields = []string{
	"Received\x00from mail.example.org (mail.example.org [203.0.113.10])\n\tby mx.example.net (Postfix) with ESMTPS " +
		"id 4bXyz12345zABC\n\tfor <reader@example.net>; Sat, 28 Nov 2026 10:00:00 +0000 (UTC)\x00",
	"From\x00Sender <sender@example.org>\x00", "To\x00Reader <reader@example.net>\x00", "Subject\x00a message\x00",
	"Date\x00Sat, 28 Nov 2026 10:00:00 +0000\x00", "Message-ID\x00<1234567890@example.org>\x00",
	"MIME-Version\x001.0\x00", "Content-Type\x00text/plain; charset=utf-8\x00",
}

// session plays a whole session with one message, which must be accepted.
func (m *mta) session(socket string) error {
	if err := m.greet(socket); err != nil {
		return err
	}
	m.greeted = time.Now()
	defer m.conn.Close()
	if err := m.message(); err != nil {
		return err
	}
	m.frame('Q', "")
	return m.flush()
}

// greet connects, negotiates and says CONNECT and HELO. After an error nothing is open.
func (m *mta) greet(socket string) (err error) {
	if m.conn, err = dial(socket); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			m.conn.Close()
		}
	}()
	m.in = bufio.NewReaderSize(m.conn, 1024)
	m.out = append(m.out[:0], rig.Optneg...)
	if err = m.flush(); err != nil {
		return err
	}
	code, terms, err := m.read()
	if err != nil || code != 'O' || len(terms) < 12 {
		return fmt.Errorf("negotiation: reply %q, %w", code, err)
	}
	m.protocol = binary.BigEndian.Uint32(terms[8:])
	m.readAsked(terms[12:])
	if err = m.step('C', noConnect, silentConnect,
		m.client.name+"\x004\x9c\x40"+m.client.addr.String()+"\x00"); err != nil {
		return err
	}
	return errors.Join(m.step('H', noHelo, silentHelo, m.client.helo+"\x00"), m.flush())
}

// message says the rest, up to the end of the message.
func (m *mta) message() error {
	err := m.step('M', noMail, silentMail, "<sender@example.org>\x00SIZE=1200\x00")
	if err == nil {
		err = m.step('R', noRcpt, silentRcpt, "<reader@example.net>\x00")
	}
	if err == nil {
		err = m.step('T', noData, silentData, "")
	}
	for _, field := range fields {
		if err == nil && m.protocol&noHeader == 0 {
			err = m.step('L', 0, silentHeader, field)
		}
	}
	if err == nil {
		err = m.step('N', noEOH, silentEOH, "")
	}
	if err == nil {
		err = m.step('B', noBody, silentBody, body)
	}
	if err == nil {
		err = m.step('E', 0, 0, "")
	}
	return err
}

// step sends the macros of a command and the command, and waits for the reply, unless the milter did without.
// What is not answered is sent together with what follows, as Postfix's streams do; Postfix sends macros of
// commands that are left out, too, and lists without any macro (milter8_event in its milter8.c).
func (m *mta) step(code byte, left, silent uint32, data string) error {
	if code != 'L' && code != 'B' {
		m.macros(code)
	}
	if m.protocol&left != 0 {
		return nil
	}
	m.frame(code, data)
	if m.protocol&silent != 0 {
		return nil
	}
	if err := m.flush(); err != nil {
		return err
	}
	for {
		reply, _, err := m.read()
		switch {
		case err != nil:
			return fmt.Errorf("after %q: %w", code, err)
		case reply == 'c' || reply == 'a' && code == 'E':
			return nil
		case strings.IndexByte("hipm", reply) < 0: // header field inserted, added or changed, progress
			return fmt.Errorf("%q was answered %q", code, reply)
		}
	}
}

// macros writes the macros that go with a command.
func (m *mta) macros(code byte) {
	names, given := m.asked[code]
	if !given || m.all {
		names = usual[code]
	}
	at := len(m.out)
	m.out = append(m.out, 0, 0, 0, 0, 'D', code)
	for _, name := range names {
		value := values[name]
		if name == "{client_name}" || name == "{client_ptr}" {
			value = m.client.name
		}
		if value == "" || code == 'M' && name == "i" {
			continue
		}
		m.macro(name, value)
	}
	if m.all {
		m.out = append(m.out, everything[code]...)
		if code == 'C' {
			m.macro("{client_name}", m.client.name)
			m.macro("{client_ptr}", m.client.name)
			m.macro("{client_addr}", m.client.addr.String())
		}
	}
	binary.BigEndian.PutUint32(m.out[at:], uint32(len(m.out)-at-4))
}

func (m *mta) macro(name, value string) {
	m.out = append(append(m.out, name...), 0)
	m.out = append(append(m.out, value...), 0)
}

// readAsked reads the lists of macros in a negotiation (SMFIR_SETSYMLIST: stage, names, NUL).
func (m *mta) readAsked(lists []byte) {
	clear(m.asked)
	if m.asked == nil {
		m.asked = map[byte][]string{}
	}
	for len(lists) > 4 {
		stage := binary.BigEndian.Uint32(lists)
		names, rest, _ := strings.Cut(string(lists[4:]), "\x00")
		if int(stage) < len(macroStages) {
			m.asked[macroStages[stage]] = strings.FieldsFunc(names, func(r rune) bool { return r == ' ' || r == ',' })
		}
		lists = []byte(rest)
	}
}

func (m *mta) frame(code byte, data string) {
	m.out = binary.BigEndian.AppendUint32(m.out, uint32(1+len(data)))
	m.out = append(append(m.out, code), data...)
}

func (m *mta) flush() error {
	if len(m.out) == 0 {
		return nil
	}
	_, err := m.conn.Write(m.out)
	m.out = m.out[:0]
	return err
}

func (m *mta) read() (code byte, data []byte, _ error) {
	var head [5]byte
	if _, err := io.ReadFull(m.in, head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size == 0 || size > 1<<16 {
		return 0, nil, fmt.Errorf("a frame of %d bytes", size)
	}
	data = make([]byte, size-1)
	_, err := io.ReadFull(m.in, data)
	return head[4], data, err
}

// patience bounds a session.
const patience = 30 * time.Second

// dial connects to a socket in Postfix's notation.
func dial(socket string) (net.Conn, error) {
	network, address, _ := strings.Cut(socket, ":")
	if network == "inet" {
		network = "tcp"
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		conn, err := net.Dial(network, address)
		if err == nil {
			return conn, conn.SetDeadline(deadline)
		}
		// The backlog of a unix socket is full (connect(2)).
		if !errors.Is(err, syscall.EAGAIN) || time.Now().After(deadline) {
			return nil, err
		}
	}
}
