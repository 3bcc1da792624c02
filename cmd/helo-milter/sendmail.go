package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"helo-milter/checks/clean"
)

// sendmail is the program sendmail(8), of Postfix, Sendmail or any other MTA, and how long to wait for it.
type sendmail struct {
	program string
	wait    time.Duration
}

// send hands a message over. With -i, a line of a dot alone does not end it.
func (s sendmail) send(ctx context.Context, m *message) error {
	text, err := m.bytes()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.wait, fmt.Errorf("no result after %s", s.wait))
	defer cancel()
	said := new(beginning)
	cmd := exec.CommandContext(ctx, s.program, "-i", "--", string(m.to))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(text), said, said
	cmd.WaitDelay = time.Second // for a child of it that keeps its output open
	err = cmd.Run()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(*said)), "\n")
	if line != "" {
		return fmt.Errorf("the letter was not sent: %s: %w: %s", s.program, err, clean.Terminal(line))
	}
	return fmt.Errorf("the letter was not sent: %s: %w", s.program, err)
}

// beginning keeps the first bytes written to it: enough for the first line of an error.
type beginning []byte

func (b *beginning) Write(p []byte) (int, error) {
	const limit = 400
	*b = append(*b, p[:min(len(p), limit-len(*b))]...)
	return len(p), nil
}
