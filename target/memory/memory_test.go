package memory_test

import (
	"testing"

	"jmld/jml/engine"
	"jmld/target/memory"
	"jmld/target/targettest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	targettest.Run(t, func(testing.TB) engine.Target { return memory.New("scratch") })
}
