package past

import (
	"hash/maphash"
	"net/netip"

	"helo-milter/checks"
)

// Seen recognizes a record that was read before, from a copy of the same log or of a part of it. It takes about
// 8 bytes a record, and never more than 112 MiB: then it forgets the oldest, but not the last 6 million. That a
// record is taken for another one happens once in a billion records, or less.
type Seen struct {
	seed    maphash.Seed
	tables  []table // each up to twice as large as the one before; the last one grows
	largest int     // slots of a table, a power of 2
}

// table has a part of each hash, where the rest of the hash says or in the slots after that; 0 is an empty slot.
type table struct {
	slots []uint32
	free  int // until three quarters are taken
}

const (
	firstTable, largestTable = 1 << 16, 1 << 22
	maxTables                = 7
)

// NewSeen returns a Seen that has seen nothing.
func NewSeen() *Seen {
	return &Seen{seed: maphash.MakeSeed(), tables: []table{newTable(firstTable)}, largest: largestTable}
}

func newTable(slots int) table { return table{make([]uint32, slots), slots / 4 * 3} }

// find returns the slot of a hash, and whether it is there; else the slot is empty.
func (t *table) find(hash uint64) (slot *uint32, found bool) {
	for i := int(hash) & (len(t.slots) - 1); ; i = (i + 1) & (len(t.slots) - 1) {
		if slot = &t.slots[i]; *slot == 0 || *slot == stored(hash) {
			return slot, *slot != 0
		}
	}
}

func stored(hash uint64) uint32 { return uint32(hash>>32) | 1 }

// identity is what two records of one transaction have in common, and no other record has: a session can have
// several transactions, and every record of replay has the same id.
type identity struct {
	id, queueID, mta, from, to string
	client                     netip.Addr
	at                         int64
	took                       float64
	source                     checks.Source
}

// Again reports whether a record was seen before. From now on it has been.
func (s *Seen) Again(r *checks.Record) bool {
	who := identity{
		id: r.ID, queueID: r.QueueID, mta: r.MTA, from: r.MailFrom, client: r.Client, at: r.Time.UnixMilli(),
		took: r.Millis,
	}
	if len(r.RcptTo) > 0 {
		who.to = r.RcptTo[0]
	}
	if r.Source != nil {
		who.source = *r.Source
	}
	hash := maphash.Comparable(s.seed, who)
	for i := range s.tables {
		if _, found := s.tables[i].find(hash); found {
			return true
		}
	}
	last := &s.tables[len(s.tables)-1]
	slot, _ := last.find(hash)
	*slot = stored(hash)
	if last.free--; last.free == 0 {
		s.tables = append(s.tables, newTable(min(2*len(last.slots), s.largest)))
		s.tables = s.tables[max(0, len(s.tables)-maxTables):]
	}
	return false
}
