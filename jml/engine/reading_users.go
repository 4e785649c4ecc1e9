package engine

import (
	"context"
	"errors"
	"slices"

	"go.uber.org/zap"

	"jmld/jml"
	"jmld/model"
)

// flush decides and stores the changed users collected so far.
func (rd *reading) flush(ctx context.Context) error {
	for len(rd.batch) > 0 || rd.underway != nil {
		if len(rd.batch) == 0 { // what is under way may leave some to do
			if _, err := rd.land(ctx); err != nil {
				return err
			}
			continue
		}
		if err := rd.next(ctx); err != nil {
			return err
		}
	}
	return nil
}

// next decides about a chunk of the changed users collected so far. Two entries that may be about one person go into different
// transactions.
func (rd *reading) next(ctx context.Context) error {
	rd.follow()
	var now, later []model.Entry
	taken := map[model.Key]bool{}
	for _, en := range rd.batch {
		keys := rd.rules.Keys(en.Record)
		if len(now) == chunk || slices.ContainsFunc(keys, func(k model.Key) bool { return taken[k] }) {
			later = append(later, en)
			continue
		}
		for _, k := range keys {
			taken[k] = true
		}
		now = append(now, en)
	}
	rd.batch = later
	return rd.ahead(ctx, taken, func(ctx context.Context) (*staged, error) { return rd.stageUsers(ctx, now) },
		func(ctx context.Context) error { return rd.isolate(ctx, now, rd.storeUsers) })
}

// isolate stores a chunk; when the database refuses its content, one by one, so that a bad entry stops only itself.
func (rd *reading) isolate(ctx context.Context, entries []model.Entry, store func(context.Context, []model.Entry) error) error {
	err := rd.again(ctx, func() error { return store(ctx, entries) })
	if err == nil || ctx.Err() != nil || errors.Is(err, model.ErrUnavailable) || errors.Is(err, ErrOtherRules) {
		return err
	}
	if len(entries) > 1 {
		for _, en := range entries {
			if err := rd.isolate(ctx, []model.Entry{en}, store); err != nil {
				return err
			}
		}
		return nil
	}
	rd.e.log.Warn("entry skipped", zap.String(model.FieldSource, rd.source), zap.String(model.FieldRecord, entries[0].ID),
		zap.String(model.FieldCode, string(model.CodeSourceEntry)), zap.Error(err))
	rd.funnel.Skipped++
	rd.refused = rd.refused || model.CodeOf(err) != model.CodeSourceEntry // what is wrong with an entry itself comes with its next change
	rd.there = append(rd.there, entries[0].ID)
	if len(rd.proof.Skipped) < 100 {
		rd.proof.Skipped = append(rd.proof.Skipped, model.Skipped{ID: entries[0].ID, Name: entries[0].DisplayName, Text: err.Error()})
	}
	return nil
}

// storeUsers is one transaction.
func (rd *reading) storeUsers(ctx context.Context, entries []model.Entry) error {
	s, err := rd.stageUsers(ctx, entries)
	if err != nil {
		return err
	}
	return rd.store(ctx, s)
}

// stageUsers decides about them.
func (rd *reading) stageUsers(ctx context.Context, entries []model.Entry) (*staged, error) {
	e, now := rd.e, rd.e.now()
	subjects := make([]Subject, len(entries))
	for i, en := range entries {
		subjects[i] = Subject{Source: rd.source, Record: en.ID, Keys: rd.rules.Keys(en.Record)}
	}
	people, err := e.load(ctx, subjects)
	if err != nil {
		return nil, err
	}
	if rd.mergedKeys(entries, people, subjects) {
		if people, err = e.load(ctx, subjects); err != nil {
			return nil, err
		}
	}
	t, given := &tally{}, rd.underway.given()
	touched := map[string]bool{}
	c := &Commit{ReviewAt: now.Add(reviewLease), ReviewRun: rd.run.Job}
	var second, disputed, dangling []model.Entry
	for i, p := range people {
		en, wait, err := rd.keepReferences(entries[i], p.Record)
		if err != nil {
			return nil, err
		}
		if wait {
			dangling = append(dangling, en)
			continue
		}
		next, err := keepUnknown(rd.rules, en, p.Record)
		if err != nil {
			return nil, err
		}
		next.Source = rd.source
		cause := jml.Cause{Source: rd.source, Record: en.ID, Text: "changed in " + rd.source}
		if p.Record == nil {
			cause.Text = "new in " + rd.source
		} else if p.Record.AbsentSince != nil {
			cause.Text = "back in " + rd.source
		}
		d, err := e.derive(ctx, given, rd.rules, p, &next, cause, now)
		if err != nil {
			return nil, err
		}
		if id := d.record.IdentityID; id != "" && touched[id] {
			second = append(second, en) // two records of one person: the second sees what the first did
			continue
		} else if id != "" {
			touched[id] = true
		}
		if d.record.Link != model.Linked {
			if d.record.Link == model.Disputed {
				d.record.Hash = nil // looked at again by every run, until the keys are mended
				disputed = append(disputed, en)
			}
			if p.Record != nil && p.Record.Link == d.record.Link && p.Record.LinkText == d.record.LinkText && sameContent(p.Record, d.record) {
				continue
			}
		} else if p.Record != nil && p.Record.Link != model.Linked { // its groups count from now on
			c.Review = append(c.Review, RecordRef{rd.source, en.ID})
		}
		if d.record.Link == model.Linked && (p.Record == nil || p.Record.Link != model.Linked) && slices.ContainsFunc(p.Records, func(r model.Record) bool {
			return r.Source == rd.source && r.ID != en.ID && r.IdentityID == d.record.IdentityID
		}) {
			t.renewed++
		}
		if d.short { // whoever has the key may be about to give it up
			d.reviewBy(now.Add(reviewLease), rd.run.Job)
		}
		c.Records = append(c.Records, e.write(p.Record, d.record, now))
		if p.Record == nil {
			t.New++
		} else {
			t.Changed++
		}
		if err := rd.stage(ctx, c, d, now, t); err != nil {
			return nil, err
		}
	}
	t.Disputed = len(disputed)
	administers := slices.ContainsFunc(people, func(p Person) bool { return p.Administrators != nil })
	return &staged{c: c, t: t, administers: administers, then: func() {
		rd.batch = append(rd.batch, second...)
		rd.dangling = append(rd.dangling, dangling...)
		rd.disputed = append(rd.disputed, disputed[:min(len(disputed), max(0, mostDisputed-len(rd.disputed)))]...)
	}}, nil
}
