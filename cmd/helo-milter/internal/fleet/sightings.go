package fleet

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/redis/go-redis/v9"

	"helo-milter/checks"
)

const (
	// maxMembers bounds a set of the census: those that were seen last stay.
	maxMembers = 128
	// seenFor is how far the census looks back, and knownFor how long a client's names stay known.
	seenFor  = checks.SeenDays * 24 * time.Hour
	knownFor = 30 * 24 * time.Hour
	// A pair of client and name is told once in toldFor, and so many are kept in mind. Since the census looks back for
	// days, an hour does not matter.
	toldFor  = time.Hour
	maxPairs = 20_000
)

// The members of the sets are a letter, a blank and a value.
const (
	memberNetwork      = "n " // of a HELO name: a network that it was said from
	memberOrganisation = "o " // an organisation
	memberFirst        = "f " // of a client: a name, and when it was said first
	memberLast         = "l " // and last
)

// AppendSighting appends to the record of a decision, for Decisions, what it adds to the census: after a tab, which is in
// no record.
func AppendSighting(b []byte, d *checks.Decision) []byte {
	b = append(b, '\t')
	if s, ok := d.Sighting(); ok {
		b = s.Client.AppendTo(b)
		b = append(append(b, ' '), s.Helo...)
		b = append(append(b, ' '), s.Organisation...)
	}
	return b
}

// sightings tells the census. It is for one goroutine.
type sightings struct {
	told *simplelru.LRU[string, time.Time] // when a pair was told
}

func newSightings() *sightings {
	told, _ := simplelru.NewLRU[string, time.Time](maxPairs, nil) // an error would be about maxPairs
	return &sightings{told}
}

// isNew reports whether a pair was not told lately.
func (s *sightings) isNew(pair string, now time.Time) bool {
	at, told := s.told.Get(pair)
	return !told || now.Sub(at) >= toldFor
}

// add tells what is new. What cannot be told is lost: a count lacks one, which it may.
func (s *sightings) add(server *Server, seen [][]byte) {
	ctx, cancel := context.WithTimeout(context.Background(), sendTimeout)
	defer cancel()
	var told []string
	now := time.Now()
	_, err := server.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, pair := range seen {
			if key := string(pair); key != "" && s.isNew(key, now) && !slices.Contains(told, key) {
				told = append(told, key)
				count(ctx, p, server, key, now.Unix())
			}
		}
		return nil
	})
	if err != nil {
		return
	}
	for _, key := range told {
		s.told.Add(key, now)
	}
}

// count adds one pair to the sets of its name and of its client.
func count(ctx context.Context, p redis.Pipeliner, server *Server, pair string, now int64) {
	fields := strings.SplitN(pair, " ", 3)
	if len(fields) != 3 {
		return
	}
	client, err := netip.ParseAddr(fields[0])
	if err != nil {
		return
	}
	name, organisation, at := fields[1], fields[2], float64(now)
	helo, who := server.key("helo", name), server.key("client", client.String())
	p.ZAdd(ctx, helo, redis.Z{Score: at, Member: memberNetwork + networkOf(client)})
	if organisation != "" {
		p.ZAdd(ctx, helo, redis.Z{Score: at, Member: memberOrganisation + organisation})
	}
	p.ZRemRangeByRank(ctx, helo, 0, -maxMembers-1)
	p.Expire(ctx, helo, seenFor)
	p.ZAddNX(ctx, who, redis.Z{Score: at, Member: memberFirst + name})
	p.ZAdd(ctx, who, redis.Z{Score: at, Member: memberLast + name})
	p.ZRemRangeByRank(ctx, who, 0, -maxMembers-1)
	p.Expire(ctx, who, knownFor)
}

// networkOf is the network that a client is counted by.
func networkOf(client netip.Addr) string {
	bits := 24
	if client.Is6() {
		bits = 48
	}
	network, _ := client.Prefix(bits)
	return network.String()
}

// since is the least score that counts.
func since(now time.Time) string { return strconv.FormatInt(now.Add(-seenFor).Unix(), 10) }
