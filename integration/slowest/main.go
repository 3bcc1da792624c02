// Slowest lists the slowest stories, that is tests without subtests, from files written by `go test -json`.
package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"strings"
)

// event is a line of test2json; see go doc test2json.
type event struct {
	Action, Package, Test string
	Elapsed               float64 // seconds
}

func main() {
	log.SetFlags(0)
	var stories []event
	for _, name := range os.Args[1:] {
		list, err := read(name)
		if err != nil {
			log.Fatalf("%s: %v", name, err)
		}
		stories = append(stories, list...)
	}
	const most = 20
	slices.SortFunc(stories, func(a, b event) int { return cmp.Compare(b.Elapsed, a.Elapsed) })
	fmt.Printf("== %d stories, the slowest:\n", len(stories))
	for _, s := range stories[:min(len(stories), most)] {
		fmt.Printf("%7.2f s  %s %s\n", s.Elapsed, strings.TrimPrefix(s.Package, "helo-milter/"), s.Test)
	}
}

// read returns the finished tests without subtests in a file.
func read(name string) (stories []event, _ error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	parents := map[string]bool{}
	for in := json.NewDecoder(file); ; {
		var e event
		if err := in.Decode(&e); err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
		for i, c := range e.Test {
			if c == '/' {
				parents[e.Package+" "+e.Test[:i]] = true
			}
		}
		if e.Test != "" && (e.Action == "pass" || e.Action == "fail") {
			stories = append(stories, e)
		}
	}
	return slices.DeleteFunc(stories, func(e event) bool { return parents[e.Package+" "+e.Test] }), nil
}
