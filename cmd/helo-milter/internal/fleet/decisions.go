package fleet

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// streamDays is how long the stream of a host stays that adds nothing any more.
	streamDays = 30 * 24 * time.Hour
	// A batch is sent at once: so many records, or bytes, from which it is full.
	batchRecords = 200
	batchBytes   = 256 << 10
	// linger is how long a batch waits for more records after another one, which costs host and server less than a
	// transaction for each.
	linger = 20 * time.Millisecond
	// sendTimeout is how long a batch may take.
	sendTimeout = 2 * time.Second
)

// Decisions is this host's stream, as the io.Writer of a spool. It takes lines, each with its newline: a record, and
// what AppendSighting appends to it. It is for one goroutine.
//
// A batch is one transaction: its records are all there, or none. One of which nobody knows whether it is there, since
// the answer was lost, is sent again. Each record has the number of this process (drawn at random), its own number in
// it, and how many were dropped before it, so that readers know what is missing, and what is there twice.
type Decisions struct {
	server  *Server
	records int64         // how many are kept, at least
	dropped func() uint64 // by the spool
	seen    *sightings

	process string
	number  uint64 // of the last record that is there
}

// NewDecisions returns the stream of the server's host, in which about so many records are kept. dropped returns how
// many records are missing.
func NewDecisions(s *Server, records int, dropped func() uint64) *Decisions {
	random := make([]byte, 4)
	_, _ = rand.Read(random)
	return &Decisions{
		server: s, records: int64(records), dropped: dropped, seen: newSightings(), process: hex.EncodeToString(random),
	}
}

// Write adds records to the stream, and their sightings to the census, batch after batch. It returns how many bytes are
// there: whole lines.
func (d *Decisions) Write(lines []byte) (n int, err error) {
	for len(lines) > 0 {
		batch := firstBatch(lines)
		if err := d.send(batch); err != nil {
			return n, err
		}
		n += len(batch)
		lines = lines[len(batch):]
	}
	time.Sleep(linger)
	return n, nil
}

// firstBatch returns as many whole lines as are sent at once.
func firstBatch(lines []byte) []byte {
	end := 0
	for records := 0; records < batchRecords && end < batchBytes && end < len(lines); records++ {
		line := bytes.IndexByte(lines[end:], '\n')
		if line < 0 {
			return lines // the spool writes whole lines
		}
		end += line + 1
	}
	return lines[:end]
}

func (d *Decisions) send(batch []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), sendTimeout)
	defer cancel()
	stream, sent, dropped := d.server.key("decisions", d.server.host), uint64(0), d.dropped()
	var seen [][]byte
	commands, err := d.server.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		for line := range bytes.Lines(batch) {
			record, sighting, ok := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte{'\t'})
			if !ok {
				continue // not ours: nothing that could be read again
			}
			sent++
			seen = append(seen, sighting)
			id := fmt.Sprintf("%s %d %d", d.process, d.number+sent, dropped)
			p.XAdd(ctx, &redis.XAddArgs{Stream: stream, MaxLen: d.records, Approx: true, Values: []any{"n", id, "r", record}})
		}
		p.Expire(ctx, stream, streamDays)
		return nil
	})
	if err != nil {
		return cause(commands, err)
	}
	d.number += sent
	d.seen.add(d.server, seen)
	return nil
}

// cause is why a transaction failed: the error of the command that the server refused. Of the transaction itself it
// says only that it was given up.
func cause(commands []redis.Cmder, err error) error {
	for _, c := range commands {
		if c.Err() != nil && !strings.HasPrefix(c.Err().Error(), "EXECABORT") {
			return c.Err()
		}
	}
	return err
}

var _ io.Writer = (*Decisions)(nil)
