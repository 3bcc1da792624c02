package rig

import (
	"fmt"
	"os"

	"go.uber.org/goleak"
)

// notRun makes `go test` write "[no tests to run]" beside the package, even where it passes over all else that
// a passing package says.
const notRun = `testing: warning: no tests to run
The tests of the whole program need root, mail servers and DNS servers, and none of them was run.
integration/run installs what they need, and runs them.
`

// Main runs the tests of a package in the private world, with a milter that was built with those flags, and
// ends the program; see Enter. Without root it runs none, and says so.
func Main(m goleak.TestingM, buildFlags ...string) {
	if os.Geteuid() != 0 {
		fmt.Print(notRun)
		os.Exit(0)
	}
	Enter(buildFlags...)
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) // the world's servers stay
}
