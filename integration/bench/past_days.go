package main

import (
	"bufio"
	"compress/gzip"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	random "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"helo-milter/integration/rig"
)

const (
	pastDays    = 30
	pastClients = 100_000
	// models is how many clients are played. It is a multiple of 240, after which all that differs between clients
	// of a mixed pool comes again.
	models = 2400
)

// model is a record that a daemon has made, with marks in the places of what is of one client, or of one
// decision.
type model string

// The marks.
const (
	markID     = '\x01'
	markTime   = '\x02'
	markClient = '\x03'
	markNumber = '\x04' // with the domain, in a host's name
)

// sessionModels plays a session of each of some clients, and returns the records of the decision log by their
// number.
func sessionModels(t rig.T, resolver string) []model {
	file := filepath.Join(tempDir(t), "decisions")
	p := &program{name: ours}
	m := p.startOurs(t, resolver, logTo(file), "", "")
	p.wait(t)
	clients := pool{size: models, mixed: true}
	p.warm(t, clients)
	m.Stop(t)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v", err)
	}
	lines := map[string]string{}
	for line := range strings.Lines(string(text)) {
		lines[value(line, "client")] = line
	}
	var all []model
	for i := range models {
		addr := clients.client(i).addr.String()
		line := lines[addr]
		if line == "" {
			t.Fatalf("the decision log has nothing of %s", addr)
		}
		marks := strings.NewReplacer(value(line, "id"), string(markID), value(line, "time"), string(markTime),
			addr, string(markClient), clients.number(i), string(markNumber))
		all = append(all, model(marks.Replace(line)))
	}
	return all
}

// value returns the first value of a key of a record.
func value(line, key string) string {
	_, rest, _ := strings.Cut(line, `"`+key+`":"`)
	text, _, _ := strings.Cut(rest, `"`)
	return text
}

// write writes the record of another client, which is as good or bad, and returns its id.
func (m model) write(out *bufio.Writer, c client, number string, at time.Time) (id string) {
	id = strings.ToLower(rand.Text())
	rest := string(m)
	for {
		i := strings.IndexAny(rest, "\x01\x02\x03\x04")
		if i < 0 {
			_, _ = out.WriteString(rest)
			return id
		}
		_, _ = out.WriteString(rest[:i])
		switch rest[i] {
		case markID:
			_, _ = out.WriteString(id)
		case markTime:
			_, _ = out.Write(at.AppendFormat(nil, "2006-01-02T15:04:05.999Z"))
		case markClient:
			_, _ = out.WriteString(c.addr.String())
		case markNumber:
			_, _ = out.WriteString(number)
		}
		rest = rest[i+1:]
	}
}

// number is what tells the names of a client from those of others.
func (p pool) number(i int) string { return strings.TrimPrefix(p.host("mx", i), "mx") }

// pastLog is a decision log of the last days.
type pastLog struct {
	file           string
	bytes          int64  // as they are on the disk
	earliest, last string // ids
}

// writePast writes a decision log of so many records of the last 30 days, and the files that logrotate would have
// made of it by day: the one before plain, the others compressed.
func writePast(t rig.T, all []model, records int) *pastLog {
	l := &pastLog{file: filepath.Join(tempDir(t), "decisions.jsonl")}
	begin := time.Now().UTC().AddDate(0, 0, -pastDays).Add(time.Hour)
	step := time.Since(begin) / time.Duration(records)
	law := random.NewZipf(random.New(random.NewPCG(1, 2)), 1.1, 10, pastClients-1)
	clients := pool{mixed: true}
	perDay := (records + pastDays - 1) / pastDays
	for done, day := 0, pastDays-1; day >= 0; day-- {
		name := l.file
		switch {
		case day == 1:
			name += ".1"
		case day > 1:
			name += fmt.Sprintf(".%d.gz", day)
		}
		end := min(records, done+perDay)
		err := writeDay(name, begin.Add(time.Duration(end)*step), func(out *bufio.Writer) {
			for ; done < end; done++ {
				i := int(law.Uint64())
				at := begin.Add(time.Duration(done) * step)
				l.last = all[i%models].write(out, clients.client(i), clients.number(i), at)
				if l.earliest == "" {
					l.earliest = l.last
				}
			}
		})
		info, statErr := os.Stat(name)
		if err = errors.Join(err, statErr); err != nil {
			t.Fatalf("%v", err)
		}
		l.bytes += info.Size()
	}
	return l
}

// writeDay writes a file that was written last at a time.
func writeDay(name string, at time.Time, write func(*bufio.Writer)) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer file.Close()
	var to io.WriteCloser = file
	if strings.HasSuffix(name, ".gz") {
		to = gzip.NewWriter(file)
	}
	out := bufio.NewWriterSize(to, 1<<20)
	write(out)
	err = out.Flush()
	if to != file {
		err = errors.Join(err, to.Close())
	}
	return errors.Join(err, os.Chtimes(name, at, at))
}
