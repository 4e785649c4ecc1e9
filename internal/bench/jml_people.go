package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
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
// smallest one: what one person costs must not depend on how many there are.
func peoplePart(ctx context.Context, b *bench, sizes string) error {
	r, err := manyRules()
	if err != nil {
		return err
	}
	var first [2]*measured
	for _, text := range strings.Split(sizes, ",") {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 100 {
			return fmt.Errorf("-people %s: numbers from 100 on, with commas between", sizes)
		}
		err = with(func(t *tb) error {
			events, review, counting, peak, err := measurePeople(ctx, b, r, "sqlite:"+filepath.Join(t.TempDir(), "jmld.db"), n)
			if err != nil {
				return err
			}
			if first[0] == nil {
				first = [2]*measured{&events, &review}
			}
			against := "the smallest of these stores"
			b.add(fmt.Sprintf("a change of one of %s people, 20 rules, 10 targets", text), "events/s", events, *first[0], against)
			b.figures[len(b.figures)-1].Note = fmt.Sprintf("the first one, by which the guard counts everybody, took %s", counting.Round(time.Millisecond))
			b.add(fmt.Sprintf("review of all of %s people, 20 rules, 10 targets", text), "people/s", review, *first[1], against)
			b.figures[len(b.figures)-1].PeakMiB = peak
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s people: %w", text, err)
		}
	}
	return nil
}

func measurePeople(ctx context.Context, b *bench, r *jml.Rules, url string, n int64) (events, review measured, began time.Duration, peak float64, err error) {
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
		return events, review, 0, 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	o := engine.Options{Store: db, Rules: r, Fingerprint: "bench", Guard: raised(), Replica: "bench"}
	for _, name := range r.Targets {
		o.Targets = append(o.Targets, engine.TargetSpec{Target: inmemory.New(name), Class: model.ClassApp})
	}
	e := engine.New(o)
	var serial atomic.Int64
	titles := regexp.MustCompile(`"title":"[^"]*"`)
	change := func(ctx context.Context, _ int) error {
		i := serial.Add(1)
		_, err := e.Push(ctx, engine.Push{Source: pushed, Kind: model.KindUser, ID: recordID(1 + i*7919%n), Actor: "source " + pushed, Action: "scim.patch",
			Change: func(cur *model.Record) (*model.Record, engine.MemberChange, error) {
				if cur == nil {
					return nil, engine.MemberChange{}, errors.New("nobody is there")
				}
				next := *cur
				next.Attrs = titles.ReplaceAllString(cur.Attrs, fmt.Sprintf(`"title":"Clerk %d"`, i))
				return &next, engine.MemberChange{}, nil
			}})
		return err
	}
	// Whom the source supports is counted by the first change, and then as seldom as counting stays a fiftieth of the work.
	start := time.Now()
	if err := change(ctx, 0); err != nil {
		return events, review, 0, 0, err
	}
	began = time.Since(start)
	m, err := against(ctx, 1, b.round, nil, change)
	if err != nil {
		return events, review, began, 0, err
	}
	if _, err := db.AdoptRules(ctx, "bench"); err != nil { // nobody was decided about by these
		return events, review, began, 0, err
	}
	peak, err = atMost(func() error {
		began := time.Now()
		limited, cancel := context.WithTimeout(ctx, 10*b.round)
		defer cancel()
		done, err := e.Tend(limited)
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
	return m[0], review, began, peak, err
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
