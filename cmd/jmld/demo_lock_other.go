//go:build !unix

package main

import "os"

// lockDemo cannot lock a directory here; two demos in one are kept apart by their address alone.
func lockDemo(dir string) (*os.File, error) { return os.Open(dir) }
