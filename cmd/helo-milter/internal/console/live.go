package console

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/past"
)

const (
	streamTime = 10 * time.Minute // then the browser asks again
	streamBeat = 20 * time.Second // proxies give up what is silent for a minute
	rowsTime   = 500 * time.Millisecond
	liveTime   = 5 * time.Second
)

// open begins a stream of events (HTML Living Standard, "Server-sent events"), or answers that there is no place.
func (c *Console) open(w http.ResponseWriter) (send func([]byte) bool, leave func(), ok bool) {
	select {
	case c.limits.streams <- struct{}{}:
	default:
		w.Header().Set("Retry-After", "60")
		http.Error(w, "Too many pages are open. Reload this one to see what has changed.", http.StatusServiceUnavailable)
		return nil, nil, false
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx
	stream := http.NewResponseController(w)
	_ = stream.SetReadDeadline(time.Time{}) // nothing more is read
	send = func(text []byte) bool {
		_ = stream.SetWriteDeadline(time.Now().Add(writeTime))
		_, err := w.Write(text)
		return err == nil && stream.Flush() == nil
	}
	return send, func() { <-c.limits.streams }, true
}

// event is a text as an event. The number is what a browser says when it comes again.
func event(name string, number uint64, text []byte) []byte {
	var b bytes.Buffer
	if name != "" {
		fmt.Fprintf(&b, "event: %s\n", name)
	}
	if number > 0 {
		fmt.Fprintf(&b, "id: %d\n", number)
	}
	for line := range bytes.Lines(text) {
		fmt.Fprintf(&b, "data: %s\n", bytes.TrimRight(line, "\r\n"))
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// decisions sends the rows of decisions as they are made: first those after the number that the page has.
func (c *Console) decisions(w http.ResponseWriter, r *http.Request) {
	wanted, err := filterOf(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	send, leave, ok := c.open(w)
	if !ok {
		return
	}
	defer leave()
	one := c.streams.enter(wanted)
	defer c.streams.leave(one)
	after, err := strconv.ParseUint(r.Header.Get("Last-Event-ID"), 10, 64)
	if err != nil {
		after, err = strconv.ParseUint(r.URL.Query().Get("after"), 10, 64)
	}
	if err == nil {
		one.missed(c.since(after, &wanted))
	}
	ends, beat, rows := time.NewTimer(streamTime), time.NewTicker(streamBeat), time.NewTicker(rowsTime)
	defer ends.Stop()
	defer beat.Stop()
	defer rows.Stop()
	if !send([]byte(": open\n\n")) {
		return
	}
	for {
		select {
		case <-rows.C:
			select {
			case <-one.news:
				if list, more := one.take(); !send(rowsEvent(list, more)) {
					return
				}
			default:
			}
		case <-beat.C:
			if !send([]byte(":\n\n")) {
				return
			}
		case <-ends.C:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// since returns the last decisions after a number, the oldest first, how many there are before them, and the number of
// the last of all. After a number that is of another daemon there is nothing.
func (c *Console) since(after uint64, wanted *filter) (list []*decision, more int, last uint64) {
	lines, last := c.recent.all()
	if after > last {
		return nil, 0, 0
	}
	first := last - uint64(len(lines)) + 1
	from := max(after+1, first)
	holds := wanted.ofLine()
	for i := len(lines) - 1; i >= 0 && first+uint64(i) >= from; i-- {
		r := c.decode(lines[i], holds)
		switch {
		case r == nil || !wanted.match(r):
		case len(list) == maxWaiting:
			more++
		default:
			list = append(list, newDecision(first+uint64(i), r))
		}
	}
	slices.Reverse(list)
	return list, more, last
}

// rowsEvent has rows, the latest first, and how many more there were.
func rowsEvent(list []*decision, more int) []byte {
	var b bytes.Buffer
	number := uint64(0)
	for i := len(list) - 1; i >= 0; i-- {
		b.Write(list[i].row())
		number = max(number, list[i].number)
	}
	text := event("", number, b.Bytes())
	if more > 0 {
		text = append(text, event("more", 0, []byte(strconv.Itoa(more)))...)
	}
	return text
}

// follow sends the part of a page that changes, when it has changed.
func (c *Console) follow(w http.ResponseWriter, r *http.Request, every time.Duration, render func() (text []byte, last bool)) {
	send, leave, ok := c.open(w)
	if !ok {
		return
	}
	defer leave()
	ends, beat, tick := time.NewTimer(streamTime), time.NewTicker(streamBeat), time.NewTicker(every)
	defer ends.Stop()
	defer beat.Stop()
	defer tick.Stop()
	var sent []byte
	for {
		text, last := render()
		if !bytes.Equal(text, sent) {
			sent = text
			if !send(event("", 0, text)) {
				return
			}
		}
		if last {
			send(event("end", 0, []byte("end")))
			return
		}
		select {
		case <-tick.C:
		case <-beat.C:
			if !send([]byte(":\n\n")) {
				return
			}
		case <-ends.C:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// decode returns the record of a line of ours, or nil where it is not wanted.
func (c *Console) decode(line []byte, holds func([]byte) bool) *checks.Record {
	if holds != nil && !holds(line) {
		return nil
	}
	r, err := new(past.Decoder).Record(line)
	if err != nil {
		panic(err)
	}
	return r
}
