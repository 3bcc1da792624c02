package main

import "strings"

// known are the cases that do not hold yet.
var known = strings.Fields(``)
