package dnscache

import (
	"context"
	"errors"
	"net"
)

// failure is why there are no values. It must not be modified once it is in a reply.
type failure struct {
	kind   kind
	streak uint8 // the number of failures of the same question in a row before it
	text   string
	server string
}

// kind is the kind of a failure. If several servers fail, the greatest kind is reported: it tells most.
type kind uint8

const (
	canceled    kind = iota // the caller's context was canceled
	unreachable             // nothing was sent, or the connection failed
	timeout
	unusable // an answer that proves nothing or is malformed
	badRcode // an answer with an rcode such as SERVFAIL or REFUSED
	filtered // an answer that the server makes up or withholds because it blocks the name: not a fault either
	missing  // NXDOMAIN or NODATA: a definite answer, not a fault of the server
)

// failure returns the failure that a is, or nil if it has values, stale ones included.
func (a answer) failure() *failure {
	f, _ := a.result.(*failure)
	return f
}

// error returns the error of a lookup of name, or nil if the reply has values.
func (r reply) error(name string) error {
	switch result := r.result.(type) {
	case *failure:
		return result.error(name)
	case *stale:
		return &net.DNSError{Err: "stale", Name: name, Server: r.server, IsTemporary: true}
	}
	return nil
}

func (f *failure) error(name string) *net.DNSError {
	e := &net.DNSError{
		Err:         f.text,
		Name:        name,
		Server:      f.server,
		IsTimeout:   f.kind == timeout,
		IsTemporary: f.kind != missing,
		IsNotFound:  f.kind == missing,
	}
	switch f.kind {
	case timeout:
		e.UnwrapErr = context.DeadlineExceeded
	case canceled:
		e.UnwrapErr = context.Canceled
	}
	return e
}

// contextDone returns the reply to a caller whose context is done. It is never cached.
func contextDone(ctx context.Context) reply {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return reply{answer: answer{result: &failure{kind: timeout, text: "timeout"}}}
	}
	return reply{answer: answer{result: &failure{kind: canceled, text: "canceled"}}}
}
