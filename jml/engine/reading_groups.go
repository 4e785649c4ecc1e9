package engine

import (
	"context"
	"slices"

	"jmld/model"
)

func sorted(ids []string) []string {
	slices.Sort(ids)
	return ids
}

// storeGroups stores the changed groups, one transaction each. Without the proof members are only added, and the group is
// looked at again by the next run.
func (rd *reading) storeGroups(ctx context.Context) error {
	for _, en := range rd.groups {
		if err := rd.isolate(ctx, []model.Entry{en}, rd.storeGroup); err != nil {
			return err
		}
	}
	rd.groups = nil
	if !rd.proof.Complete || rd.proof.Unlisted {
		return nil
	}
	for _, id := range rd.absent(model.KindGroup) {
		if err := rd.e.again(ctx, func() error { return rd.dropGroup(ctx, id) }); err != nil {
			return err
		}
	}
	return nil
}

func (rd *reading) storeGroup(ctx context.Context, entries []model.Entry) error {
	e, now, en := rd.e, rd.e.now(), entries[0]
	people, err := e.o.Store.Load(ctx, []Subject{{Source: rd.source, Record: en.ID}})
	if err != nil {
		return err
	}
	cur, next := people[0].Record, en.Record
	next.Source = rd.source
	add, drop, err := e.memberDiff(ctx, rd.source, en.ID, cur == nil, MemberChange{Replace: true, Add: en.Members})
	if err != nil {
		return err
	}
	if !rd.proof.Complete {
		drop, next.Hash = nil, nil
	}
	if n := len(drop); n > 0 { // the name of an entry that is missing means nobody in the read, whether the group has it or not
		if drop = slices.DeleteFunc(drop, rd.undecided); len(drop) < n {
			next.Hash = nil
		}
	}
	w := e.write(cur, &next, now)
	w.AddMembers, w.DropMembers = add, drop
	c := &Commit{Records: []Write{w}, ReviewAt: now.Add(reviewLease), ReviewRun: rd.run.Job}
	for _, id := range slices.Concat(add, drop) {
		c.Review = append(c.Review, RecordRef{rd.source, id})
	}
	if cur != nil && cur.DisplayName != next.DisplayName {
		c.Review = append(c.Review, RecordRef{rd.source, en.ID})
	}
	t := &tally{}
	if cur == nil {
		t.New++
	} else {
		t.Changed++
	}
	return rd.commit(ctx, c, t)
}

func (rd *reading) dropGroup(ctx context.Context, id string) error {
	people, err := rd.e.o.Store.Load(ctx, []Subject{{Source: rd.source, Record: id}})
	if err != nil || people[0].Record == nil {
		return err
	}
	cur, now, t := people[0].Record, rd.e.now(), &tally{}
	next, _, left := rd.missed(*cur, now)
	if !left {
		t.Missing++
		c := &Commit{}
		if next.MissingRuns != cur.MissingRuns {
			c.Records = []Write{rd.e.write(cur, &next, now)}
		}
		return rd.commit(ctx, c, t)
	}
	c := &Commit{Records: []Write{{Old: cur}}, Review: []RecordRef{{rd.source, id}}, ReviewAt: now.Add(reviewLease), ReviewRun: rd.run.Job}
	t.Absent++
	return rd.commit(ctx, c, t)
}
