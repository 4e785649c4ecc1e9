package store

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"jmld/model"
)

// turns bound how many of the requests that look at many rows run at a time, in all and of one source: those of one source leave
// turns to the others, and a processor to those who look one record up.
type turns struct {
	all  chan struct{}
	each int // of one source

	mu sync.Mutex
	of map[string]chan struct{} // by source; there are as many as in the configuration
}

// newTurns: the database may be on the same machine, and our own part of a search is about as much work as its. So one source may keep all
// processors busy but one, and where there are several turns, all but one.
func newTurns(all int) *turns {
	return &turns{all: make(chan struct{}, all), each: max(1, min(runtime.GOMAXPROCS(0), all)-1), of: map[string]chan struct{}{}}
}

// shorter returns another way to the same turns, for what takes so little time that one source may have them all. As many as there are wait
// for one in front of another source, not more.
func (t *turns) shorter() *turns {
	return &turns{all: t.all, each: cap(t.all), of: map[string]chan struct{}{}}
}

func (t *turns) own(source string) chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.of[source]
	if own == nil {
		own = make(chan struct{}, t.each)
		t.of[source] = own
	}
	return own
}

// patience is how long one waits for its turn.
const patience = 5 * time.Second

// enter waits for a turn of the source, and then for one of all; leave has to be called.
func (t *turns) enter(ctx context.Context, source string) (leave func(), err error) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	own := t.own(source)
	if err := turn(ctx, limited, own); err != nil {
		return nil, err
	}
	if err := turn(ctx, limited, t.all); err != nil {
		<-own
		return nil, err
	}
	return func() { <-t.all; <-own }, nil
}

func turn(ctx, limited context.Context, turns chan struct{}) error {
	select {
	case turns <- struct{}{}:
		return nil
	case <-limited.Done():
		if err := context.Cause(ctx); err != nil {
			return err
		}
		return fmt.Errorf("%w: others look at many records", model.ErrUnavailable)
	}
}
