package main

import (
	"path/filepath"
	"testing"
)

// TestExampleConfiguration is valid as it stands.
func TestExampleConfiguration(t *testing.T) {
	t.Parallel()
	example, err := filepath.Abs(filepath.Join("..", "..", "config.example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, dir: t.TempDir()}
	h.must("config", "check", "-c", example)
}
