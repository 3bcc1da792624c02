package console

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

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

// eventOf is a text as an event. The number is what a browser says when it comes again.
func eventOf(name string, number uint64, text []byte) []byte {
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
	first := silence // then rows, some at a time
	repeat(r.Context(), send, rowsTime, func() (text []byte, last bool) {
		if text, first = first, nil; text != nil {
			return text, false
		}
		select {
		case <-one.news:
			return rowsEvent(one.take()), false
		default:
			return nil, false
		}
	})
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
	holds, decoder := wanted.ofLine(), past.Decoder{}
	for i := len(lines) - 1; i >= 0 && first+uint64(i) >= from; i-- {
		if holds != nil && !holds(lines[i].text) {
			continue
		}
		r, err := decoder.Record(lines[i].text)
		switch {
		case err != nil || !wanted.match(lines[i].host, r): // there is no error: it was decoded before
		case len(list) == maxWaiting:
			more++
		default:
			list = append(list, c.newDecision(first+uint64(i), lines[i].host, r))
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
	text := eventOf("", number, b.Bytes())
	if more > 0 {
		text = append(text, eventOf("more", 0, []byte(strconv.Itoa(more)))...)
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
	var sent []byte
	repeat(r.Context(), send, every, func() (event []byte, last bool) {
		text, last := render()
		if !bytes.Equal(text, sent) {
			sent, event = text, eventOf("", 0, text)
		}
		if last {
			event = append(event, eventOf("end", 0, []byte("end"))...)
		}
		return event, last
	})
}

// silence is a comment: a page knows by it that the stream is open.
var silence = []byte(":\n\n")

// repeat sends what there is to send, at once and every so often, until that was the last or the page is closed.
func repeat(ctx context.Context, send func([]byte) bool, every time.Duration, next func() (text []byte, last bool)) {
	ends, beat, tick := time.NewTimer(streamTime), time.NewTicker(streamBeat), time.NewTicker(every)
	defer ends.Stop()
	defer beat.Stop()
	defer tick.Stop()
	for {
		if text, last := next(); len(text) > 0 && !send(text) || last {
			return
		}
		select {
		case <-tick.C:
		case <-beat.C:
			if !send(silence) {
				return
			}
		case <-ends.C:
			return
		case <-ctx.Done():
			return
		}
	}
}
