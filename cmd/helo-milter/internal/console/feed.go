package console

import "bytes"

// Write takes decisions, each a line as in the decision log. It must not be called concurrently.
func (c *Console) Write(lines []byte) (int, error) {
	for line := range bytes.Lines(lines) {
		c.take(bytes.TrimSuffix(line, []byte{'\n'}))
	}
	return len(lines), nil
}

// take takes a line, and survives a panic: then the decision is not shown.
func (c *Console) take(line []byte) {
	defer c.survive()
	r, err := c.decoder.Record(line)
	if err != nil {
		panic(err) // we have written it
	}
	number := c.recent.add(line)
	c.grow(r)
	c.streams.send(newDecision(number, r))
}
