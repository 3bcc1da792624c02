package config

import (
	"slices"
	"time"

	"helo-milter/checks"
)

// key is a row of the table of configuration keys: the parser, `config` and `config --default` read it.
type key struct {
	name  string              // dotted, as a TOML path
	value string              // in TOML: the default, or an example for [[allow]] and [[deny]]; "" for a rule's
	doc   string              // for `config --default`
	at    func(*Config) any   // where its value lives: a pointer to what decode knows
	check func(*Config) error // what else has to be true of the value; may be nil
}

// keys are the configuration keys in the order in which they are printed.
var keys = slices.Concat(plainKeys, ruleKeys())

// plainKeys are those that are not about a rule.
var plainKeys = []key{
	{"mode", `"observe"`, "observe | enforce", func(c *Config) any { return &c.Mode }, nil},
	{"profile", `"careful"`, "careful | standard | strict", func(c *Config) any { return &c.Profile }, nil},
	{
		"listen", `["inet:127.0.0.1:8891"]`, "also unix:/path, inet6:[::1]:8891, inet:8891@localhost; policy:unix:/path, policy:inet:127.0.0.1:8892",
		func(c *Config) any { return &c.Listen },
		func(c *Config) error { return notEmpty(c.Listen) },
	},
	{"socket_mode", `"0660"`, "of unix sockets", func(c *Config) any { return (*fileMode)(&c.SocketMode) }, nil},
	{
		"socket_group", `""`, "of unix sockets; default: the daemon's own",
		func(c *Config) any { return &c.SocketGroup }, nil,
	},
	{"reply_at", `"rcpt"`, "mail | rcpt", func(c *Config) any { return &c.ReplyAt }, nil},
	{
		"timeout", `"5s"`, "whole decision, at most 9s", func(c *Config) any { return (*duration)(&c.timeout) },
		func(c *Config) error { return between(c.timeout, 100*time.Millisecond, 9*time.Second) },
	},
	{
		"on_dns_error", `"accept"`, "accept | tempfail: the most that a failed lookup can cause",
		func(c *Config) any { return (*onDNSError)(&c.onDNSError) }, nil,
	},
	{
		"help_url", `""`, "appended to every refusal, with {id}, {rule} and {client} filled in", func(c *Config) any { return &c.helpURL },
		func(c *Config) error { return helpURL(c.helpURL) },
	},
	{
		"decision_log", `""`, `file, or "-" for standard output: one JSON record a line`,
		func(c *Config) any { return &c.DecisionLog },
		func(c *Config) error { return filePath(c.DecisionLog) },
	},
	{
		"list_file", `""`, "what the commands allow and deny edit; in a fleet, its last copy of the shared list",
		func(c *Config) any { return &c.ListFile },
		func(c *Config) error { return filePath(c.ListFile) },
	},
	{"log", `"text"`, "text | json, on standard error", func(c *Config) any { return &c.Log }, nil},
	{
		"log_level", `"info"`, "debug | info | warn | error; a decision is info",
		func(c *Config) any { return (*logLevel)(&c.LogLevel) }, nil,
	},
	{"header.add", "true", "", func(c *Config) any { return &c.Header.Add }, nil},
	{
		"header.name", `"X-HELO-Check"`, "", func(c *Config) any { return &c.Header.Name },
		func(c *Config) error { return fieldName(c.Header.Name) },
	},
	{
		"header.authentication_results", "false", "also add Authentication-Results with iprev (RFC 8601)",
		func(c *Config) any { return &c.Header.AuthenticationResults }, nil,
	},
	{
		"site.hostname", `""`, "this server's host name; default: what the MTA reports ({j})",
		func(c *Config) any { return &c.site.hostname },
		func(c *Config) error { return names([]string{c.site.hostname}, false) },
	},
	{
		"site.names", `[]`, `this server's host names and domains; ".example.net" covers everything under it`,
		func(c *Config) any { return &c.site.names },
		func(c *Config) error { return names(c.site.names, true) },
	},
	{
		"site.addresses", `[]`, "this server's public addresses, in addition to those the MTA reports",
		func(c *Config) any { return &c.site.addresses }, nil,
	},
	{
		"exempt.networks", `["private"]`,
		`CIDRs; "private" is loopback, link-local, RFC 1918, CGNAT and ULA`,
		func(c *Config) any { return &c.exempt.networks }, nil,
	},
	{"exempt.authenticated", "true", "", func(c *Config) any { return &c.exempt.authenticated }, nil},
	{
		"lists.domain", `[]`, `domain block lists, such as "dbl.example."`,
		func(c *Config) any { return &c.blockLists },
		func(c *Config) error { return zones(c.blockLists) },
	},
	{
		"dns.servers", `[]`, "HOST:PORT or tls://HOST:PORT#NAME; default: resolv.conf",
		func(c *Config) any { return &c.Resolver.Servers },
		func(c *Config) error { return CheckServers(c.Resolver.Servers) },
	},
	{
		"dns.case_randomization", `"auto"`, "auto | on | off: random case in questions; auto is off for loopback",
		func(c *Config) any { return (*string)(&c.Resolver.CaseRandomization) },
		func(c *Config) error { return c.Resolver.CaseRandomization.Check() },
	},
	{
		"dns.cache_entries", "100000", "", func(c *Config) any { return &c.Resolver.Entries },
		func(c *Config) error { return between(c.Resolver.Entries, 1, 100_000_000) },
	},
	{
		"limits.connections", "1000", "open at a time", func(c *Config) any { return &c.Limits.Connections },
		func(c *Config) error { return between(c.Limits.Connections, 1, 1_000_000) },
	},
	{
		"limits.per_peer", "0", "from one address; 0 is half of connections, or all over loopback",
		func(c *Config) any { return &c.Limits.PerPeer },
		func(c *Config) error { return between(c.Limits.PerPeer, 0, 1_000_000) },
	},
	{
		"limits.peers", `[]`, "networks of the MTAs that may connect over TCP; required where other hosts can",
		func(c *Config) any { return &c.Limits.Peers }, nil,
	},
	{
		"limits.idle", `"70m"`, "longest wait for the next command; Sendmail waits an hour for its client",
		func(c *Config) any { return (*duration)(&c.Limits.Idle) },
		func(c *Config) error { return between(c.Limits.Idle, time.Second, 24*time.Hour) },
	},
	{
		"limits.shutdown", `"20s"`, "how long open transactions may continue when the daemon stops",
		func(c *Config) any { return (*duration)(&c.Shutdown) },
		func(c *Config) error { return between(c.Shutdown, 0, 10*time.Minute) },
	},
	{
		"http.listen", `""`, `"127.0.0.1:9891" or "unix:/path": /metrics, /healthz, /readyz`,
		func(c *Config) any { return (*httpAddress)(&c.HTTP.Listen) }, nil,
	},
	{
		"http.allow", `[]`, "networks of the hosts that may connect over TCP; required where other hosts can",
		func(c *Config) any { return &c.HTTP.Allow }, nil,
	},
	{
		"http.console", "false", "the evidence as it grows, under /console/, for a browser",
		func(c *Config) any { return &c.HTTP.Console }, nil,
	},
	{
		"http.token_file", `""`, "its password, the file's first line; required where other hosts can connect",
		func(c *Config) any { return &c.HTTP.TokenFile },
		func(c *Config) error { return filePath(c.HTTP.TokenFile) },
	},
	{
		"http.pprof", "false", "profiles of the daemon under /debug/pprof/, to send to its developers; on loopback only",
		func(c *Config) any { return &c.HTTP.Pprof }, nil,
	},
	{
		"help.listen", `""`, "HOST:PORT or unix:/path: the page for senders who were refused",
		func(c *Config) any { return (*httpAddress)(&c.Help.Listen) }, nil,
	},
	{
		"help.url", `""`, "its address in the world, at the end of every refusal: \"https://helo.example.net/r/{id}\"",
		func(c *Config) any { return &c.Help.URL },
		func(c *Config) error { return linkURL(c.Help.URL) },
	},
	{
		"help.key_file", `""`, "seals the links; made when missing; the same on all hosts of a fleet",
		func(c *Config) any { return &c.Help.KeyFile },
		func(c *Config) error { return filePath(c.Help.KeyFile) },
	},
	{
		"help.mailbox", `""`, "recipient that is answered with the judgement of its session: \"helocheck@example.net\"",
		func(c *Config) any { return &c.Help.Mailbox },
		func(c *Config) error { return mailbox(c.Help.Mailbox) },
	},
	{
		"help.days", "30", "how long a link is valid", func(c *Config) any { return &c.Help.Days },
		func(c *Config) error { return between(c.Help.Days, 1, 366) },
	},
	{
		"selftest.addresses", `[]`, "this server's own sending addresses, looked at every 15 minutes",
		func(c *Config) any { return &c.SelfTest },
		func(c *Config) error { return public(c.SelfTest) },
	},
	{
		"fleet.redis", `[]`, `what the hosts of a fleet share: "redis://HOST:PORT", "rediss://HOST:PORT", "unix:/path"`,
		func(c *Config) any { return &c.Fleet.Redis },
		func(c *Config) (err error) { c.Fleet.Servers, err = servers(c.Fleet.Redis); return err },
	},
	{
		"fleet.user", `""`, "of an ACL; default: the server's default user", func(c *Config) any { return &c.Fleet.User },
		func(c *Config) error { return printable(c.Fleet.User, 255) },
	},
	{
		"fleet.password_file", `""`, "its password, the file's first line",
		func(c *Config) any { return &c.Fleet.PasswordFile },
		func(c *Config) error { return filePath(c.Fleet.PasswordFile) },
	},
	{
		"fleet.prefix", `"helo-milter:"`, "of all keys there", func(c *Config) any { return &c.Fleet.Prefix },
		func(c *Config) error { return printable(c.Fleet.Prefix, 100) },
	},
	{
		"fleet.host", `""`, "name of this host there; default: the machine's", func(c *Config) any { return &c.Fleet.Host },
		func(c *Config) error { return names([]string{c.Fleet.Host}, false) },
	},
	{
		"fleet.records", "100000", "decisions of this host that are kept there",
		func(c *Config) any { return &c.Fleet.Records },
		func(c *Config) error { return between(c.Fleet.Records, 1000, 100_000_000) },
	},
}

// sumKeys are about the sum of the scores.
var sumKeys = []key{
	{
		"scores.tempfail_at", "0.0", "summed score from which a client is tempfailed; 0 is never",
		func(c *Config) any { return &c.tempFailAt },
		func(c *Config) error { return score(c.tempFailAt) },
	},
	{
		"scores.reject_at", "0.0", "the same for a reject", func(c *Config) any { return &c.rejectAt },
		func(c *Config) error { return score(c.rejectAt) },
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
			at:    func(c *Config) any { return &c.scores[i] },
			check: func(c *Config) error { return score(*c.scores[i]) },
		})
	}
	return slices.Concat(actions, sumKeys, scores)
}
