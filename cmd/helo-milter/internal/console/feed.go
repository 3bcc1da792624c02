package console

import (
	"bytes"

	"helo-milter/checks"
)

// Write takes decisions, each a line as in the decision log. It must not be called concurrently.
func (c *Console) Write(lines []byte) (int, error) {
	for line := range bytes.Lines(lines) {
		c.take(bytes.TrimSuffix(line, []byte{'\n'}))
	}
	return len(lines), nil
}

// take takes a line, and survives a panic: then the decision is not shown.
func (c *Console) take(text []byte) {
	defer c.survive()
	own := line{text: text}
	if fleet := c.settings.Load().Fleet; fleet != nil {
		own.host = fleet.Host()
	}
	r, err := c.decoder.Record(text)
	if err != nil {
		panic(err) // we have written it
	}
	c.show(own, r) // first: evidence that is begun anew has to find it
	c.grow(r)
}

// show shows a decision.
func (c *Console) show(l line, r *checks.Record) {
	c.showing.Lock()
	defer c.showing.Unlock()
	c.streams.send(c.newDecision(c.recent.add(l), l.host, r))
}
