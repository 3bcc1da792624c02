package past

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"helo-milter/checks"
	"helo-milter/checks/clean"
)

// trust says whose Received fields are believed, and which clients do not count because they are ours.
type trust struct {
	hosts checks.Names // none: the host that wrote the topmost field
	own   []netip.Prefix
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

// handOver finds where a mail came in from outside. It walks down the Received fields. Every host puts its
// own on top, so one is to be believed as long as trusted hosts wrote it and all above it. The first client
// from outside ends the walk: what is below came from that client, which may forge fields by a trusted
// host, too.
//
// A client is not from outside when
//   - its address is private, or one to trust;
//   - its name is that of a trusted host, and confirmed: in HELO or in a PTR record, anybody can claim it;
//   - it has no address: a program on the host sent the mail, or the protocol, such as LMTP, is for inside.
//
// A field by localhost, below a client on the loopback interface, is that of a program such as amavis that
// has put the mail through the host once more. A field with neither a client nor a host is a note of
// qmail's queue.
//
// Where hosts are named, the fields above their first are passed over: somebody got the mail from them
// later. A mail that never came from outside has the hop where it was first handed in. But when no host is
// named, and the topmost has the mail from another one inside, there is no answer: the border may be at
// that one or behind it.
func (t *trust) handOver(fields []field) (Hop, error) {
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
				return Hop{}, fmt.Errorf("%s has it from %s, which is not named as trusted",
					clean.Field(last.By), clean.Field(by))
			}
			break
		}
		h, err := r.hop()
		if err != nil {
			return Hop{}, err
		}
		last, at = h, i
		if t.outside(hosts, &h) {
			break
		}
	}
	if at < 0 {
		return Hop{}, errors.New("no Received field by a trusted host")
	}
	last.envelope(fields[:at])
	return last, nil
}

func isLocalhost(name string) bool { return checks.ParseHelo(name).Form == checks.FormLocalhost }

func (t *trust) outside(hosts checks.Names, h *Hop) bool {
	ours := func(network netip.Prefix) bool { return network.Contains(h.Client) }
	return h.Client.IsValid() && !checks.Private(h.Client) && !slices.ContainsFunc(t.own, ours) &&
		!(h.Reverse == checks.ReverseConfirmed && hosts.Match(h.Name))
}

// envelope fills in what is said about it above the hand-over: by the mail store (RFC 5321 §4.4:
// Return-Path), of the recipient by Postfix, by Exim, and by both and qmail, and by SpamAssassin. Whatever the
// client has written itself is below.
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

// spamAssassin reads its X-Spam-Status: "Yes, score=…" or "No, score=…".
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
