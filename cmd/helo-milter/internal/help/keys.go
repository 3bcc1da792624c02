package help

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// Keys seal tickets with the first of them, and open those of all: so a key can be replaced without breaking the links
// that are out.
type Keys struct {
	keys [][chacha20poly1305.KeySize]byte
}

// NewKeys returns a key that nobody else has.
func NewKeys() *Keys {
	var key [chacha20poly1305.KeySize]byte
	_, _ = rand.Read(key[:]) // never fails
	return &Keys{keys: [][chacha20poly1305.KeySize]byte{key}}
}

// ReadKeys reads a key file: a line of 64 hexadecimal digits for each key; blank lines, and those that begin with #, are
// skipped. The error wraps fs.ErrNotExist where there is no such file.
func ReadKeys(path string) (*Keys, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	k := &Keys{}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		raw, err := hex.DecodeString(line)
		if err != nil || len(raw) != chacha20poly1305.KeySize {
			return nil, fmt.Errorf("%s:%d: not a key: 64 hexadecimal digits; remove the file, and a new one is made",
				path, number)
		}
		k.keys = append(k.keys, [chacha20poly1305.KeySize]byte(raw))
	}
	if len(k.keys) == 0 {
		return nil, fmt.Errorf("%s: has no key: remove the file, and a new one is made", path)
	}
	return k, nil
}

// MakeKeys is ReadKeys, and makes the file where there is none: for its owner only.
func MakeKeys(path string) (*Keys, error) {
	k, err := ReadKeys(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	k = NewKeys()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(file, "# helo-milter: seals the links of refusals; the same on all hosts of a fleet\n%x\n", k.keys[0])
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		_ = os.Remove(path)
		return nil, err
	}
	return k, nil
}

// letters write a sealed ticket: in lower case, without anything that a program takes for the end of a link.
var letters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// maxSealed is the length of the longest sealed ticket.
var maxSealed = letters.EncodedLen(maxTicket + chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead)

// Seal returns the text of a ticket in a link: the same for the same ticket, so that replay comes to the reply of the
// time. Its nonce follows from the ticket (as in RFC 5297 §1.3.2), of which at most equality can be seen then.
func (k *Keys) Seal(t *Ticket) string {
	key := &k.keys[0]
	plain := t.append(nil)
	mac := hmac.New(sha256.New, key[:])
	_, _ = mac.Write(plain)
	nonce := mac.Sum(nil)[:chacha20poly1305.NonceSizeX]
	aead, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		panic(err) // the key has the right size
	}
	return letters.EncodeToString(aead.Seal(nonce, nonce, plain, nil))
}

// Open returns the ticket of a text that Seal made at most so long before now, in letters of either case. All others get
// the same error: also other spellings of the same bytes, which a decoder would take (line breaks, and bits that are left
// over in the last letter, RFC 4648 §3.5), since what is counted by text must have one.
func (k *Keys) Open(text string, now time.Time, valid time.Duration) (*Ticket, error) {
	if len(text) > maxSealed {
		return nil, errTicket
	}
	text = strings.ToLower(text)
	sealed, err := letters.DecodeString(text)
	if err != nil || letters.EncodeToString(sealed) != text || len(sealed) < chacha20poly1305.NonceSizeX {
		return nil, errTicket
	}
	nonce, sealed := sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:]
	for i := range k.keys {
		aead, err := chacha20poly1305.NewX(k.keys[i][:])
		if err != nil {
			panic(err) // the key has the right size
		}
		if plain, err := aead.Open(nil, nonce, sealed, nil); err == nil {
			t, err := parse(plain)
			if err != nil || now.Sub(t.Time) > valid {
				return nil, errTicket
			}
			return t, nil
		}
	}
	return nil, errTicket
}
