package rig

import gomilter "github.com/d--j/go-milter"

// Noop returns a milter that gets the same events and macros as ours and does nothing. Unless field is empty,
// it adds X-HELO-Check with that value to each message.
func Noop(field string) *gomilter.Server {
	const protocol = gomilter.OptNoBody | gomilter.OptNoEOH | gomilter.OptNoData | gomilter.OptNoUnknown |
		gomilter.OptNoMailReply | gomilter.OptNoHeaderReply
	options := []gomilter.Option{
		gomilter.WithProtocol(protocol),
		gomilter.WithMilter(func() gomilter.Milter { return noop{field: field} }),
		gomilter.WithMacroRequest(gomilter.StageConnect, []gomilter.MacroName{
			gomilter.MacroMTAFQDN, gomilter.MacroDaemonAddr, gomilter.MacroIfAddr, gomilter.MacroClientName,
			gomilter.MacroClientPTR, "{client_resolve}",
		}),
		gomilter.WithMacroRequest(gomilter.StageMail, []gomilter.MacroName{
			gomilter.MacroAuthType, gomilter.MacroAuthAuthen, gomilter.MacroQueueId,
		}),
		gomilter.WithMacroRequest(gomilter.StageEOM, []gomilter.MacroName{gomilter.MacroQueueId}),
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
