package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"helo-milter/cmd/helo-milter/internal/listfile"
)

// The fields of the list's key.
const (
	fieldHead     = "head" // which version the document is
	fieldDocument = "document"
)

// head says which version of which list a document is.
type head struct {
	Fleet   string `json:"fleet"`
	Version uint64 `json:"version"`
	Nonce   string `json:"nonce"`
}

func headOf(d *listfile.Document) string {
	text, _ := json.Marshal(head{d.Fleet, d.Version, d.Nonce}) // cannot fail
	return string(text)
}

// List is the allow and deny list of a fleet.
type List struct{ server *Server }

// List returns the list that the hosts of the server share.
func (s *Server) List() *List { return &List{s} }

func (l *List) key() string { return l.server.key("list") }

// Load reads the document: an empty one where there is none.
func (l *List) Load(ctx context.Context) (*listfile.Document, error) {
	d, _, err := l.load(ctx, l.server.client)
	return d, err
}

func (l *List) load(ctx context.Context, from redis.Cmdable) (d *listfile.Document, there bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	text, err := from.HGet(ctx, l.key(), fieldDocument).Result()
	if errors.Is(err, redis.Nil) {
		return &listfile.Document{}, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if d, err = listfile.Parse([]byte(text)); err != nil {
		return nil, true, fmt.Errorf("%s: %w", l.key(), err)
	}
	return d, true, nil
}

// tries is how often a change is begun anew because another one came in between.
const tries = 20

// Change changes the document, or begins anew where another host has changed it meanwhile.
func (l *List) Change(ctx context.Context, change func(*listfile.Document) error) error {
	for range tries {
		err := l.server.client.Watch(ctx, func(tx *redis.Tx) error {
			d, _, err := l.load(ctx, tx)
			if err != nil {
				return err
			}
			if err := change(d); err != nil {
				return err
			}
			return l.put(ctx, tx, d)
		}, l.key())
		if !errors.Is(err, redis.TxFailedErr) {
			return err
		}
	}
	return errors.New("other commands change the list again and again: try again")
}

func (l *List) put(ctx context.Context, tx *redis.Tx, d *listfile.Document) error {
	_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, l.key(), fieldHead, headOf(d), fieldDocument, d.Text())
		return nil
	})
	return err
}

// Update compares a copy with the document, and returns the document where that is another one, or nil. Where the server
// has lost it, or changes of it (a flush, a failover), it is restored from the copy: the highest version counts. Which
// list it is, is for the server to say: a copy of another one is given up.
func (l *List) Update(ctx context.Context, copied *listfile.Document) (d *listfile.Document, restored bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	text, err := l.server.client.HGet(ctx, l.key(), fieldHead).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, false, err
	}
	if text == headOf(copied) || text == "" && copied.Version == 0 {
		return nil, false, nil
	}
	err = l.server.client.Watch(ctx, func(tx *redis.Tx) error {
		found, there, err := l.load(ctx, tx)
		switch {
		case err != nil:
			return err
		case copied.Version > 0 && (!there || copied.Newer(found)):
			restored = true
			return l.put(ctx, tx, copied)
		case !found.Equal(copied):
			d = found
		}
		return nil
	}, l.key())
	if errors.Is(err, redis.TxFailedErr) {
		return nil, false, nil // somebody else was first: the next time tells
	}
	if err != nil {
		return nil, false, err
	}
	return d, restored, nil
}
