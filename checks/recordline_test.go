package checks_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
	"helo-milter/checks/clean"
)

// marshalled is what a record's line has to be.
func marshalled(t *testing.T, r *checks.Record) string {
	t.Helper()
	line, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return clean.JSON(string(line))
}

// A record's line is what the tags of its types say. All fields are filled by reflection, so that one that is
// forgotten, or not left out when it is empty, is missed.
func TestAppendJSON(t *testing.T) {
	texts := slices.Collect(func(yield func(string) bool) {
		for _, text := range checkstest.Hostile(t) {
			if !yield(text[:min(len(text), 40)]) {
				return
			}
		}
	})
	slices.Sort(texts)
	for seed := range uint64(100) {
		fill := filling{t, rand.New(rand.NewPCG(seed, 0)), texts, seed < 10}
		var r checks.Record
		fill.value(reflect.ValueOf(&r).Elem())
		if got, want := string(r.AppendJSON([]byte("x"))), "x"+marshalled(t, &r); got != want {
			t.Fatalf("seed %d:\n got %s\nwant %s", seed, got, want)
		}
	}
}

// filling fills values at random.
type filling struct {
	t     *testing.T
	rand  *rand.Rand
	texts []string
	whole bool // nothing is empty
}

// value fills v, or leaves it zero: a pointer as nil, and a list as nil or empty.
func (f *filling) value(v reflect.Value) {
	if !f.whole && f.rand.IntN(4) == 0 {
		if v.Kind() == reflect.Slice && f.rand.IntN(2) == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
		return
	}
	switch to := v.Addr().Interface().(type) {
	case *time.Time:
		*to = time.Unix(f.rand.Int64N(1<<34), f.rand.Int64N(1e9)).In(time.FixedZone("", 60*f.rand.IntN(720)))
		return
	case *netip.Addr:
		addrs := []string{"192.0.2.1", "2001:db8::1", "fe80::1%e<\u202e", "::ffff:192.0.2.1"}
		*to = netip.MustParseAddr(addrs[f.rand.IntN(len(addrs))])
		return
	case *checks.Helo:
		*to = checks.ParseHelo(f.texts[f.rand.IntN(len(f.texts))])
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(f.rand.Int64N(100) - 50)
	case reflect.Uint8: // an enum
		v.SetUint(1)
	case reflect.Float64:
		v.SetFloat([]float64{0.1, 12, 2.5e21, 1e-7, -3.5, f.rand.NormFloat64()}[f.rand.IntN(6)])
	case reflect.String:
		v.SetString(f.texts[f.rand.IntN(len(f.texts))] + "x")
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.value(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1+f.rand.IntN(3), 3))
		for i := range v.Len() {
			f.value(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f.value(v.Field(i))
		}
	default:
		f.t.Fatalf("how is a %s filled?", v.Type())
	}
}
