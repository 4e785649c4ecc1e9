package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"jmld/internal/testserver"
)

// Where there are several turns, one source never has all of them, and a turn that was not got in the end is nobody's.
func TestTurnsOfOneSourceAreNotAll(t *testing.T) {
	t.Parallel()
	for most := 1; most <= 16; most++ {
		turns := newTurns(most)
		if turns.each < 1 || turns.each > max(1, most-1) {
			t.Errorf("of %d turns one source has %d", most, turns.each)
		}
		var leave []func()
		enter := func(source string) {
			l, err := turns.enter(t.Context(), source)
			if err != nil {
				t.Fatalf("of %d turns, %s: %v", most, source, err)
			}
			leave = append(leave, l)
		}
		for range turns.each {
			enter("hostile")
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := turns.enter(gone, "hostile"); !errors.Is(err, context.Canceled) || len(turns.all) != turns.each {
			t.Errorf("of %d turns, one more than %d: %v, %d taken", most, turns.each, err, len(turns.all))
		}
		for len(turns.all) < most {
			enter(fmt.Sprint("other ", len(turns.all)))
		}
		if _, err := turns.enter(gone, "late"); !errors.Is(err, context.Canceled) || len(turns.own("late")) != 0 {
			t.Errorf("of %d turns, one more than all: %v", most, err)
		}
		for _, l := range leave {
			l()
		}
		if len(turns.all) != 0 || len(turns.own("hostile")) != 0 {
			t.Errorf("of %d turns %d are taken by nobody", most, len(turns.all))
		}
	}
}

// What is short may have all turns, and takes them from no place of its own: another source comes next.
func TestShorterTurnsAreAmongAll(t *testing.T) {
	t.Parallel()
	for most := 1; most <= 16; most++ {
		searches := newTurns(most)
		lists := searches.shorter()
		var leave []func()
		for range most {
			l, err := lists.enter(t.Context(), "busy")
			if err != nil {
				t.Fatal(err)
			}
			leave = append(leave, l)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for name, turns := range map[string]*turns{"busy": lists, "other": searches} {
			if _, err := turns.enter(gone, name); !errors.Is(err, context.Canceled) {
				t.Errorf("all %d turns are taken, and %s got one: %v", most, name, err)
			}
		}
		leave[0]()
		l, err := searches.enter(t.Context(), "other")
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range append(leave[1:], l) {
			l()
		}
		if len(searches.all) != 0 {
			t.Errorf("of %d turns %d are taken by nobody", most, len(searches.all))
		}
	}
}

// Several sources search at the same time, and what looks one record up has connections beside them all.
func TestTurnsOfEachDatabase(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func() string{
		"sqlite":   func() string { return "sqlite:" + filepath.Join(t.TempDir(), "jmld.db") },
		"postgres": func() string { return testserver.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openHere(t, url())
			conns := liteReaders
			if db, ok := s.db.(*pgDB); ok {
				conns = int(db.pool.Config().MaxConns)
			}
			if all := cap(s.searches.all) + cap(s.streams.all); cap(s.searches.all) < 2 || cap(s.streams.all) < 1 || all > conns-2 {
				t.Errorf("%d searches, %d streams, %d connections", cap(s.searches.all), cap(s.streams.all), conns)
			}
		})
	}
}
