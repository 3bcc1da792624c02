package console

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	rowID   = regexp.MustCompile(`<tr id="d-id0*([0-9]+)-`)
	eventID = regexp.MustCompile(`(?m)^id: ([0-9]+)$`)
	moreOf  = regexp.MustCompile(`(?m)^event: more\ndata: ([0-9]+)$`)
)

// shown is which decisions a stream has sent, "id" with the number of an event, and "more".
func shown(text string) string {
	var parts []string
	for event := range strings.SplitSeq(text, "\n\n") {
		if rows := rowID.FindAllStringSubmatch(event, -1); rows != nil {
			for _, row := range rows {
				parts = append(parts, row[1])
			}
			parts = append(parts, "id="+eventID.FindStringSubmatch(event)[1])
		}
		if more := moreOf.FindStringSubmatch(event); more != nil {
			parts = append(parts, "more="+more[1])
		}
	}
	return strings.Join(parts, " ")
}

// count are some numbers downward, as rows stand on a page.
func count(from, to int) string {
	var parts []string
	for ; from >= to; from-- {
		parts = append(parts, fmt.Sprint(from))
	}
	return strings.Join(parts, " ")
}

// A page gets the decisions of its filter as they are made, the latest first, at most twenty at a time, and after a break
// those that it missed.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "").open()
		decide := func(n int) {
			for range n {
				helo := []string{"friend", "mail1.example.org"}[w.written%2]
				w.decided(w.decide("203.0.113.1", helo, "r@example.net", time.Now()))
			}
		}
		decide(3)
		all, odd := w.listen("events", ""), w.listen("events?helo=friend", "")
		synctest.Wait()
		expect := func(story string, l *listener, want string) {
			t.Helper()
			time.Sleep(2 * rowsTime)
			synctest.Wait()
			if got := shown(l.took()); got != want {
				t.Errorf("%s: %s, want %s", story, got, want)
			}
		}
		expect("nothing is new", all, "")
		decide(2)
		expect("two", all, "5 4 id=5")
		expect("of a filter", odd, "5 id=5")
		decide(50)
		expect("too many", all, count(55, 36)+" id=55 more=30")
		if got := strings.Fields(shown(odd.took())); len(got) != 22 || got[0] != "55" || got[21] != "more=5" {
			t.Errorf("too many of a filter: %s", got)
		}
		if all.header.Get("Content-Type") != "text/event-stream" || all.header.Get("X-Accel-Buffering") != "no" {
			t.Error(all.header)
		}
		all.close()
		odd.close()
		decide(1)

		for _, tt := range []struct{ story, path, last, want string }{
			{"after a break", "events", "53", "56 55 54 id=56"},
			{"the number of the address", "events?after=54", "", "56 55 id=56"},
			{"the last event counts, not the address", "events?after=5", "55", "56 id=56"},
			{"nothing was missed", "events?after=56", "", ""},
			{"a long break", "events", "6", count(56, 37) + " id=56 more=30"},
			{"from the beginning", "events?after=0", "", count(56, 37) + " id=56 more=36"},
			{"of a filter", "events?helo=friend", "50", "55 53 51 id=55"},
			{"of another daemon", "events", "57", ""},
			{"no number", "events", "x", ""},
			{"no number, and none in the address", "events?after=-1", "18446744073709551616", ""},
		} {
			l := w.listen(tt.path, tt.last)
			expect(tt.story, l, tt.want)
			l.close()
		}
	})
}

// Whatever comes while a page opens comes once, and in order.
func TestStreamOnce(t *testing.T) {
	for range 12 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, "").open()
			list := w.records(20, time.Now(), time.Now().Add(time.Minute))
			var writer sync.WaitGroup
			writer.Go(func() {
				for _, r := range list {
					w.decided(r)
				}
			})
			l := w.listen("events?after=0", "")
			writer.Wait()
			time.Sleep(2 * rowsTime)
			got, want := shown(l.close()), count(20, 1)+" id=20"
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// What was made before a page asks for what it missed, and comes to it after that, is no news.
func TestMissed(t *testing.T) {
	decisions := make([]*decision, 60)
	for i := range decisions {
		decisions[i] = &decision{number: uint64(i)}
	}
	for _, tt := range []struct {
		story          string
		before         []int // that came before
		from, to, more int   // missed
		last           int
		after          []int
		want           string
		wantMore       int
	}{
		{story: "nothing else", from: 3, to: 5, last: 5, want: "3 4 5"},
		{story: "one waits already", before: []int{5}, from: 3, to: 5, last: 5, want: "3 4 5"},
		{story: "one comes still", from: 3, to: 5, last: 5, after: []int{5, 6}, want: "3 4 5 6"},
		{story: "one that was made meanwhile", before: []int{5, 6}, from: 3, to: 5, last: 5, after: []int{7}, want: "3 4 5 6 7"},
		{story: "the filter wants none of them", before: []int{6}, from: 1, to: 0, last: 5, after: []int{5}, want: "6"},
		{story: "of another daemon", before: []int{1}, from: 1, to: 0, last: 0, after: []int{2}, want: "1 2"},
		{
			story: "many", from: 21, to: 40, more: 20, last: 40, after: []int{41},
			want: "22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41", wantMore: 21,
		},
	} {
		var all streams
		s := all.enter(filter{})
		for _, i := range tt.before {
			s.add(decisions[i])
		}
		var list []*decision
		for i := tt.from; i <= tt.to; i++ {
			list = append(list, decisions[i])
		}
		s.missed(list, tt.more, uint64(tt.last))
		for _, i := range tt.after {
			s.add(decisions[i])
		}
		var got []string
		waiting, more := s.take()
		for _, d := range waiting {
			got = append(got, fmt.Sprint(d.number))
		}
		if strings.Join(got, " ") != tt.want || more != tt.wantMore {
			t.Errorf("%s: %s and %d more, want %s and %d", tt.story, got, more, tt.want, tt.wantMore)
		}
		all.leave(s)
		if len(all.open) != 0 {
			t.Errorf("%s: it is still open", tt.story)
		}
	}
}

// A page that changes is sent when it has, and a stream that has nothing to say is kept alive; it ends by itself.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "").open()
		synctest.Wait()
		l, rows := w.listen("live/rules", ""), w.listen("events", "")
		synctest.Wait()
		if first := l.took(); !strings.Contains(first, "data: <p class=\"card answer\">There is no decision yet.") {
			t.Errorf("first %q", first)
		}
		rows.took()
		time.Sleep(streamBeat + time.Second)
		synctest.Wait()
		if quiet := l.took() + rows.took(); quiet != ":\n\n:\n\n" {
			t.Errorf("quiet %q", quiet)
		}
		w.decided(w.records(3, time.Now().Add(-time.Second), time.Now())...)
		time.Sleep(liveTime)
		synctest.Wait()
		if next := l.took(); !strings.Contains(next, "The ladder") || strings.Count(next, "\n\n") != 1 {
			t.Errorf("then %q", next)
		}
		time.Sleep(streamTime)
		synctest.Wait()
		for _, l := range []*listener{l, rows} {
			select {
			case <-l.ended:
			default:
				t.Error("a stream does not end")
			}
		}
		for path, want := range map[string]string{"live/rules/no-rule": "event: end", "live/whatif/x": "event: end"} {
			l := w.listen(path, "")
			<-l.ended
			if got := l.took(); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %q", path, got)
			}
		}
		for _, path := range []string{"live/", "live/whatif", "live/decision/x"} {
			if answer := w.get(path); answer.Code != http.StatusNotFound {
				t.Errorf("%s: %d", path, answer.Code)
			}
		}
	})
}

// A decision that a page cannot show is nothing for the next ones.
func TestStreamAfterPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "").open()
		l := w.listen("events", "")
		synctest.Wait()
		w.panics = 1
		if _, err := w.Write([]byte("{}\n")); err != nil {
			t.Error(err)
		}
		w.decided(w.record(time.Now()))
		time.Sleep(2 * rowsTime)
		if got := shown(l.close()); got != "1 id=1" {
			t.Error(got)
		}
	})
}
