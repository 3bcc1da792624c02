package rig

import gomilter "github.com/d--j/go-milter"

// Noop returns a milter that gets the same events as ours and does nothing. Unless field is empty, it adds
// X-HELO-Check with that value to each message.
func Noop(field string) *gomilter.Server {
	const protocol = gomilter.OptNoBody | gomilter.OptNoEOH | gomilter.OptNoData | gomilter.OptNoUnknown |
		gomilter.OptNoMailReply | gomilter.OptNoHeaderReply
	options := []gomilter.Option{
		gomilter.WithProtocol(protocol),
		gomilter.WithMilter(func() gomilter.Milter { return noop{field: field} }),
	}
	if field != "" {
		options = append(options, gomilter.WithAction(gomilter.OptAddHeader))
	}
	return gomilter.NewServer(options...)
}

type noop struct {
	gomilter.NoOpMilter
	field string
}

func (n noop) EndOfMessage(m gomilter.Modifier) (*gomilter.Response, error) {
	if n.field == "" {
		return gomilter.RespAccept, nil
	}
	return gomilter.RespAccept, m.InsertHeader(0, "X-HELO-Check", n.field)
}
