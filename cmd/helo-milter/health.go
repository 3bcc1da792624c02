package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"helo-milter/cmd/helo-milter/internal/config"
)

// healthCmd is the health check of a container, which has no other program to ask /healthz with. It is
// hidden: administrators ask with curl.
type healthCmd struct{}

// healthTimeout is how long a healthy daemon may take to answer on a busy machine.
const healthTimeout = 3 * time.Second

// Run exits with 0 if the daemon of this configuration answers /healthz with 200.
func (healthCmd) Run(p *program) error {
	cfg, err := p.configuration()
	if err != nil {
		return err
	}
	if err := askHealth(p.ctx, cfg.HTTP.Listen); err != nil {
		return fmt.Errorf("health: %w", err)
	}
	return nil
}

// askHealth asks the HTTP server at an address, through no proxy.
func askHealth(ctx context.Context, at config.Address) error {
	if at.Network == "" {
		return errors.New("http.listen is not set: there is no /healthz")
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, at.Network, at.Address) // without a host, the local one
		},
		DisableKeepAlives: true,
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/healthz", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}
