package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets this test binary be the command: under the name jmld it does what main does, with the race detector in it
// when the tests have it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"jmld": main})
}
