package policy

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Bounds of a request. Postfix sends some 30 attributes, of which the client can make a few as long as a command line:
// 2048 bytes (line_length_limit).
const (
	maxLine       = 8 << 10
	maxRequest    = 64 << 10
	maxAttributes = 256
	maxKey        = 255 // of what tells sessions and messages apart
)

// The kinds of violation, beside those of package gate. Each ends the connection it happens on.
const (
	kindRequest   = "request"   // no request, or one that is not smtpd_access_policy
	kindAttribute = "attribute" // a line without a name and "=", or with a NUL
	kindSize      = "size"      // longer than maxLine or maxRequest, or more than maxAttributes
	kindTruncated = "truncated" // the peer closed in the middle of a request
	kindSlow      = "slow"      // a request took longer than gate.Limits.Frame
	kindIdle      = "idle"      // no request for gate.Limits.Idle
	kindSilent    = "silent"    // no first request within gate.Limits.Frame
)

// violation is an error of the peer; its text is the kind.
type violation string

func (v violation) Error() string { return "policy: " + string(v) }

// request is what is read of a request.
type request struct {
	kind, state                      string
	client, port, server, serverName string
	clientName, reverseName          string
	helo, sender, recipient          string
	instance, queueID, context       string
	saslMethod, saslUsername         string
}

// field returns where the value of an attribute goes, or nil if nobody reads it.
func (r *request) field(name []byte) *string {
	switch string(name) {
	case "request":
		return &r.kind
	case "protocol_state":
		return &r.state
	case "client_address":
		return &r.client
	case "client_port":
		return &r.port
	case "server_address":
		return &r.server
	case "server_name":
		return &r.serverName
	case "client_name":
		return &r.clientName
	case "reverse_client_name":
		return &r.reverseName
	case "helo_name":
		return &r.helo
	case "sender":
		return &r.sender
	case "recipient":
		return &r.recipient
	case "instance":
		return &r.instance
	case "queue_id":
		return &r.queueID
	case "policy_context":
		return &r.context
	case "sasl_method":
		return &r.saslMethod
	case "sasl_username":
		return &r.saslUsername
	}
	return nil
}

// read reads a request. The error is io.EOF where the peer has closed before it, a violation, or that of the
// connection. began is called once its first byte is there.
//
// A value may have any byte but NUL and LF: a client can put a CR into a command, and must not escape by that. Of
// attributes that come more than once, the last one counts.
func read(b *bufio.Reader, began func()) (*request, error) {
	if _, err := b.Peek(1); err != nil {
		return nil, err
	}
	began()
	r := &request{}
	size := 0
	for range maxAttributes + 1 {
		line, err := b.ReadSlice('\n')
		size += len(line)
		switch {
		case errors.Is(err, bufio.ErrBufferFull) || size > maxRequest:
			return nil, violation(kindSize)
		case err == io.EOF:
			return nil, violation(kindTruncated)
		case err != nil:
			return nil, err
		}
		line = line[:len(line)-1]
		if len(line) == 0 {
			return r, r.check()
		}
		name, value, ok := bytes.Cut(line, []byte("="))
		if !ok || len(name) == 0 || bytes.IndexByte(line, 0) >= 0 {
			return nil, violation(kindAttribute)
		}
		if field := r.field(name); field != nil {
			*field = string(value)
		}
	}
	return nil, violation(kindSize)
}

func (r *request) check() error {
	if r.kind != "smtpd_access_policy" {
		return violation(kindRequest)
	}
	return nil
}
