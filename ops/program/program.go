// Package program finds the programs that some tests run beside us: a browser, a proxy, Prometheus.
package program

import (
	"os"
	"os/exec"
	"testing"
)

// Find is the path of the first of the names that is installed. Without any, the test fails where
// MILLRACE_REQUIRE is set, as in .ci/run, and elsewhere is skipped, saying which Debian package has it.
func Find(t testing.TB, debian string, names ...string) string {
	t.Helper()
	for _, name := range names {
		for _, at := range []string{name, "/usr/sbin/" + name} { // not on everybody's PATH
			if path, err := exec.LookPath(at); err == nil {
				return path
			}
		}
	}
	if os.Getenv("MILLRACE_REQUIRE") != "" {
		t.Fatalf("%s is not installed: apt-get install %s", names[0], debian)
	}
	t.Skipf("%s is not installed (Debian package %s), so this is not tested here", names[0], debian)
	return ""
}
