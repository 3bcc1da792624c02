package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"helo-milter/checks"
)

// Warnings are what is wrong with a configuration without being an error: what has no effect, and what is
// likely to have another one than was meant, on all mail or on that of half the world.
func (c *Config) Warnings() (list []string) {
	warn := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if hasMeaning(c.Header.Name) {
		warn("header.name: %s is another program's field, and is removed from every message", c.Header.Name)
	}
	if log := c.DecisionLog; log != "" && log != "-" && !filepath.IsAbs(log) {
		warn("decision_log: %s is not absolute: where that is depends on the directory of the start", log)
	}
	c.warnHelp(warn)
	c.warnPolicy(warn)
	for _, name := range c.site.names {
		if isSuffix(name) {
			warn("site.names: %q is a public suffix: who says a name there and is not proven fails helo-own-name", name)
		}
	}
	for _, zone := range c.blockLists {
		if isSuffix(zone) {
			warn("lists.domain: %q is a public suffix, and no block list", zone)
		}
	}
	for _, n := range c.exempt.networks {
		if isVast(n.prefix) {
			warn("exempt.networks: %s is a great part of the Internet, which is not judged", n.prefix)
		}
	}
	for _, p := range c.Limits.Peers {
		if isVast(p) {
			warn("limits.peers: hosts all over %s can say that they are your MTA", p)
		}
	}
	c.warnAllow(warn)
	c.warnDeny(warn)
	if len(c.Fleet.Redis) > 0 && c.ListFile == "" {
		warn("list_file: is empty, so that this host starts without the fleet's list while its server does not answer")
	}
	return list
}

// warnHelp is about links that lead nowhere.
func (c *Config) warnHelp(warn func(format string, args ...any)) {
	switch {
	case c.Help.URL == "" && c.helpURL == "" && c.Help.Listen.Network != "":
		warn("help.url: is empty, and help_url too, so that no refusal leads to the page of help.listen")
	case c.Help.URL != "" && c.Help.KeyFile == "":
		warn("help.key_file: is empty, so that links are good for this host only, and only until the daemon ends")
	}
}

// warnPolicy is about what a policy service cannot know or do, and a milter can.
func (c *Config) warnPolicy(warn func(format string, args ...any)) {
	if !slices.ContainsFunc(c.Listen, func(a Address) bool { return a.Policy }) {
		return
	}
	if c.site.hostname == "" {
		warn("site.hostname: is empty, and Postfix does not tell its name to a policy service (Exim does): a client " +
			"that says it passes helo-own-name")
	}
	if c.Header.AuthenticationResults {
		warn("header.authentication_results: has no effect on messages that come by way of a policy service, which " +
			"cannot remove forged ones")
	}
}

func (c *Config) warnAllow(warn func(format string, args ...any)) {
	for _, a := range c.allow {
		who := a.Clients()
		switch {
		case isTranslated(a.Network):
			warn("allow: %s has no effect: clients there have IPv4 addresses, by which they are judged", a.Network)
		case a.Expired(time.Now()):
			warn("allow: the entry for %s (%q) has expired: it has no effect", who, a.Reason)
		case (!a.Network.IsValid() || isVast(a.Network)) && (a.Name == "" || isSuffix(a.Name)):
			warn("allow: the entry for %s (%q) is for a great part of the Internet, which is not judged", who, a.Reason)
		}
	}
}

func (c *Config) warnDeny(warn func(format string, args ...any)) {
	for _, d := range c.deny {
		if isTranslated(d.Network) {
			warn("deny: %s has no effect: clients there have IPv4 addresses, by which they are judged", d.Network)
		}
		if isVast(d.Network) {
			warn("deny: %s is a great part of the Internet, which is refused", d.Network)
		}
		for _, pattern := range []checks.Pattern{d.Helo, d.PTR} {
			if pattern.MatchesAnyName() {
				warn("deny: %s matches names of all kinds: an expression is anchored only where it says so", pattern)
			}
		}
	}
}

// isSuffix reports whether an entry for names stands for all that a registry has under a public suffix.
func isSuffix(name string) bool {
	return checks.IsPublicSuffix(strings.TrimPrefix(checks.Canonical(name), "."))
}

// isTranslated reports whether a network is one of which checks.ClientAddr makes IPv4 addresses.
func isTranslated(p netip.Prefix) bool {
	return p.IsValid() && p.Bits() >= 96 && checks.Translated(p.Addr())
}

// isVast reports whether a network has more addresses than any registry hands out.
func isVast(p netip.Prefix) bool {
	return p.IsValid() && (p.Addr().Is4() && p.Bits() < 8 || p.Addr().Is6() && p.Bits() < 12)
}
