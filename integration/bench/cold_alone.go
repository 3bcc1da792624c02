package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"helo-milter/integration/rig"
)

// ask asks the questions of clients that next picks, of so many at a time, and returns how long those of each took,
// sorted: what no milter that asks them can be faster than.
func (p pool) ask(t rig.T, atATime int, next picker) (times []time.Duration) {
	each := make([][]time.Duration, atATime)
	var workers sync.WaitGroup
	for w := range each {
		workers.Go(func() {
			for i, ok := next(); ok; i, ok = next() {
				start := time.Now()
				if err := p.client(i).ask(); err != nil {
					t.Errorf("questions alone: %v", err)
					return
				}
				each[w] = append(each[w], time.Since(start))
			}
		})
	}
	workers.Wait()
	return slices.Sorted(slices.Values(slices.Concat(each...)))
}

// ask asks for the reverse name and what there is of the HELO name, all at once; and then for the address of the
// reverse name if that is another one.
func (c client) ask() error {
	a := c.addr.As4()
	arpa := fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa", a[3], a[2], a[1], a[0])
	errs := make(chan error)
	for _, q := range [][]byte{
		question(arpa, typePTR), question(c.helo, typeA), question(c.helo, typeAAAA), question(c.helo, typeTXT),
	} {
		go func() { errs <- answered(q) }()
	}
	var err error
	for range 4 {
		if one := <-errs; one != nil {
			err = one
		}
	}
	if err == nil && c.helo != c.name {
		err = answered(question(c.name, typeA))
	}
	return err
}

// question returns a query (RFC 1035 §4.1).
func question(name string, qtype uint16) []byte {
	query := []byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00")
	for label := range strings.SplitSeq(name, ".") {
		query = append(append(query, byte(len(label))), label...)
	}
	query = binary.BigEndian.AppendUint16(append(query, 0), qtype)
	return binary.BigEndian.AppendUint16(query, 1) // class IN
}

// answered sends a query, from a socket of its own, and waits for the answer.
func answered(query []byte) error {
	conn, err := net.Dial("udp", net.JoinHostPort(coldResolver, "53"))
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err = conn.Write(query); err == nil {
		_, err = conn.Read(make([]byte, 512))
	}
	return err
}
