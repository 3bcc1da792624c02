package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	compose "github.com/compose-spec/compose-go/v2/types"

	"helo-milter/integration/rig"
)

// loadCompose reads a file as the Compose specification has it. One that is merged with another file may name what
// that one has.
func loadCompose(t *testing.T, file string) *compose.Project {
	t.Helper()
	project, err := loader.LoadWithContext(t.Context(), compose.ConfigDetails{
		WorkingDir: filepath.Dir(file), ConfigFiles: []compose.ConfigFile{{Filename: file}},
	}, func(o *loader.Options) {
		o.SetProjectName("examples", true)
		o.SkipConsistencyCheck = strings.Contains(file, ".override.")
	})
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return project
}

// The compose files are valid. Each builds a Dockerfile that exists, with the name that the Postfix files use, is as
// confined as TestContainer runs it, and has the configuration where the image reads it.
func TestCompose(t *testing.T) {
	files, err := filepath.Glob("../examples/*/*compose*.y*ml")
	if err != nil || len(files) != 4 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		built := 0
		for name, s := range loadCompose(t, file).Services {
			if s.Build == nil {
				continue
			}
			built++
			if name != "helo-milter" && !strings.HasPrefix(name, "milter") {
				t.Errorf("%s: a service %s", file, name)
			}
			docker := readFile(t, "../"+s.Build.Dockerfile)
			read := slices.ContainsFunc(s.Volumes, func(v compose.ServiceVolumeConfig) bool {
				at := strings.TrimSuffix(v.Target, "/helo-milter.toml") + "/helo-milter.toml"
				return v.ReadOnly && strings.Contains(docker, `["serve", "--config", "`+at+`"]`)
			})
			if !read || !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) ||
				!slices.Contains(s.SecurityOpt, "no-new-privileges:true") ||
				s.StopGracePeriod == nil || time.Duration(*s.StopGracePeriod) < 30*time.Second {
				t.Errorf("%s: %s: %+v", file, name, s)
			}
		}
		if built == 0 {
			t.Errorf("%s builds nothing", file)
		}
	}
}

// Both milters of examples/compose judge mail with its settings and files, each behind a Postfix; what one is told
// counts in the other, also from its last copy; and Prometheus sees both.
func TestComposeFleet(t *testing.T) {
	t.Parallel()
	project := loadCompose(t, "../examples/compose/compose.yaml")
	redis := startComposeRedis(t, project)
	p := newPodman(t)
	p.build()
	scrape := "global: {scrape_interval: 500ms, scrape_timeout: 500ms}\n" + example(t, "compose/prometheus.yml")
	for _, name := range []string{"milter1", "milter2"} {
		port, http := fmt.Sprint(rig.FreePort()), fmt.Sprint(rig.FreePort())
		here := strings.NewReplacer(":8891", ":"+port, ":9891", ":"+http, "10.0.0.0/8", "127.0.0.0/8",
			"redis:6379", redis.Addr)
		p.start(project.Services[name], here)
		scrape = strings.Replace(scrape, name+":9891", "127.0.0.1:"+http, 1)
		sink := rig.StartSink(t)
		postfix := rig.StartPostfix(t, sink, rig.PostfixMilter("inet:127.0.0.1:"+port, "default_action=tempfail"))
		if got := sendExample(t, postfix, sink, "25", good, greeting); got != judged {
			t.Errorf("%s: got %q\n%s%s", name, got, postfix.Log(), p.must("logs", name))
		}
	}
	prometheus := rig.StartPrometheus(t, map[string]string{
		"prometheus.yml": scrape, rulesFile: example(t, "prometheus/"+rulesFile),
	})
	p.command("milter1", "allow", "add", "203.0.113.9", "--reason", "they know")
	for _, query := range []string{
		`sum(up{job="helo-milter"})`, "sum(helo_milter_fleet_up)", "sum(helo_milter_list_entries)",
	} {
		awaitTwo(t, prometheus, query)
	}
	for _, host := range []string{"mx1", "mx2"} {
		p.await("transactions    1  ", "milter2", "report", "fleet:"+host+".example.net")
	}
	redis.Stop()
	p.must("restart", "milter2")
	p.await("they know", "milter2", "allow", "list")
}

// startComposeRedis starts a redis-server with the settings of the service redis.
func startComposeRedis(t *testing.T, project *compose.Project) *rig.Redis {
	t.Helper()
	var settings []string
	for _, word := range project.Services["redis"].Command[1:] {
		settings = append(settings, strings.TrimPrefix(word, "--"))
	}
	return rig.StartRedis(t, settings...)
}

// awaitTwo waits until a sum is two.
func awaitTwo(t *testing.T, prometheus *rig.Prometheus, query string) {
	t.Helper()
	rig.Eventually(t, func() error {
		samples, err := prometheus.Query(query)
		if err == nil && (len(samples) != 1 || samples[0].Value != 2) {
			err = fmt.Errorf("%s is %v", query, samples)
		}
		return err
	})
}

// start runs a service of ours in the network of the test, with a changed configuration and the rest as it is.
func (p podman) start(s compose.ServiceConfig, here *strings.Replacer) {
	p.Helper()
	args := []string{
		"run", "--detach", "--name=" + s.Name, "--network=host", "--uts=private", "--hostname=" + s.Hostname,
		"--cgroups=disabled", "--ulimit=nofile=8192:8192", "--ulimit=nproc=4096:4096",
		fmt.Sprintf("--read-only=%v", s.ReadOnly),
	}
	for _, name := range s.CapDrop {
		args = append(args, "--cap-drop="+name)
	}
	for _, option := range s.SecurityOpt {
		args = append(args, "--security-opt="+strings.TrimSuffix(option, ":true"))
	}
	for name, value := range s.Environment {
		args = append(args, "--env="+name+"="+*value)
	}
	for _, v := range s.Volumes {
		source := v.Source
		if v.Type == compose.VolumeTypeBind {
			source = filepath.Join(p.dir, s.Name+".toml")
			if err := os.WriteFile(source, []byte(here.Replace(readFile(p.T, v.Source))), 0o644); err != nil {
				p.Fatal(err)
			}
		}
		option := ""
		if v.ReadOnly {
			option = ":ro"
		}
		args = append(args, "--volume="+source+":"+v.Target+option)
	}
	p.Cleanup(func() { p.must("rm", "--force", "--time=0", s.Name) })
	p.must(append(args, s.Image)...)
}

// command runs helo-milter in the container of a daemon, with its configuration.
func (p podman) command(container string, args ...string) string {
	p.Helper()
	return p.must(append([]string{"exec", container, "/helo-milter", "--config", configFile}, args...)...)
}

// await waits until a command prints a text.
func (p podman) await(text, container string, args ...string) {
	p.Helper()
	rig.Eventually(p, func() error {
		if got := p.command(container, args...); !strings.Contains(got, text) {
			return fmt.Errorf("%q: no %q in\n%s", args, text, got)
		}
		return nil
	})
}
