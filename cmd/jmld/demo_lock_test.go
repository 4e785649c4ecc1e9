//go:build unix

package main

import (
	"testing"

	"jmld/model"
)

func TestOneDemoInADirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := lockDemo(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockDemo(dir); model.CodeOf(err) != model.CodeConfig {
		t.Fatalf("a second demo in the same directory: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := lockDemo(dir)
	if err != nil {
		t.Fatalf("after the first demo ended: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}
