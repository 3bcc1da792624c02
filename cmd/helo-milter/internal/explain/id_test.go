package explain

import (
	"strings"
	"testing"
)

// An id is taken as people copy it.
func TestID(t *testing.T) {
	const id = "ptpybn6iry3tg25mnevlf2hvae"
	for text, want := range map[string]string{
		id: id, "Id: " + id: id, "id=" + id: id, "id=" + id + ";": id, id + ";": id, strings.ToUpper(id): id,
		" " + id + " ": id, "ID:" + id: id, `"id":"` + id + `"`: id, "<" + id + ">": id, "Id: " + strings.ToUpper(id) + ".": id,
		"550 5.7.1 no. Rule: helo-bare-ip Id: " + id + " https://helo.example.net/r/abc": id,
		`504 5.5.2 HELO "Id: evil id=evil" from 203.0.113.9: no. Id: ` + id:              id,
		"https://helo.example.net/r/" + id:                                               id,
		"rules=none; unsure=none; id=" + id:                                              id,
		"msg=decision id=" + id + ` queue_id="" helo="Id: evil id=evil"`:                 id,
		`{"v":1,"time":"2026","id":"` + id + `","queue_id":"4C"`:                         id,
		"said: 550-5.7.1 no (in reply to RCPT) Id: " + id + " (in":                       id,
		"queue_id=4CxGcG3k8Tz2yLD mta=mx":                                                "4CxGcG3k8Tz2yLD",
		"4CxGcG3k8Tz2yLD":                                                                "4CxGcG3k8Tz2yLD",
		"1tAbCd-000000001Ab-2cDe":                                                        "1tAbCd-000000001Ab-2cDe",
		"a/b":                                                                            "a/b",
		"":                                                                               "",
		"Id:":                                                                            "",
		"id=;":                                                                           "",
	} {
		if got := ID(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
