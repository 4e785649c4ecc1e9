package engine

import (
	"context"
	"maps"
	"slices"

	"jmld/model"
)

func sorted(ids []string) []string {
	slices.Sort(ids)
	return ids
}

// groupMembers is how many members the groups of one transaction have together, but for a single one that has more.
const groupMembers = 10_000

// storeGroups stores the changed groups, several in one transaction: who is in many of them is marked for review once. Without the
// proof members are only added, and the group is looked at again by the next run.
func (rd *reading) storeGroups(ctx context.Context) error {
	for len(rd.groups) > 0 {
		n, members, ids := 0, 0, map[string]bool{}
		for n < len(rd.groups) && n < chunk && !ids[rd.groups[n].ID] && (n == 0 || members+len(rd.groups[n].Members) <= groupMembers) {
			ids[rd.groups[n].ID] = true
			members += len(rd.groups[n].Members)
			n++
		}
		if err := rd.isolate(ctx, rd.groups[:n], rd.storeGroupChunk); err != nil {
			return err
		}
		clear(rd.groups[:n]) // their members may be many
		rd.groups = rd.groups[n:]
	}
	rd.groups = nil
	if !rd.proof.Complete {
		return nil
	}
	for _, id := range rd.absent(model.KindGroup) {
		if err := rd.again(ctx, func() error { return rd.dropGroup(ctx, id) }); err != nil {
			return err
		}
	}
	return nil
}

// storeGroupChunk is one transaction.
func (rd *reading) storeGroupChunk(ctx context.Context, entries []model.Entry) error {
	e, now := rd.e, rd.e.now()
	subjects := make([]Subject, len(entries))
	for i, en := range entries {
		subjects[i] = Subject{Source: rd.source, Record: en.ID, Alone: true}
	}
	found, err := e.o.Store.Load(ctx, subjects)
	if err != nil {
		return err
	}
	t := &tally{}
	c := &Commit{ReviewAt: now.Add(reviewLease), ReviewRun: rd.run.Job}
	review := map[string]bool{}
	for i, en := range entries {
		cur, next := found[i].Record, en.Record
		next.Source = rd.source
		add, drop, err := e.memberDiff(ctx, rd.source, en.ID, found[i], MemberChange{Replace: true, Add: en.Members})
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
		c.Records = append(c.Records, w)
		lost := slices.DeleteFunc(slices.Clone(drop), func(id string) bool { return rd.gone[id] }) // who left, left the group, too
		if err := e.groupLoss(ctx, c, cur, len(en.Members)-len(add)+len(lost), nil, lost, now); err != nil {
			return err
		}
		for _, id := range add {
			review[id] = true
		}
		for _, id := range drop {
			review[id] = true
		}
		if cur != nil && cur.DisplayName != next.DisplayName {
			review[en.ID] = true
		}
		if cur == nil {
			t.New++
		} else {
			t.Changed++
		}
	}
	for _, id := range slices.Sorted(maps.Keys(review)) {
		c.Review = append(c.Review, RecordRef{rd.source, id})
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
	have, err := rd.e.o.Store.MembersAmong(ctx, rd.source, id, nil)
	if err != nil {
		return err
	}
	have = slices.DeleteFunc(have, func(id string) bool { return rd.gone[id] })
	if err := rd.e.groupLoss(ctx, c, cur, len(have), nil, have, now); err != nil {
		return err
	}
	t.Absent++
	return rd.commit(ctx, c, t)
}
