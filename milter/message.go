package milter

import (
	"errors"
	"strings"

	gomilter "github.com/d--j/go-milter"

	"helo-milter/checks"
	"helo-milter/milter/door"
)

// response turns a reply into the library's form, which repeats both codes on each line by itself. No reply lets
// the mail go on.
func response(r *checks.Reply) *gomilter.Response {
	if r == nil {
		return gomilter.RespContinue
	}
	resp, err := gomilter.RejectWithCodeAndReason(uint16(r.Code.Reply), r.Enhanced+" "+strings.Join(r.Lines, "\n"))
	if err != nil {
		panic(err) // a reply fits the protocol whatever is in it: the mail goes on, and somebody hears of it
	}
	return resp
}

// mark takes out the fields that claim to be ours, and inserts ours at the very top: as far as the MTA has
// offered that. The library inserts for an MTA that only lets fields be changed, too, where Sendmail
// (milter.c) logs that the milter "lied about adding headers".
func (s *session) mark(m gomilter.Modifier) {
	var errs []error
	value := s.Value()
	if m.Actions()&gomilter.OptChangeHeader != 0 {
		own, ownErr := s.own.remove(m, s.Config.Header)
		results, resultsErr := s.results.remove(m, door.ResultsField)
		errs = append(errs, ownErr, resultsErr)
		if n := own + results; n > 0 && s.Config.Stripped != nil {
			s.Config.Stripped(n)
		}
	}
	if m.Actions()&gomilter.OptAddHeader != 0 && s.Open() {
		if s.Config.AuthResults {
			if value := door.AuthResults(s.Host, s.Facts()); value != "" {
				errs = append(errs, m.InsertHeader(0, door.ResultsField, value))
			}
		}
		if value != "" {
			err := m.InsertHeader(0, s.Config.Header, value)
			if err == nil {
				s.Marked(value)
			}
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		s.Config.Log.Warn("cannot change the header", "id", s.ID, "error", err)
	}
}
