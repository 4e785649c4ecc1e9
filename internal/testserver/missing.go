// Package testserver starts real servers for tests: each with its own files and free loopback ports, stopped when the
// test ends.
package testserver

import (
	"os"
	"testing"
)

// Missing ends the test because the machine lacks a server: it is skipped with the name of the Debian package to
// install, and fails where CI is set, so that a build machine cannot pass by testing nothing.
func Missing(tb testing.TB, what, pkg string) {
	tb.Helper()
	if os.Getenv("CI") == "true" {
		tb.Fatalf("this test needs %s: apt-get install -y --no-install-recommends %s", what, pkg)
	}
	tb.Skipf("this test needs %s: apt-get install -y --no-install-recommends %s", what, pkg)
}
