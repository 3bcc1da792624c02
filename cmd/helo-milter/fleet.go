package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"helo-milter/checks/clean"
	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/fleet"
	"helo-milter/cmd/helo-milter/internal/past"
)

// askFleet is how long the fleet's server may take to say which hosts there are.
const askFleet = 10 * time.Second

// inputs are what arguments name that is no file: standard input, and what the hosts of the fleet share from a
// moment on. "fleet:" is replaced by one for each host. lost is called with what is missing in the stream of one.
// end must be called.
func (p *program) inputs(
	cfg *config.Config, from time.Time, lost func(string), lists ...*[]string,
) (in past.Inputs, end func(), err error) {
	in, end = past.Inputs{Stdin: p.stdin}, func() {}
	shared := func(name string) bool { return strings.HasPrefix(name, past.FleetPrefix) }
	if !slices.ContainsFunc(lists, func(list *[]string) bool { return slices.ContainsFunc(*list, shared) }) {
		return in, end, nil
	}
	if len(cfg.Fleet.Redis) == 0 {
		return in, end, exitError{exitConfig, errors.New("fleet: is for hosts that share a server: set redis in " +
			"[fleet] of the configuration, and name it with --config")}
	}
	server, err := fleet.Connect(cfg)
	if err != nil {
		return in, end, exitError{exitConfig, cfg.Placed(err)}
	}
	end = func() { _ = server.Close() }
	ctx, cancel := context.WithTimeout(p.ctx, askFleet)
	defer cancel()
	hosts, err := server.Hosts(ctx)
	if err != nil {
		end()
		return in, func() {}, err
	}
	for _, list := range lists {
		if *list, err = eachHost(*list, hosts); err != nil {
			end()
			return in, func() {}, err
		}
	}
	in.Fleet = func(ctx context.Context, host string) (io.ReadCloser, error) {
		stream, err := server.Open(ctx, host, from)
		if err != nil {
			return nil, err
		}
		return &hostStream{stream, host, lost}, nil
	}
	return in, end, nil
}

// censusPatience is how long a command waits for what the fleet has seen, when the DNS has said everything.
const censusPatience = 2 * time.Second

// askCensus has a judgement ask what the fleet has seen, if there is one. end must be called.
func askCensus(cfg *config.Config) (end func(), err error) {
	if len(cfg.Fleet.Redis) == 0 {
		return func() {}, nil
	}
	server, err := fleet.Connect(cfg)
	if err != nil {
		return nil, exitError{exitConfig, cfg.Placed(err)}
	}
	census := fleet.NewPatientCensus(server)
	cfg.DNS.Census, cfg.DNS.Patience = census, censusPatience
	return func() { census.Close(); _ = server.Close() }, nil
}

// say says something to the user that is not the result.
func (p *program) say(text string) { fmt.Fprintln(p.stderr, "helo-milter:", text) }

// eachHost replaces "fleet:" by the hosts that there are, and refuses others.
func eachHost(names, hosts []string) (list []string, err error) {
	for _, name := range names {
		host, ok := strings.CutPrefix(name, past.FleetPrefix)
		switch host = strings.ToLower(host); {
		case !ok:
			list = append(list, name)
		case host == "":
			for _, host := range hosts {
				list = append(list, past.FleetPrefix+host)
			}
		case slices.Contains(hosts, host):
			list = append(list, past.FleetPrefix+host)
		default:
			return nil, fmt.Errorf("%s: no such host; there are: %s", clean.Terminal(name),
				clean.Terminal(strings.Join(hosts, ", ")))
		}
	}
	if len(list) == 0 && len(names) > 0 {
		return nil, errors.New("fleet: no host has shared anything yet")
	}
	return list, nil
}

// hostStream is the stream of a host, which says at its end what is missing in it.
type hostStream struct {
	*fleet.Stream
	host string
	lost func(string)
}

func (s *hostStream) Close() error {
	if lost := s.Lost(); lost.Any() {
		s.lost(fmt.Sprintf("%s%s: %v", past.FleetPrefix, clean.Report(s.host), lost))
	}
	return s.Stream.Close()
}
