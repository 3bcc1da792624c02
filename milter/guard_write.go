package milter

import (
	"encoding/binary"
	"strings"
)

// replies is what the library says and has not been sent.
type replies struct {
	small *[smallSize]byte // nil while nothing is held
	held  int              // how much of it is
	due   int              // how much of the present frame's data is still to come
	code  byte             // of that frame
}

// modifications are the codes of replies that come before another: SMFIR_ADDRCPT, SMFIR_DELRCPT,
// SMFIR_ADDRCPT_PAR, SMFIR_REPLBODY, SMFIR_CHGFROM, SMFIR_ADDHEADER, SMFIR_INSHEADER, SMFIR_CHGHEADER and
// SMFIR_QUARANTINE. SMFIR_PROGRESS is none of them: it has to go out at once.
const modifications = "+-2behimq"

// Write sends p, but holds back the head of a reply until its data comes (the library writes them one by
// one), and modifications of a message until the reply that ends them: so that each answer is one packet.
// What does not fit into a buffer goes out before.
func (c *guardConn) Write(p []byte) (int, error) {
	o := &c.out
	head := o.due == 0 && len(p) == headLen
	switch {
	case head:
		o.code, o.due = p[4], max(0, int(binary.BigEndian.Uint32(p))-1)
	case o.due == 0:
		o.code = 0 // not the library's way: it goes out as it is
	default:
		if o.code == 'O' {
			c.progress.negotiated(p)
		}
		o.due = max(0, o.due-len(p))
	}
	waits := head && o.due > 0 || o.code != 0 && strings.IndexByte(modifications, o.code) >= 0
	if waits && o.held+len(p) <= smallSize {
		if o.small == nil {
			o.small = c.guard.buffers.Get().(*[smallSize]byte)
		}
		o.held += copy(o.small[o.held:], p)
		return len(p), nil
	}
	return c.flush(p)
}

// flush sends what is held, and p behind it.
func (c *guardConn) flush(p []byte) (int, error) {
	o := &c.out
	if o.small == nil {
		return c.send(p)
	}
	held := o.held
	n, err := c.send(append(o.small[:held], p...))
	c.guard.buffers.Put(o.small)
	o.small, o.held = nil, 0
	return max(0, n-held), err
}

// send writes all of p, as long as the caller's deadline allows.
func (c *guardConn) send(p []byte) (n int, err error) {
	for {
		k, err := c.Conn.Write(p[n:])
		n += k
		if !c.earlyWrite(err) {
			c.heard.Store(false)
			return n, err
		}
	}
}
