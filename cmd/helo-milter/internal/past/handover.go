package past

import (
	"cmp"
	"net/netip"
	"regexp"
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
//   - its address is private, or trusted, or one of the inner hosts of a widespread provider;
//   - its name is that of a trusted host, and confirmed: anybody can claim a name in HELO or in a PTR record;
//   - it has no address: a program on the host sent the message, or the protocol is internal, such as LMTP.
//
// A field whose client cannot be read ends the walk with an error: nothing below can be believed. So does one
// whose client may have written the name of its host (parseReceived), whomever that names.
//
// A field by localhost below a client on the loopback interface is of a content filter such as amavis, which
// has passed the message through the host again. A field with neither client nor host is written by qmail's
// queue.
//
// If trusted hosts are named, fields above the first of theirs are skipped: they were added later on the way
// to the reader. A message that never came from outside has the hop at which it was submitted. But if it was
// passed on (LMTP, POP3) by a host that is not trusted, or if no host is named and the topmost one received
// it from another one inside that is none of the same provider, the result is an error, which says what to
// give: the border may be at that host or beyond it.
func (t *trust) handOver(fields []field) (Hop, *Broken) {
	w, last, at := &walk{trust: t, writers: t.hosts}, Hop{}, -1
	for i, f := range fields {
		if f.name != "received" {
			continue
		}
		r := parseReceived(f.text())
		if r[unclear] != nil {
			return Hop{}, r.unread()
		}
		if r.filter() || r.by() == "" && local.MatchString(r.text("from")) {
			continue
		}
		if w.writers == nil {
			w.writers = checks.Names{r.by()}
		}
		if !w.trusts(r, last) {
			if at < 0 {
				continue
			}
			if t.hosts == nil || last.passed {
				give := w.border(fields[i:])
				return Hop{}, &Broken{Reason: untrusted, Text: "--trusted " + give, Trust: give}
			}
			break
		}
		h, broken := r.hop()
		if broken != nil {
			return Hop{}, broken
		}
		if at < 0 {
			w.provider = providerOf(r)
		}
		last, at = h, i
		if w.outside(&h) {
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

// walk is on its way down the Received fields of a message.
type walk struct {
	*trust
	writers  checks.Names // the hosts of trust, or the first one
	provider *provider    // of the first one, or nil
}

// trusts reports whether the writer of a field is trusted: by name, as another host of the same provider, by
// an address that it writes for a name, or as a filter on the host that wrote the last one.
func (w *walk) trusts(r received, last Hop) bool {
	by := r.by()
	return w.writers.Match(by) || w.provider.has(by) || w.hosts == nil && contain(w.own, ip(by)) ||
		last.Client.IsLoopback() && isLocalhost(by)
}

func isLocalhost(name string) bool { return checks.ParseHelo(name).Form == checks.FormLocalhost }

func (w *walk) outside(h *Hop) bool {
	return h.Client.IsValid() && !checks.Private(h.Client) && !contain(w.own, h.Client) &&
		!w.provider.inside(h) && !(h.Reverse == checks.ReverseConfirmed && w.writers.Match(h.Name))
}

// border returns what to give for the host that seems to have received the message from outside: the first
// one below whose client is outside, or cannot be read, or else the last. If fields further up have its name,
// too, the hosts between are needed.
func (w *walk) border(fields []field) string {
	var hosts []string
	border := "HOST"
	for _, f := range fields {
		if f.name != "received" {
			continue
		}
		r := parseReceived(f.text())
		if by := r.by(); plainName.MatchString(by) {
			border = by
			if !slices.Contains(hosts, by) && len(hosts) < maxHosts {
				hosts = append(hosts, by)
			}
		}
		if !w.provider.has(r.by()) {
			w.provider = providerOf(r)
		}
		if h, broken := r.hop(); broken != nil || w.outside(&h) {
			break
		}
	}
	switch {
	case w.provider != nil:
		return w.provider.give
	case w.writers.Match(border):
		return strings.Join(hosts, ",")
	default:
		return border
	}
}

const maxHosts = 10 // of a list to give

// plainName matches what may be typed into a shell as it is.
var plainName = regexp.MustCompile(`^[a-z0-9][a-z0-9._:-]*$`)

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
