package milter

import (
	"errors"
	"slices"

	gomilter "github.com/d--j/go-milter"
)

// maxKept is how many fields of a name may stay in a message, so that a message cannot fill memory.
const maxKept = 1000

// inbound are the fields of one name that came with a message. MTAs count them from 1.
type inbound struct {
	count int
	kept  []int // those that stay, in their order
}

// add counts a field, which goes or stays. Beyond maxKept all go; RFC 8601 §5 allows that.
func (in *inbound) add(goes bool) {
	in.count++
	if !goes && len(in.kept) < maxKept {
		in.kept = append(in.kept, in.count)
	}
}

// remove deletes from the last field to the first, because Postfix counts anew after each and Sendmail
// does not. It returns how many are gone.
func (in *inbound) remove(m gomilter.Modifier, name string) (gone int, err error) {
	var errs []error
	for i := in.count; i > 0; i-- {
		if _, stays := slices.BinarySearch(in.kept, i); stays {
			continue
		}
		if err := m.ChangeHeader(i, name, ""); err != nil {
			errs = append(errs, err)
		} else {
			gone++
		}
	}
	return gone, errors.Join(errs...)
}
