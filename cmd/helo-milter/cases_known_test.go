package main

import "strings"

// known are the cases that do not hold yet.
var known = strings.Fields(`
	C11b C11e C11x1 C11x11 C11x12 C11x13 C11x2 C11x20 C11x21 C11x23 C11x25 C11x26 C11x5 C11x7
	C13x12 C13x13 C13x14 C13x4 C13x7 C17x12 C17x23 C17x50 C17x61 C19x3 C28x3
`)
