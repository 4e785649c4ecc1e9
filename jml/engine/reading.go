package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"jmld/jml"
	"jmld/model"
)

// reading is one run over one source.
//
//	supersede what a dead run left open
//	-> stream: compare id and hash with the snapshot; changed users are decided in chunks at once
//	-> groups, after the proof: only a complete read may take a member away
//	-> absent people, only with the proof
//	-> people whose groups changed
//	-> the guard judges everything that would be taken away, as a whole; the rest is committed already
type reading struct {
	e        *Engine
	source   string
	run      *model.Run
	rules    *jml.Rules
	progress func(model.Funnel)

	known   map[string]known // in the store; entries seen are taken out, what remains is absent
	people  int              // known users at the start
	batch   []model.Entry    // changed users
	groups  []model.Entry    // changed groups
	proof   model.Proof
	funnel  model.Funnel
	plan    *model.Plan     // collects what takes something away
	leaving map[string]bool // identities that would lose something
	gone    []string        // absent user records
}

type known struct {
	hash [16]byte
	kind model.Kind
}

func (rd *reading) execute(ctx context.Context, src Source) error {
	rd.known, rd.leaving = map[string]known{}, map[string]bool{}
	if err := rd.supersede(ctx); err != nil {
		return fmt.Errorf("take over from an earlier run: %w", err)
	}
	err := rd.e.o.Store.Hashes(ctx, rd.source, func(id string, kind model.Kind, hash []byte) error {
		k := known{kind: kind}
		copy(k.hash[:], hash)
		rd.known[id] = k
		if kind == model.KindUser {
			rd.people++
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("load the snapshot: %w", err)
	}
	proof, err := src.Read(ctx, func(en model.Entry) error { return rd.entry(ctx, en) })
	rd.proof = proof
	if err != nil {
		rd.proof.Complete = false
		if ctx.Err() == nil { // what was read is true of who was read
			err = errors.Join(err, rd.flush(ctx))
		}
		return err
	}
	if proof.Complete && proof.Users == 0 {
		rd.proof.Complete = false
		return model.Errorf(model.CodeSourceEmpty, "the directory answered with nobody")
	}
	for _, s := range proof.Skipped {
		delete(rd.known, s.ID) // unusable is not absent
	}
	rd.funnel.Skipped += len(proof.Skipped)
	if err := rd.flush(ctx); err != nil {
		return err
	}
	if err := rd.storeGroups(ctx); err != nil {
		return err
	}
	if rd.proof.Complete {
		if err := rd.storeAbsent(ctx); err != nil {
			return err
		}
	}
	if err := rd.review(ctx); err != nil {
		return err
	}
	return rd.judge(ctx)
}

// supersede dissolves plans that a run left open when it died; their people are decided again by this run.
func (rd *reading) supersede(ctx context.Context) error {
	plans, err := rd.e.o.Store.Plans(ctx, []model.PlanState{model.PlanOpen}, 1000)
	if err != nil {
		return err
	}
	for _, p := range plans {
		if p.Source != rd.source {
			continue
		}
		if err := rd.e.dissolve(ctx, p, model.PlanSuperseded, rd.run.ID, rd.e.now().Add(reviewLease)); err != nil {
			return err
		}
	}
	return nil
}

func (rd *reading) entry(ctx context.Context, en model.Entry) error {
	if en.Kind == model.KindUser {
		rd.funnel.Users++
	} else {
		rd.funnel.Groups++
	}
	if rd.progress != nil && (rd.funnel.Users+rd.funnel.Groups)%500 == 0 {
		rd.progress(rd.funnel)
	}
	k, ok := rd.known[en.ID]
	delete(rd.known, en.ID)
	if ok && k.hash == [16]byte(en.Hash) {
		rd.funnel.Unchanged++
		return nil
	}
	if en.Kind == model.KindGroup {
		rd.groups = append(rd.groups, en)
		return nil
	}
	rd.batch = append(rd.batch, en)
	if len(rd.batch) < chunk {
		return nil
	}
	return rd.flush(ctx)
}

// flush decides and stores the changed users collected so far. Two entries that may be about one person go into different
// transactions.
func (rd *reading) flush(ctx context.Context) error {
	for len(rd.batch) > 0 {
		var now, later []model.Entry
		taken := map[model.Key]bool{}
		for _, en := range rd.batch {
			keys := rd.rules.Keys(en.Record)
			if slices.ContainsFunc(keys, func(k model.Key) bool { return taken[k] }) {
				later = append(later, en)
				continue
			}
			for _, k := range keys {
				taken[k] = true
			}
			now = append(now, en)
		}
		rd.batch = later
		if err := rd.isolate(ctx, now, rd.storeUsers); err != nil {
			return err
		}
	}
	return nil
}

// isolate stores a chunk; when the database refuses its content, one by one, so that a bad entry stops only itself.
func (rd *reading) isolate(ctx context.Context, entries []model.Entry, store func(context.Context, []model.Entry) error) error {
	err := rd.e.again(ctx, func() error { return store(ctx, entries) })
	if err == nil || ctx.Err() != nil || errors.Is(err, model.ErrUnavailable) {
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
	if len(rd.proof.Skipped) < 100 {
		rd.proof.Skipped = append(rd.proof.Skipped, model.Skipped{ID: entries[0].ID, Name: entries[0].DisplayName, Text: err.Error()})
	}
	return nil
}

// storeUsers is one transaction.
func (rd *reading) storeUsers(ctx context.Context, entries []model.Entry) error {
	e, now := rd.e, rd.e.now()
	subjects := make([]Subject, len(entries))
	for i, en := range entries {
		subjects[i] = Subject{Source: rd.source, Record: en.ID, Keys: rd.rules.Keys(en.Record)}
	}
	people, err := e.o.Store.Load(ctx, subjects)
	if err != nil {
		return err
	}
	t := &tally{}
	touched := map[string]bool{}
	c := &Commit{ReviewAt: now}
	var second []model.Entry
	for i, p := range people {
		en := entries[i]
		next := en.Record
		next.Source, next.AbsentSince = rd.source, nil
		cause := jml.Cause{Source: rd.source, Record: en.ID, Text: "changed in " + rd.source}
		if p.Record == nil {
			cause.Text = "new in " + rd.source
		} else if p.Record.AbsentSince != nil {
			cause.Text = "back in " + rd.source
		}
		d := e.derive(rd.rules, p, &next, cause, now)
		if id := d.record.IdentityID; id != "" && touched[id] {
			second = append(second, en) // two records of one person: the second sees what the first did
			continue
		} else if id != "" {
			touched[id] = true
		}
		if d.record.Link != model.Linked {
			d.record.Hash = nil // looked at again by every run, until the keys are mended
			t.Disputed++
			if p.Record != nil && p.Record.Link == d.record.Link && p.Record.LinkText == d.record.LinkText && sameContent(p.Record, d.record) {
				continue
			}
		}
		if err := e.withdraw(ctx, c, d, now); err != nil {
			return err
		}
		c.Records = append(c.Records, e.write(p.Record, d.record, now))
		if p.Record == nil {
			t.New++
		} else {
			t.Changed++
		}
		rd.stage(c, d, now, t)
	}
	if err := rd.commit(ctx, c); err != nil {
		return err
	}
	rd.add(t)
	rd.batch = append(rd.batch, second...)
	return nil
}
