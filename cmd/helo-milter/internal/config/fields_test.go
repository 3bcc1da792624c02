package config

import "testing"

// A name that mail needs is not taken, however it is written. X- is for everybody.
func TestFieldName(t *testing.T) {
	for name, taken := range map[string]bool{
		"X-HELO-Check": true, "x-helo-check": true, "X-Anything": true, "HELO-Check": true, "Helo-Verdict": true,
		"Subject": false, "from": false, "RECEIVED": false, "DKIM-Signature": false, "Return-Path": false,
		"Delivered-To": false, "Content-Type": false, "content-": false, "Content-Anything": false,
		"List-Unsubscribe": false, "ARC-Seal": false, "Resent-Sender": false, "Authentication-Results": false,
		"Precedence": false, "Message": false, "MIME-Version": false, "Received-SPF": false, "X400-Trace": false,
		"": false, "X-HELO:": false, "X HELO": false, "X-HELÖ": false,
	} {
		if err := fieldName(name); (err == nil) != taken {
			t.Errorf("%q: %v", name, err)
		}
	}
}
