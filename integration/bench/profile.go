package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"helo-milter/integration/rig"
)

const profileResolver = "192.0.2.204"

// profileTime is how long a profile takes: the kernel's clock gives 100 samples for each second of CPU.
const profileTime = 5 * time.Second

// profile writes CPU profiles of ours to a directory, one of each situation, and one of all allocations.
func profile(t rig.T, out io.Writer, plan plan, dir string) {
	clients := pool{size: plan.clients}
	startUnbound(t, clients, profileResolver)
	milter := &program{name: ours}
	milter.startOurs(t, profileResolver, "", "pprof = true", "")
	milter.wait(t)
	milter.warm(t, clients)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatalf("%v", err)
	}
	fetch := func(what, name string) {
		file := filepath.Join(dir, name+".pprof")
		if err := download("http://"+milter.http+"/debug/pprof/"+what, file); err != nil {
			t.Fatalf("profile: %v", err)
		}
		fmt.Fprintf(out, "go tool pprof -top %s\n", file)
	}
	fmt.Fprintf(out, "\n## Profiles\n\n")
	for _, s := range plan.situations {
		ended := make(chan load)
		go func() {
			ended <- clients.play(milter.sockets[s.network], s.atATime, plan.allMacros,
				during(profileTime+time.Second, anyOf(clients.size)))
		}()
		fetch(fmt.Sprintf("profile?seconds=%d", int(profileTime.Seconds())),
			"cpu-"+strings.ReplaceAll(s.String(), ", ", "-"))
		l := <-ended
		l.enough(t, "profile")
	}
	fetch("allocs", "allocs")
}

func download(url, file string) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, text)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}
