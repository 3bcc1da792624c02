package main

import "strings"

// known are the cases that do not hold yet.
var known = strings.Fields(`
	
	C13x12 C13x13 C13x14 C13x4 C13x7 C17x12 C17x23 C17x50 C17x61 C19x3 C28x3
`)
