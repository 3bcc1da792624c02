package main

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"helo-milter/checks"
	"helo-milter/dnscache"
)

// key is a row of the table of configuration keys: the parser, `config` and `config --default` read it.
type key struct {
	name  string              // dotted, as a TOML path
	value string              // the default, in TOML; "" for a rule's, which the profile has
	doc   string              // for `config --default`
	at    func(*Config) any   // where its value lives: a pointer to what decode knows
	check func(*Config) error // what else has to be true of the value; may be nil
}

// keys are the configuration keys in the order in which they are printed.
var keys = slices.Concat(plainKeys, ruleKeys())

// plainKeys are those that are not about a rule.
var plainKeys = []key{
	{"mode", `"observe"`, "observe | enforce", func(c *Config) any { return &c.Mode }, nil},
	{"profile", `"standard"`, "careful | standard | strict", func(c *Config) any { return &c.Profile }, nil},
	{
		"listen", `["inet:127.0.0.1:8891"]`, "also unix:/path, inet6:[::1]:8891, inet:8891@localhost",
		func(c *Config) any { return &c.Listen }, checkListen,
	},
	{"socket_mode", `"0660"`, "of unix sockets", func(c *Config) any { return &c.SocketMode }, nil},
	{
		"socket_group", `""`, "of unix sockets; default: the daemon's own",
		func(c *Config) any { return &c.SocketGroup }, nil,
	},
	{"reply_at", `"rcpt"`, "mail | rcpt", func(c *Config) any { return &c.ReplyAt }, nil},
	{
		"timeout", `"5s"`, "whole decision, at most 9s", func(c *Config) any { return &c.Timeout },
		func(c *Config) error { return between(time.Duration(c.Timeout), 100*time.Millisecond, 9*time.Second) },
	},
	{
		"on_dns_error", `"accept"`, "accept | tempfail: the most that a failed lookup can cause",
		func(c *Config) any { return &c.OnDNSError }, nil,
	},
	{
		"help_url", `""`, "appended to every refusal", func(c *Config) any { return &c.HelpURL },
		func(c *Config) error { return printable(c.HelpURL, 200) },
	},
	{
		"decision_log", `""`, `file, or "-" for standard output: one JSON record a line`,
		func(c *Config) any { return &c.DecisionLog }, nil,
	},
	{"header.add", "true", "", func(c *Config) any { return &c.Header.Add }, nil},
	{
		"header.name", `"X-HELO-Check"`, "", func(c *Config) any { return &c.Header.Name },
		func(c *Config) error { return fieldName(c.Header.Name) },
	},
	{
		"header.authentication_results", "false", "also add iprev as RFC 8601 has it",
		func(c *Config) any { return &c.Header.AuthenticationResults }, nil,
	},
	{
		"site.hostname", `""`, "our host name; default: what the MTA says ({j})",
		func(c *Config) any { return &c.Site.Hostname },
		func(c *Config) error { return names([]string{c.Site.Hostname}, false) },
	},
	{
		"site.names", `[]`, `host names and domains that are ours; ".example.net" covers what is under it`,
		func(c *Config) any { return &c.Site.Names },
		func(c *Config) error { return names(c.Site.Names, true) },
	},
	{
		"site.addresses", `[]`, "public addresses of ours, beside those the MTA reports",
		func(c *Config) any { return &c.Site.Addresses }, nil,
	},
	{
		"exempt.networks", `["private"]`,
		`CIDRs; "private" is loopback, link-local, RFC 1918, CGNAT and ULA`,
		func(c *Config) any { return &c.Exempt.Networks }, nil,
	},
	{"exempt.authenticated", "true", "", func(c *Config) any { return &c.Exempt.Authenticated }, nil},
	{
		"lists.domain", `[]`, `domain block lists, such as "dbl.example."`,
		func(c *Config) any { return &c.Lists.Domain },
		func(c *Config) error { return zones(c.Lists.Domain) },
	},
	{
		"dns.servers", `[]`, "HOST:PORT or tls://HOST:PORT#NAME; default: resolv.conf", func(c *Config) any { return &c.DNS.Servers },
		func(c *Config) error { return servers(c.DNS.Servers) },
	},
	{
		"dns.case_randomization", `"auto"`, "auto | on | off: random case in questions; auto is off for loopback",
		func(c *Config) any { return &c.DNS.CaseRandomization }, nil,
	},
	{
		"dns.cache_entries", "100000", "", func(c *Config) any { return &c.DNS.CacheEntries },
		func(c *Config) error { return between(c.DNS.CacheEntries, 1, 100_000_000) },
	},
	{
		"limits.connections", "1000", "from MTAs at a time", func(c *Config) any { return &c.Limits.Connections },
		func(c *Config) error { return between(c.Limits.Connections, 1, 1_000_000) },
	},
	{
		"limits.per_peer", "0", "of them from one address; 0 is half, and all over loopback",
		func(c *Config) any { return &c.Limits.PerPeer },
		func(c *Config) error { return between(c.Limits.PerPeer, 0, 1_000_000) },
	},
	{
		"limits.peers", `[]`, "networks of the MTAs that may connect over TCP; a must where other hosts can",
		func(c *Config) any { return &c.Limits.Peers }, nil,
	},
	{
		"limits.idle", `"70m"`, "the longest silence of an MTA; Sendmail waits an hour for its client",
		func(c *Config) any { return &c.Limits.Idle },
		func(c *Config) error { return between(time.Duration(c.Limits.Idle), time.Second, 24*time.Hour) },
	},
	{
		"limits.shutdown", `"20s"`, "how long transactions may go on when the daemon is stopped",
		func(c *Config) any { return &c.Limits.Shutdown },
		func(c *Config) error { return between(time.Duration(c.Limits.Shutdown), 0, 10*time.Minute) },
	},
	{
		"http.listen", `""`, `"127.0.0.1:9891": /metrics, /healthz, /readyz`,
		func(c *Config) any { return &c.HTTP.Listen },
		func(c *Config) error { return hostPort(c.HTTP.Listen) },
	},
}

// sumKeys are about the sum of the scores.
var sumKeys = []key{
	{
		"scores.tempfail_at", "0.0", "summed score from which a client is tempfailed; 0 is never",
		func(c *Config) any { return &c.TempFailAt },
		func(c *Config) error { return score(c.TempFailAt) },
	},
	{
		"scores.reject_at", "0.0", "the same for a reject", func(c *Config) any { return &c.RejectAt },
		func(c *Config) error { return score(c.RejectAt) },
	},
}

// ruleKeys are an action and a score for each rule of the rule table.
func ruleKeys() []key {
	var actions, scores []key
	for i, rule := range checks.All {
		actions = append(actions, key{
			name: "rules." + rule.Name,
			at:   func(c *Config) any { return &c.Actions[i] },
		})
		scores = append(scores, key{
			name:  "scores." + rule.Name,
			at:    func(c *Config) any { return &c.Scores[i] },
			check: func(c *Config) error { return score(*c.Scores[i]) },
		})
	}
	return slices.Concat(actions, sumKeys, scores)
}

// entryKeys are the keys of [[allow]] and [[deny]]; their values are read where the lists are.
var entryKeys = map[string][]string{
	"allow": {"network", "name", "until", "reason"},
	"deny":  {"helo", "ptr", "network"},
}

func between[T int | time.Duration](v, low, high T) error {
	if v < low || v > high {
		return fmt.Errorf("%v is not between %v and %v", v, low, high)
	}
	return nil
}

func score(v float64) error {
	if v >= 0 && v <= 1000 { // NaN is not
		return nil
	}
	return fmt.Errorf("%v is not between 0 and 1000", v)
}

func printable(s string, limit int) error {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return fmt.Errorf("%q has a byte that is not printable ASCII", s)
		}
	}
	if len(s) > limit {
		return fmt.Errorf("has %d bytes, at most %d fit", len(s), limit)
	}
	return nil
}

// fieldName is a header field name by RFC 5322 §2.2.
func fieldName(s string) error {
	if s == "" || strings.Contains(s, ":") || printable(s, 76) != nil {
		return fmt.Errorf("%q is not a header field name", s)
	}
	if strings.EqualFold(s, "Authentication-Results") {
		return errors.New("is another field's name: set header.authentication_results for that")
	}
	return nil
}

func names(list []string, suffix bool) error {
	for _, name := range list {
		plain := name
		if suffix {
			plain = strings.TrimPrefix(name, ".")
		}
		helo := checks.ParseHelo(checks.Canonical(plain))
		if (name != "" || suffix) && helo.Form&checks.FormName == 0 {
			return fmt.Errorf("%q is not a host name or a domain", name)
		}
	}
	return nil
}

func hostPort(s string) error {
	if _, _, err := net.SplitHostPort(s); s != "" && err != nil {
		return fmt.Errorf("%q is not HOST:PORT, such as 127.0.0.1:9891", s)
	}
	return nil
}

func zones(list []string) error {
	if slices.Contains(list, "") {
		return errors.New("an empty name is no list")
	}
	return names(list, false)
}

func servers(list []string) error {
	for _, server := range list {
		if err := dnscache.CheckServer(server); err != nil {
			return err
		}
	}
	return nil
}

func checkListen(c *Config) error {
	if len(c.Listen) == 0 {
		return errors.New("empty: give at least one address to listen on")
	}
	for _, l := range c.Listen {
		if _, _, err := parseListen(l); err != nil {
			return err
		}
	}
	return nil
}
