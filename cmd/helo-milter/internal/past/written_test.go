package past

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"helo-milter/checks"
)

// everything sets whatever a value has of a record.
func everything(v reflect.Value) {
	const text = "a \"\\<\u00e9\u202e\x7f,}"
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Date(2026, 11, 1, 12, 0, 0, 5e8, time.FixedZone("", 3600))))
	case v.Type() == reflect.TypeFor[netip.Addr]():
		v.Set(reflect.ValueOf(netip.MustParseAddr("2001:db8::1")))
	case v.Type() == reflect.TypeFor[checks.Helo]():
		v.Set(reflect.ValueOf(checks.ParseHelo(text)))
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		everything(v.Elem())
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			everything(v.Field(i))
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		everything(v.Index(1))
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Float64:
		v.SetFloat(1.25)
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.CanInt():
		v.SetInt(1)
	default:
		v.SetUint(1) // an enum
	}
}

// agree reports whether a line is of the form that is read without encoding/json. If so, both read the same.
func agree(t *testing.T, in *cursor, line []byte) bool {
	t.Helper()
	r, ok := in.record(line)
	if !ok {
		return false
	}
	want := new(checks.Record)
	if err := json.Unmarshal(line, want); err != nil || !reflect.DeepEqual(r, want) {
		t.Errorf("%s\nis read as\n%+v\nnot as\n%+v (%v)", line, r, want, err)
	}
	return true
}

// What checks.Record.String writes is read without encoding/json, whatever is in the record: a field that is new
// there is missing in written.go. A line that differs in a byte is read so or not, and if so the same.
func TestWritten(t *testing.T) {
	full := new(checks.Record)
	everything(reflect.ValueOf(full).Elem())
	in, pieces := &cursor{}, []string{"", "\"", `\`, `\u0041`, ",", "}", "0", ".", " ", "\n", "\x80"}
	for _, line := range []string{
		full.String(), (&checks.Record{Version: 1, Facts: &checks.Facts{}}).String(), decisionLine(1),
	} {
		if !agree(t, in, []byte(line)) {
			t.Errorf("not read: %s", line)
		}
		for i := 0; i < len(line); i += 3 {
			piece := pieces[i%len(pieces)]
			agree(t, in, slices.Concat([]byte(line[:i]), []byte(piece), []byte(line[i+1:])))
		}
	}
}
