package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"jmld/internal/store"
	"jmld/jml"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
	inmemory "jmld/target/memory"
)

// manyRules are twenty rules for ten targets. Of the people that fill makes a seventh has a second account by them.
func manyRules() (*jml.Rules, error) {
	c := policy.Config{
		Organisations: []policy.Organisation{{Name: "Example", Own: true, Domains: []string{"example.org"}}},
		Categories:    []policy.Category{{Name: model.CategoryApp, When: "true"}},
	}
	r := &jml.Rules{Precedence: []string{read, pushed}, Correlation: []string{"employeeNumber", "userName", "email"}, OwnDomains: []string{"example.org"}}
	for i := range 10 {
		target, first := fmt.Sprint("target", i), fmt.Sprintf(`person.title == "Engineer %d" || person.userName == "person%d@example.org"`, 1+6*i, -1-i)
		if i == 0 {
			target, first = appName, `"app" in person.categories && person.lifecycle == "active"`
		}
		r.Targets = append(r.Targets, target)
		c.Accounts = append(c.Accounts, policy.Rule{Name: target + " first", Target: target, When: first},
			policy.Rule{Name: target + " second", Target: target, When: fmt.Sprintf(`person.department.startsWith("Claims") && person.title.endsWith("%d")`, i)})
	}
	var mistakes []policy.Mistake
	if r.Policy, mistakes = policy.Compile(c, r.Targets); len(mistakes) > 0 {
		return nil, fmt.Errorf("policy: %s", mistakes[0].Text)
	}
	return r, nil
}

// peoplePart measures single events and a review of everybody with so many people in the store. The floor of the larger ones is the
// smallest one: what one person costs must not depend on how many there are, nor the memory of a review.
func peoplePart(ctx context.Context, b *bench, sizes string) error {
	r, err := manyRules()
	if err != nil {
		return err
	}
	people, err := numbers(sizes)
	if err != nil || slices.Min(people) < 100 {
		return fmt.Errorf("-people %s: numbers from 100 on, with commas between", sizes)
	}
	return with(func(t *tb) error {
		return eachDatabase(t, b.scim.databases, func(name string, open func() string) error { return peopleOn(ctx, t, b, r, name, open, people) })
	})
}

func peopleOn(ctx context.Context, t *tb, b *bench, r *jml.Rules, db string, open func() string, sizes []int) error {
	towns := make([]*town, len(sizes))
	changes := make([]request, len(sizes))
	for i, n := range sizes {
		start := time.Now()
		var err error
		if towns[i], err = newTown(ctx, t, r, open(), int64(n)); err != nil {
			return fmt.Errorf("%d people: %w", n, err)
		}
		b.say("%d people in %s", n, time.Since(start).Round(time.Second))
		changes[i] = towns[i].change
	}
	events, err := against(ctx, 1, b.round, nil, changes...)
	if err != nil {
		return err
	}
	const smallest = "the smallest of these stores"
	for i, at := range towns {
		b.add(fmt.Sprintf("a change of one of %d people, 20 rules, 10 targets, %s", sizes[i], db), "events/s", events[i], events[0], smallest)
		b.figures[len(b.figures)-1].Note = fmt.Sprintf("the first one, by which the guard counts everybody, took %s", at.first.Round(time.Millisecond))
		if i > 0 {
			b.linear(events[i].at(0.5) / events[0].at(0.5))
		}
	}
	reviews, peaks := make([]measured, len(sizes)), make([]float64, len(sizes))
	for i, at := range towns {
		if reviews[i], peaks[i], err = at.review(ctx, 10*b.round); err != nil {
			return fmt.Errorf("%d people: %w", sizes[i], err)
		}
		b.add(fmt.Sprintf("review of all of %d people, 20 rules, 10 targets, %s", sizes[i], db), "people/s", reviews[i], reviews[0], smallest)
		f := &b.figures[len(b.figures)-1]
		f.PeakMiB, f.Note = peaks[i], fmt.Sprintf("%d of them in the time there was", len(reviews[i].took))
		if i > 0 {
			b.linear(reviews[0].rate() / reviews[i].rate())
		}
	}
	for i := range sizes[1:] { // memory is bounded by the chunk, however many there are
		f := figure{Name: fmt.Sprintf("memory of a review of %d people, %s", sizes[1+i], db), Value: peaks[1+i], Unit: "MiB", Floor: peaks[0], FloorName: smallest,
			Ratio: peaks[0] / peaks[1+i]}
		b.figures = append(b.figures, f.atMost("floor + 32 MiB", f.Value, f.Floor+32))
	}
	return nil
}

// town is a store with people, and the engine that decides about them.
type town struct {
	db     *store.Store
	engine *engine.Engine
	people int64
	serial atomic.Int64
	titles *regexp.Regexp
	first  time.Duration // of the first change: whom the source supports is counted by it, and then as seldom as counting stays a fiftieth of the work
}

func newTown(ctx context.Context, t *tb, r *jml.Rules, url string, n int64) (*town, error) {
	db, err := store.Open(ctx, store.Options{URL: url})
	if err == nil {
		err = db.Close() // the schema is there
	}
	if err == nil {
		err = fill(ctx, url, n, 2*smallGroup)
	}
	if err == nil {
		db, err = store.Open(ctx, store.Options{URL: url})
	}
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Logf("close %d people: %v", n, err)
		}
	})
	o := engine.Options{Store: db, Rules: r, Fingerprint: "bench", Guard: raised(), Replica: "bench"}
	for _, name := range r.Targets {
		o.Targets = append(o.Targets, engine.TargetSpec{Target: inmemory.New(name), Class: model.ClassApp})
	}
	at := &town{db: db, engine: engine.New(o), people: n, titles: regexp.MustCompile(`"title":"[^"]*"`)}
	start := time.Now()
	err = at.change(ctx, 0)
	at.first = time.Since(start)
	return at, err
}

// change gives somebody another title.
func (at *town) change(ctx context.Context, _ int) error {
	i := at.serial.Add(1)
	_, err := at.engine.Push(ctx, engine.Push{Source: pushed, Kind: model.KindUser, ID: recordID(1 + i*7919%at.people), Actor: "source " + pushed, Action: "scim.patch",
		Change: func(cur *model.Record) (*model.Record, engine.MemberChange, error) {
			if cur == nil {
				return nil, engine.MemberChange{}, errors.New("nobody is there")
			}
			next := *cur
			next.Attrs = at.titles.ReplaceAllString(cur.Attrs, fmt.Sprintf(`"title":"Clerk %d"`, i))
			return &next, engine.MemberChange{}, nil
		}})
	return err
}

// review decides about everybody, as far as the time goes.
func (at *town) review(ctx context.Context, limit time.Duration) (review measured, peak float64, err error) {
	if _, err := at.db.AdoptRules(ctx, "bench"); err != nil { // nobody was decided about by these
		return review, 0, err
	}
	runtime.GC()
	peak, err = atMost(func() error {
		began := time.Now()
		limited, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		done, err := at.engine.Tend(limited)
		if limited.Err() != nil && ctx.Err() == nil { // the time is over
			err = nil
		}
		review.over, review.took = time.Since(began), make([]time.Duration, done)
		for i := range review.took {
			review.took[i] = review.over / time.Duration(done)
		}
		if done == 0 && err == nil {
			err = errors.New("nobody was reviewed in time")
		}
		return err
	})
	return review, peak, err
}

// atMost is how many MiB of memory were in use while do did its work.
func atMost(do func() error) (mib float64, err error) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(50 * time.Millisecond); ; {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			mib = max(mib, float64(m.HeapInuse)/(1<<20))
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
			}
		}
	}()
	err = do()
	close(stop)
	<-done
	return mib, err
}
