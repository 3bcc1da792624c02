package main

import "strings"

// known are the cases that do not hold yet.
var known = strings.Fields(`
	C01a C02a C02d C03a C04 C05 C06a C07 C08 C09a C09c C10a C11b C11e C12a C13b C14a C14c C16a C17a C17d C17j
	C17o C18 C21a C22a C28a
`)
