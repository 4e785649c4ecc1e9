package main

import (
	"errors"
	"fmt"
	"os"
	"testing"
)

// tb lets the servers that tests use be started outside of a test. What they cannot do becomes a panic that with turns
// into an error.
type tb struct {
	testing.TB // nil: only what is below is used
	cleanups   []func()
}

type giveUp struct{ error }

// with calls fn with a tb and cleans up behind it.
func with(fn func(t *tb) error) (err error) {
	t := &tb{}
	defer func() {
		if r := recover(); r != nil {
			g, ok := r.(giveUp)
			if !ok {
				panic(r)
			}
			err = g.error
		}
		for len(t.cleanups) > 0 {
			last := t.cleanups[len(t.cleanups)-1]
			t.cleanups = t.cleanups[:len(t.cleanups)-1]
			last()
		}
	}()
	return fn(t)
}

func (t *tb) Helper()                      {}
func (t *tb) Name() string                 { return "bench" }
func (t *tb) Cleanup(f func())             { t.cleanups = append(t.cleanups, f) }
func (t *tb) Fatal(args ...any)            { panic(giveUp{errors.New(fmt.Sprint(args...))}) }
func (t *tb) Fatalf(f string, a ...any)    { panic(giveUp{fmt.Errorf(f, a...)}) }
func (t *tb) Skipf(f string, a ...any)     { panic(giveUp{fmt.Errorf(f, a...)}) }
func (t *tb) Logf(format string, a ...any) { fmt.Fprintf(os.Stderr, format+"\n", a...) }

// TempDir is removed when with ends.
func (t *tb) TempDir() string {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
