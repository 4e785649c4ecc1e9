package engine

import (
	"context"
	"errors"

	"jmld/model"
)

// staged is a transaction of the run that is decided. While one is being stored, under way, the run decides about the next one, as if
// it were stored already: when that fails, both are decided again, one after the other. So at most one is under way, they are stored in
// the order in which they were decided, and each only when the one before is.
type staged struct {
	c     *Commit
	t     *tally
	then  func()                      // what follows when it is stored; may be nil
	keys  map[model.Key]bool          // of those it is about
	again func(context.Context) error // decides about them anew, and stores it
	done  chan error
	// administers: some of the people administer a target. Two transactions of such are decided one after the other, or each would count on the other's.
	administers bool
}

// given are the names that the transaction under way gives, for the next one to add to.
func (s *staged) given() names {
	if s == nil {
		return names{}
	}
	return namesIn(s.c)
}

// ahead decides about people while the transaction before theirs is being stored, and has theirs stored then. keys are theirs: when
// somebody in that transaction has one of them, too, it is waited for. again does all of it at once.
func (rd *reading) ahead(ctx context.Context, keys map[model.Key]bool, decide func(context.Context) (*staged, error), again func(context.Context) error) error {
	if rd.underway != nil && overlap(keys, rd.underway.keys) {
		if _, err := rd.land(ctx); err != nil {
			return err
		}
	}
	before := rd.underway
	s, failed := decide(ctx)
	stored, err := rd.land(ctx)
	if err != nil {
		return err
	}
	if failed != nil || !stored || before != nil && before.administers && s.administers {
		return again(ctx)
	}
	s.keys, s.again, s.done = keys, again, make(chan error, 1)
	rd.relyOnStored(s.c)
	rd.underway = s
	e, counted := rd.e, rd.heldIDs()
	go func() { s.done <- e.commit(ctx, s.c, counted...) }()
	return nil
}

// land waits until the transaction under way is stored: as it was decided, or, when that failed, as it is decided now.
func (rd *reading) land(ctx context.Context) (asDecided bool, err error) {
	s := rd.underway
	err = rd.wait()
	if err == nil || ctx.Err() != nil || errors.Is(err, model.ErrUnavailable) {
		return true, err
	}
	return false, s.again(ctx)
}

// wait waits for the transaction under way. Until then the run has not ended, however it ends.
func (rd *reading) wait() error {
	s := rd.underway
	if s == nil {
		return nil
	}
	stop := clock(&rd.phases.commit)
	err := <-s.done
	stop()
	if rd.underway = nil; err == nil {
		rd.book(s)
	}
	return err
}

// book notes that it is stored.
func (rd *reading) book(s *staged) {
	for _, p := range s.c.Plans {
		rd.stored[p.ID] = true
	}
	rd.add(s.t)
	if s.then != nil {
		s.then()
	}
}

// relyOnStored has the commit rely on plans that it was to make, and that are stored meanwhile: see relyOn.
func (rd *reading) relyOnStored(c *Commit) {
	var fresh []model.Plan
	for _, p := range c.Plans {
		if rd.stored[p.ID] {
			c.PlansWere = append(c.PlansWere, model.Plan{ID: p.ID, State: p.State})
		} else {
			fresh = append(fresh, p)
		}
	}
	c.Plans = fresh
}

func overlap(a, b map[model.Key]bool) bool {
	for k := range a {
		if b[k] {
			return true
		}
	}
	return false
}
