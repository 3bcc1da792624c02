package past

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"helo-milter/checks"
)

// trust says whose Received fields are believed, and which clients are inside.
type trust struct {
	hosts checks.Names   // nil: the host that wrote the topmost field
	own   []netip.Prefix // clients that are relays of ours
}

// newTrust reads a list with commas: host names, suffixes such as ".example.net", addresses and networks.
func newTrust(list string) *trust {
	t := &trust{}
	for entry := range strings.SplitSeq(list, ",") {
		entry = strings.TrimSpace(entry)
		if network, err := netip.ParsePrefix(entry); err == nil {
			t.own = append(t.own, network)
		} else if addr, err := netip.ParseAddr(entry); err == nil {
			t.own = append(t.own, netip.PrefixFrom(addr, addr.BitLen()))
		} else if entry != "" {
			t.hosts = append(t.hosts, checks.Canonical(entry))
		}
	}
	return t
}

// handOver finds the hop at which a message came in from outside. It walks down the Received fields. Every
// host adds its own on top, so a field can be believed if trusted hosts wrote it and all fields above it. The
// first client from outside ends the walk: everything below came from that client, which may have forged
// fields of a trusted host.
//
// A client is inside if
//   - its address is private, or trusted;
//   - its name is that of a trusted host, and confirmed: anybody can claim a name in HELO or in a PTR record;
//   - it has no address: a program on the host sent the message, or the protocol is internal, such as LMTP.
//
// A field by localhost below a client on the loopback interface is of a content filter such as amavis, which
// has passed the message through the host again. A field with neither client nor host is written by qmail's
// queue.
//
// If trusted hosts are named, fields above the first of theirs are skipped: they were added later on the way
// to the reader. A message that never came from outside has the hop at which it was submitted. But if no host
// is named and the topmost host received the message from another one inside, the result is an error: the
// border may be at that host or beyond it.
func (t *trust) handOver(fields []field) (Hop, *Broken) {
	hosts, last, at := t.hosts, Hop{}, -1
	for i, f := range fields {
		if f.name != "received" {
			continue
		}
		r := parseReceived(f.text())
		by := r.by()
		if by == "" && r.word("from") == "" {
			continue
		}
		if hosts == nil {
			hosts = checks.Names{by}
		}
		if !hosts.Match(by) && !(last.Client.IsLoopback() && isLocalhost(by)) {
			if at < 0 {
				continue
			}
			if t.hosts == nil {
				return Hop{}, &Broken{Reason: untrusted, Text: "--trusted " + by}
			}
			break
		}
		h, broken := r.hop()
		if broken != nil {
			return Hop{}, broken
		}
		last, at = h, i
		if t.outside(hosts, &h) {
			break
		}
	}
	if at < 0 {
		return Hop{}, &Broken{Reason: "no Received field of a trusted host"}
	}
	last.envelope(fields[:at])
	return last, nil
}

// untrusted is the reason of a *Broken, whose text is what to give.
const untrusted = "received by another host first, which is not trusted; if it is yours, give"

func isLocalhost(name string) bool { return checks.ParseHelo(name).Form == checks.FormLocalhost }

func (t *trust) outside(hosts checks.Names, h *Hop) bool {
	ours := func(network netip.Prefix) bool { return network.Contains(h.Client) }
	return h.Client.IsValid() && !checks.Private(h.Client) && !slices.ContainsFunc(t.own, ours) &&
		!(h.Reverse == checks.ReverseConfirmed && hosts.Match(h.Name))
}

// envelope fills in the envelope and the label from fields above the hand-over, where the client cannot have
// written them: Return-Path of the mail store (RFC 5321 §4.4), the recipient in X-Original-To (Postfix),
// Envelope-To (Exim) or Delivered-To (both, and qmail), and X-Spam-Status of SpamAssassin.
func (h *Hop) envelope(above []field) {
	said := map[string]string{}
	for _, f := range above {
		switch text := f.text(); f.name {
		case "x-spam-status":
			h.Spam = spamAssassin(text)
		default:
			said[f.name] = address(text)
		}
	}
	h.From = cmp.Or(h.From, said["return-path"])
	to := cmp.Or(said["x-original-to"], said["envelope-to"], said["delivered-to"])
	if h.To == nil && to != "" {
		h.To = []string{to}
	}
}

// spamAssassin parses X-Spam-Status: "Yes, score=…" or "No, score=…".
func spamAssassin(status string) Label {
	word, _, _ := strings.Cut(status, ",")
	switch strings.ToLower(strings.TrimSpace(word)) {
	case "yes":
		return Spam
	case "no":
		return Ham
	default:
		return Unlabelled
	}
}
