//go:build unix

package main

import (
	"errors"
	"os"
	"syscall"

	"jmld/model"
)

// lockDemo takes the directory for one demo: a second one would give the configuration other addresses and write the
// sample app's file, too. The lock ends with the process, however it ends.
func lockDemo(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = model.Errorf(model.CodeConfig, "a demo runs in this directory already; --listen and --data start another one")
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
