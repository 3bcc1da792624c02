package fleet

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// add writes an entry as it is.
func add(t *testing.T, s *Server, values ...any) {
	t.Helper()
	if err := s.client.XAdd(t.Context(), &redis.XAddArgs{Stream: s.key("decisions", s.host), Values: values}).Err(); err != nil {
		t.Fatal(err)
	}
}

func readAll(t *testing.T, s *Server, from time.Time) (text string, lost Lost) {
	t.Helper()
	in, err := s.Open(t.Context(), s.host, from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	all, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return string(all), in.Lost()
}

// Whatever a stream lacks is known, and what it has twice is read once.
func TestStream(t *testing.T) {
	server := startRedis(t)
	for i, test := range []struct {
		story   string
		entries string // the field n of each; - is none
		want    string // the records that are read, by their place
		lost    string
	}{
		{"nothing", "", "", ""},
		{"all", "a 1 0|a 2 0|a 3 0", "012", ""},
		{"trimmed", "a 21 0|a 22 0", "01", "20 earlier records are not kept any more"},
		{"sent again", "a 1 0|a 2 0|a 1 0|a 2 0|a 3 0", "014", ""},
		{"a hole", "a 1 0|a 5 0", "01", "3 records in between are missing"},
		{"dropped by the host", "a 1 0|a 2 7|a 3 7", "012", "7 records were dropped by the host"},
		{"a new start", "a 1 0|a 2 1|b 1 0|b 2 4", "0123", "5 records were dropped by the host"},
		{"a new start, flushed in between", "a 1 0|b 3 0", "01", "2 records in between are missing"},
		{"trimmed and dropped", "a 2 1", "0", "1 earlier record is not kept any more, 1 record was dropped by the host"},
		{"another version", "-|a 1 0|x|a 0 0|a b c|a 2 -1", "012345", "5 entries are of another version"},
		{"two daemons of one name", "a 1 0|b 1 0|a 2 0|b 2 0", "0123", ""},
	} {
		s := server.connect(fmt.Sprintf("mx%d", i))
		place := 0
		for n := range strings.SplitSeq(test.entries, "|") {
			switch {
			case n == "":
				continue
			case n == "-":
				add(t, s, "r", fmt.Sprint(place))
			default:
				add(t, s, "n", n, "r", fmt.Sprint(place))
			}
			place++
		}
		got, lost := readAll(t, s, time.Time{})
		if strings.ReplaceAll(got, "\n", "") != test.want || lost.String() != test.lost {
			t.Errorf("%s: %q, %q", test.story, got, lost.String())
		}
		if lost.Any() != (test.lost != "") {
			t.Errorf("%s: %v", test.story, lost)
		}
	}
}

// Lines are what the writer wrote, over many pages; two readers read the same; what comes while one reads is not read.
func TestStreamPages(t *testing.T) {
	server := startRedis(t)
	s := server.connect("mx1")
	d := NewDecisions(s, 1000, func() uint64 { return 0 })
	var lines, want strings.Builder
	for i := range 3*page + 7 {
		lines.WriteString(line("", fmt.Sprintf(`{"id":"%d"}`, i)))
		fmt.Fprintf(&want, "{\"id\":\"%d\"}\n", i)
	}
	if _, err := d.Write([]byte(lines.String())); err != nil {
		t.Fatal(err)
	}
	first, err := s.Open(t.Context(), "mx1", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	n, err := io.ReadFull(first, b)
	if err != nil {
		t.Fatal(err)
	}
	if text, lost := readAll(t, server.connect("mx1"), time.Time{}); text != want.String() || lost.Any() {
		t.Errorf("the second reads %d bytes of %d, %v", len(text), want.Len(), lost)
	}
	add(t, s, "n", "other 1 0", "r", "later")
	rest, err := io.ReadAll(first)
	if err != nil || string(b[:n])+string(rest) != want.String() {
		t.Errorf("the first reads %d bytes of %d, %v", n+len(rest), want.Len(), err)
	}
}

// next returns the records that there are now, by their places.
func next(t *testing.T, in *Stream) (text string) {
	t.Helper()
	for {
		record, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			return text
		case err != nil:
			t.Fatal(err)
		}
		text += string(record)
	}
}

// A stream that is followed has each record once, and what is lost between two looks is missing, as if it had been read
// at once.
func TestStreamFollow(t *testing.T) {
	server := startRedis(t)
	s := server.connect("mx1")
	number := 0
	write := func(process string, n int) {
		number++
		add(t, s, "n", fmt.Sprintf("%s %d 0", process, n), "r", fmt.Sprint(number%10))
	}
	whole, err := s.Open(t.Context(), "mx1", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	write("a", 1)
	write("a", 2)
	write("a", 3)
	end, err := s.OpenEnd(t.Context(), "mx1", 2)
	if err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		story      string
		write      func()
		whole, end string
		lost       Lost
	}{
		{"at first", func() {}, "", "23", Lost{}},
		{"what came meanwhile", func() {}, "123", "", Lost{}},
		{"nothing", func() {}, "", "", Lost{}},
		{"more, and again", func() { write("a", 4); write("a", 3); write("a", 4) }, "4", "4", Lost{Twice: 2}},
		{"a new start", func() { write("b", 1) }, "7", "7", Lost{Twice: 2}},
		{"two that were trimmed", func() {
			write("b", 2)
			write("b", 3)
			write("b", 4)
			if err := s.client.XTrimMaxLen(t.Context(), whole.key, 1).Err(); err != nil {
				t.Fatal(err)
			}
		}, "0", "0", Lost{Twice: 2, Missing: 2}},
		{"all flushed", func() {
			if err := s.client.FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Millisecond) // entries are found by time, which is that of the server
			write("b", 7)
		}, "1", "1", Lost{Twice: 2, Missing: 4}},
	}
	for i, step := range steps {
		step.write()
		if i > 0 {
			whole.Follow()
			end.Follow()
		}
		if all, last := next(t, whole), next(t, end); all != step.whole || last != step.end {
			t.Errorf("%s: %q and %q, want %q and %q", step.story, all, last, step.whole, step.end)
		}
		if lost := whole.Lost(); lost != step.lost {
			t.Errorf("%s: lost %+v, want %+v", step.story, lost, step.lost)
		}
	}
}

// A server that stands still is an error in time; then reading goes on where it was.
func TestStreamAway(t *testing.T) {
	server := startRedis(t)
	s := server.connect("mx1")
	for i := range page + 2 {
		add(t, s, "n", fmt.Sprintf("a %d 0", i+1), "r", "x")
	}
	in, err := s.Open(t.Context(), "mx1", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	first, err := in.Next()
	if err != nil {
		t.Fatal(err)
	}
	text := string(first)
	server.Pause()
	for err == nil {
		if first, err = in.Next(); err == nil {
			text += string(first)
		}
	}
	if errors.Is(err, io.EOF) || len(text) != page {
		t.Errorf("%d records, %v", len(text), err)
	}
	server.Resume()
	add(t, s, "n", fmt.Sprintf("a %d 0", page+3), "r", "x")
	in.Follow()
	if text += next(t, in); len(text) != page+3 || in.Lost().Any() {
		t.Errorf("%d records, %v", len(text), in.Lost())
	}
}

// A stream that is trimmed, or flushed, while it is read.
func TestStreamTrimmedMeanwhile(t *testing.T) {
	s := startRedis(t).connect("mx1")
	for i := range 4 * page {
		add(t, s, "n", fmt.Sprintf("a %d 0", i+1), "r", "{}")
	}
	in, err := s.Open(t.Context(), "mx1", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(in, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	if err := s.client.XTrimMaxLen(t.Context(), in.key, page).Err(); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(in)
	if lost := in.Lost(); err != nil || len(rest) != 3*(2*page-1) || lost != (Lost{Missing: 2 * page}) {
		t.Errorf("%d bytes, %v, %v", len(rest), err, lost)
	}
	in, err = s.Open(t.Context(), "mx1", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
		t.Errorf("after a flush: %q, %v", rest, err)
	}
}

// From a moment on: what was before is neither read nor missing, but what is not kept of the period is.
func TestStreamFrom(t *testing.T) {
	s := startRedis(t).connect("mx1")
	for i, at := range []time.Duration{-72 * time.Hour, -48 * time.Hour, -2 * time.Hour, -time.Hour, 0} {
		id := time.Now().Add(at).UnixMilli()
		err := s.client.XAdd(t.Context(), &redis.XAddArgs{
			Stream: s.key("decisions", "mx1"), ID: fmt.Sprintf("%d-1", id), Values: []any{"n", fmt.Sprintf("a %d %d", i+11, i), "r", fmt.Sprint(i)},
		}).Err()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		ago  time.Duration
		want string
		lost Lost
	}{
		{0, "01234", Lost{Trimmed: 10, Dropped: 4}},
		{90 * 24 * time.Hour, "01234", Lost{Trimmed: 10, Dropped: 4}},
		{50 * time.Hour, "1234", Lost{Dropped: 3}},
		{90 * time.Minute, "234", Lost{Dropped: 2}},
		{-2 * time.Hour, "", Lost{}},
	} {
		from := time.Time{}
		if test.ago != 0 {
			from = time.Now().Add(-test.ago)
		}
		if got, lost := readAll(t, s, from); strings.ReplaceAll(got, "\n", "") != test.want || lost != test.lost {
			t.Errorf("%v ago: %q, %+v", test.ago, got, lost)
		}
	}
}

// What somebody else has written is one line at most.
func TestStreamHostile(t *testing.T) {
	s := startRedis(t).connect("mx1")
	add(t, s, "n", "a 1 0", "r", "{\n\"a\":\n1}")
	add(t, s, "n", "a 2 0", "r", "")
	add(t, s, "n", "a 3 0", "q", "x")
	add(t, s, "n", "a 4 0", "r", strings.Repeat("x", 1<<20))
	got, lost := readAll(t, s, time.Time{})
	if want := "{ \"a\": 1}\n{}\n{}\n" + strings.Repeat("x", 1<<20) + "\n"; got != want || lost.Any() {
		t.Errorf("%.60q, %v", got, lost)
	}
	if err := s.client.Set(t.Context(), s.key("decisions", "mx2"), "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(t.Context(), "mx2", time.Time{}); err == nil || Trouble(err) != "wrong type" {
		t.Error(err)
	}
}

// Only hosts are hosts, and those that are gone for long are forgotten.
func TestHosts(t *testing.T) {
	s := startRedis(t).connect("MX1.example.net")
	for name, score := range map[string]float64{"mx0": 1e9, "mx\x1b[31m": 4e9, "mx*": 4e9, "": 4e9, "mx2": 4e9} {
		if err := s.client.ZAdd(t.Context(), s.key("hosts"), redis.Z{Score: score, Member: name}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.present(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	hosts, err := s.Hosts(t.Context())
	if want := []string{"mx1.example.net", "mx2"}; err != nil || !slices.Equal(hosts, want) {
		t.Errorf("%q, %v", hosts, err)
	}
}

func FuzzNumbers(f *testing.F) {
	f.Add("0a1b2c3d 1 0")
	f.Add("a 281474976710655 1")
	f.Fuzz(func(t *testing.T, text string) {
		var n numbers
		if err := n.UnmarshalText([]byte(text)); err != nil {
			return
		}
		var lost lostOf
		if lost.again(n) || !lost.again(n) || lost.sum().Twice != 1 {
			t.Errorf("%+v", n)
		}
	})
}
