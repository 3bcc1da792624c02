package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Stories are the tests without subtests, whatever their names.
func TestRead(t *testing.T) {
	const events = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestA/CL_/run/client","Elapsed":2}
{"Action":"fail","Package":"p","Test":"TestA/b","Elapsed":3}
{"Action":"fail","Package":"p","Test":"TestA","Elapsed":5}
{"Action":"pass","Package":"q","Test":"TestA","Elapsed":1.5}
{"Action":"pass","Package":"q","Elapsed":9}
`
	file := filepath.Join(t.TempDir(), "events")
	if err := os.WriteFile(file, []byte(events), 0o600); err != nil {
		t.Fatal(err)
	}
	stories, err := read(file)
	var got strings.Builder
	for _, s := range stories {
		fmt.Fprintln(&got, s.Package, s.Test, s.Elapsed)
	}
	if want := "p TestA/CL_/run/client 2\np TestA/b 3\nq TestA 1.5\n"; got.String() != want || err != nil {
		t.Errorf("got %s(%v), want %s", got.String(), err, want)
	}
}
