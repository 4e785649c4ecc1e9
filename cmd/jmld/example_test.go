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

// TestExampleCases hold for the example configuration.
func TestExampleCases(t *testing.T) {
	t.Parallel()
	top, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, dir: t.TempDir()}
	h.must("policy", "test", "-c", filepath.Join(top, "config.example.yaml"), filepath.Join(top, "cases.example.yaml"))
}
