package engine

import (
	"context"
	"maps"
	"slices"

	"jmld/model"
)

// storeAbsent counts the users that a complete read did not find, and decides about those that are gone. Their records go when the
// guard lets their accounts go.
func (rd *reading) storeAbsent(ctx context.Context) error {
	for part := range slices.Chunk(rd.absent(model.KindUser), chunk) {
		for len(part) > 0 {
			var second []string
			err := rd.again(ctx, func() (err error) {
				second, err = rd.storeAbsentChunk(ctx, part)
				return err
			})
			if err != nil {
				return err
			}
			part = second // fewer each time
		}
	}
	return nil
}

// storeAbsentChunk is one transaction. second are those it left out.
func (rd *reading) storeAbsentChunk(ctx context.Context, ids []string) (second []string, err error) {
	e, now := rd.e, rd.e.now()
	people, err := e.load(ctx, rd.subjects(ids))
	if err != nil {
		return nil, err
	}
	c, t, given := &Commit{}, &tally{}, names{}
	touched := map[string]bool{}
	var gone []string
	for i, p := range people {
		if p.Record == nil {
			continue
		}
		next, cause, left := rd.missed(*p.Record, now)
		if !left {
			t.Missing++
			if next.MissingRuns != p.Record.MissingRuns || len(next.Hash) != len(p.Record.Hash) {
				c.Records = append(c.Records, e.write(p.Record, &next, now))
			}
			continue
		}
		if p.Record.Link != model.Linked { // nobody's: nothing hangs on it
			t.Absent++
			gone = append(gone, ids[i])
			c.Records = append(c.Records, Write{Old: p.Record})
			continue
		}
		if touched[p.Record.IdentityID] {
			second = append(second, ids[i]) // two records of one person: the second sees what the first did
			continue
		}
		touched[p.Record.IdentityID] = true
		t.Absent++
		gone = append(gone, ids[i])
		if next.AbsentSince == nil {
			next.AbsentSince = &now
		}
		d, err := e.derive(ctx, given, rd.rules, p, &next, cause, now)
		if err != nil {
			return nil, err
		}
		if waits(p) {
			t.waiting = append(t.waiting, p.Record.IdentityID)
		}
		if len(d.steps) == 0 && len(d.settled) == 0 && p.Record.AbsentSince != nil {
			continue // known, and nothing new follows
		}
		c.Records = append(c.Records, e.write(p.Record, d.record, now))
		if err := rd.stage(ctx, c, d, now, t); err != nil {
			return nil, err
		}
	}
	if err := rd.commit(ctx, c, t); err != nil {
		return nil, err
	}
	for _, id := range gone {
		rd.gone[id] = true
	}
	return second, nil
}

// storeThere ends the count of reads that missed an entry, for those that are there although their content was not taken, and has reads of
// changes try them again: what stood in the way may be another entry.
func (rd *reading) storeThere(ctx context.Context) error {
	for part := range slices.Chunk(rd.there, chunk) {
		err := rd.again(ctx, func() error {
			people, err := rd.e.load(ctx, rd.subjects(part))
			if err != nil {
				return err
			}
			c := &Commit{}
			for _, p := range people {
				if p.Record == nil || p.Record.MissingSince == nil && len(p.Record.Hash) == 0 {
					continue
				}
				next := *p.Record
				next.MissingRuns, next.MissingSince, next.Hash = 0, nil, nil
				c.Records = append(c.Records, rd.e.write(p.Record, &next, rd.e.now()))
			}
			return rd.e.o.Store.Commit(ctx, c)
		})
		if err != nil {
			return err
		}
	}
	rd.there = nil
	return nil
}

func (rd *reading) subjects(ids []string) []Subject {
	subjects := make([]Subject, len(ids))
	for i, id := range ids {
		subjects[i] = Subject{Source: rd.source, Record: id}
	}
	return subjects
}

func waits(p Person) bool {
	return slices.ContainsFunc(p.Accounts, func(a model.Account) bool { return a.HeldPlan != "" })
}

// dropAbsent deletes the records of absent people nothing of whom waits any more.
func (rd *reading) dropAbsent(ctx context.Context) error {
	for part := range slices.Chunk(slices.Sorted(maps.Keys(rd.gone)), chunk) {
		err := rd.again(ctx, func() error {
			people, err := rd.e.load(ctx, rd.subjects(part))
			if err != nil {
				return err
			}
			c := &Commit{}
			for _, p := range people {
				if p.Record != nil && p.Record.AbsentSince != nil && !waits(p) {
					c.Records = append(c.Records, Write{Old: p.Record})
				}
			}
			return rd.e.o.Store.Commit(ctx, c)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
