package rig

import (
	"fmt"
	"os"

	"go.uber.org/goleak"
)

// notRun makes `go test` print "[no tests to run]" next to the package, even where it hides all other output
// of a passing package.
const notRun = `testing: warning: no tests to run
The tests of the whole program need root, mail servers and DNS servers: none of them was run.
integration/run installs what they need, and runs them.
`

// Main runs the tests of a package inside the rig, with a milter built with these flags of `go build`, and
// exits; see Enter. Without root it runs no tests, and says so.
func Main(m goleak.TestingM, buildFlags ...string) {
	if os.Geteuid() != 0 {
		fmt.Print(notRun)
		os.Exit(0)
	}
	Enter(buildFlags...)
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) // the rig's servers stay
}
