package checks_test

import (
	"context"
	"encoding/json"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
)

// census answers after a while, or never.
type census struct {
	after time.Duration
	never bool
	helo  checks.SeenHelo
	names int
	asked []string
}

func answer[T any](c *census, value T) <-chan T {
	answers := make(chan T, 1)
	go func() {
		time.Sleep(c.after)
		if !c.never {
			answers <- value
		}
		close(answers)
	}()
	return answers
}

func (c *census) Client(client netip.Addr) <-chan checks.SeenClient {
	c.asked = append(c.asked, client.String())
	return answer(c, checks.SeenClient{Names: c.names})
}

func (c *census) Helo(client netip.Addr, name string) <-chan checks.SeenHelo {
	c.asked = append(c.asked, client.String()+" "+name)
	return answer(c, c.helo)
}

// slowly is a DNS that has nothing, and takes its time to say so.
type slowly struct {
	checkstest.Zone
	took time.Duration
}

func (s slowly) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	time.Sleep(s.took)
	return s.Zone.LookupAddr(ctx, addr)
}

func (s slowly) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	time.Sleep(s.took)
	return s.Zone.LookupNetIP(ctx, network, host)
}

func (s slowly) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	time.Sleep(s.took)
	return s.Zone.LookupMX(ctx, name)
}

// What a fleet has seen is in the facts when it comes in time, and unasked otherwise: nobody waits for it.
func TestCensus(t *testing.T) {
	tests := []struct {
		story string
		after time.Duration
		never bool
		want  string // of the facts' JSON
	}{
		{"at once", 0, false, `{"names":12} {"networks":4,"organisations":2,"since":"2026-11-20T08:00:00Z"}`},
		{"while the DNS is asked", 90 * time.Millisecond, false, `{"names":12} {"networks":4,"organisations":2,"since":"2026-11-20T08:00:00Z"}`},
		{"within the patience", 201 * time.Millisecond, false, `{"names":12} {"networks":4,"organisations":2,"since":"2026-11-20T08:00:00Z"}`},
		{"later", 300 * time.Millisecond, false, `null null`},
		{"never", time.Millisecond, true, `null null`},
	}
	for _, test := range tests {
		t.Run(test.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &census{after: test.after, never: test.never, names: 12, helo: checks.SeenHelo{
					Networks: 4, Organisations: 2, Since: time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC),
				}}
				dns := &checks.DNS{
					Resolver: slowly{took: 100 * time.Millisecond}, Timeout: 5 * time.Second, Census: c, Patience: 2 * time.Millisecond,
				}
				began := time.Now()
				f := checks.Lookup(t.Context(), dns, netip.MustParseAddr("192.0.2.1"), checks.Site{}, checks.ParseHelo("mail.example.org"))
				if took := time.Since(began); took > 202*time.Millisecond {
					t.Errorf("took %v, more than the DNS and the patience", took)
				}
				client, _ := json.Marshal(f.Seen)
				helo, _ := json.Marshal(f.Greetings[0].Seen)
				if got := string(client) + " " + string(helo); got != test.want {
					t.Errorf("got %s, want %s", got, test.want)
				}
				if want := []string{"192.0.2.1", "192.0.2.1 mail.example.org"}; !slices.Equal(c.asked, want) {
					t.Errorf("asked %q, want %q", c.asked, want)
				}
				time.Sleep(time.Second)
			})
		})
	}
}

// helo-shared and helo-many are off in every profile, and find what they find.
func TestSeenRules(t *testing.T) {
	tests := []struct {
		story string
		facts string // greeting's "a" and "seen", and the client's "seen"
		want  string
	}{
		{"nothing was asked", `{"a":{"status":"missing"}}|null`, "helo-shared=skip helo-many=skip"},
		{"known from here only", `{"a":{"status":"missing"},"seen":{"networks":1,"organisations":1}}|{"names":1}`, "helo-shared=pass helo-many=pass"},
		{"said everywhere", `{"a":{"status":"missing"},"seen":{"networks":3,"organisations":0}}|{"names":9}`, "helo-shared=fail helo-many=pass"},
		{"said everywhere, and it is the client's", `{"a":{"status":"found","values":["192.0.2.1"]},"seen":{"networks":30,"organisations":0}}|{"names":1}`, "helo-shared=pass helo-many=pass"},
		{"said everywhere, and whose it is could not be asked", `{"a":{"status":"failed"},"seen":{"networks":30,"organisations":0}}|{"names":1}`, "helo-shared=unsure helo-many=pass"},
		{"another name each time", `{"a":{"status":"missing"},"seen":{"networks":0,"organisations":0}}|{"names":10}`, "helo-shared=pass helo-many=fail"},
	}
	for _, test := range tests {
		greeting, client, _ := strings.Cut(test.facts, "|")
		f := &checks.Facts{Client: netip.MustParseAddr("192.0.2.1"), PTR: checks.Answer[checks.Host]{Status: checks.Missing}}
		f.Greetings = make([]checks.Greeting, 1)
		for text, into := range map[string]any{greeting: &f.Greetings[0], client: &f.Seen} {
			if err := json.Unmarshal([]byte(text), into); err != nil {
				t.Fatal(err)
			}
		}
		f.Greetings[0].Helo = checks.ParseHelo("mail.example.org")
		var got []string
		found := checks.Evaluate(f, nil, "")
		for _, name := range []string{"helo-shared", "helo-many"} {
			got = append(got, name+"="+found[checks.Index(name)].Result.String())
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %s, want %s", test.story, got, test.want)
		}
		for profile := checks.Careful; profile <= checks.Strict; profile++ {
			v := checks.NewPolicy(profile).Decide(found)
			if v.Rule != nil && (v.Rule.Name == "helo-shared" || v.Rule.Name == "helo-many") {
				t.Errorf("%s: %v decides by %s", test.story, profile, v.Rule.Name)
			}
		}
	}
}
