package dnscache

import (
	"context"
	"errors"
	"net"
)

// failure is why there are no values. It never changes once it is in a reply.
type failure struct {
	kind   kind
	streak uint8 // how many failures of the same question came before it in a row
	text   string
	server string
}

// kind sorts failures by how telling they are, where several servers fail.
type kind uint8

const (
	canceled    kind = iota // the caller did not wait
	unreachable             // the server could not be talked to
	timeout
	unusable // an answer that settles nothing, or that we cannot bear
	badRcode // an answer with an rcode such as SERVFAIL or REFUSED
	missing  // NXDOMAIN or NODATA: final, and no server's fault
)

func (a answer) failure() *failure {
	f, _ := a.result.(*failure)
	return f
}

// error is the reply's as the caller gets it, who asked for the name; nil for values.
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

// left is the reply to a caller whose context ended. It is never cached.
func contextDone(ctx context.Context) reply {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return reply{answer: answer{result: &failure{kind: timeout, text: "timeout"}}}
	}
	return reply{answer: answer{result: &failure{kind: canceled, text: "canceled"}}}
}
