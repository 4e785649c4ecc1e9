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

// loadRulings adds what people decided about records that are not linked. Records that nobody shares a key with have none: nothing
// is asked about most of those that are new.
func (e *Engine) loadRulings(ctx context.Context, subjects []Subject, people []Person) error {
	var refs []RecordRef
	for i, s := range subjects {
		p := &people[i]
		switch {
		case s.Record == "" || s.Alone:
		case p.Record == nil && !anybody(p.Owners):
		case p.Record != nil && (p.Record.Kind != model.KindUser || p.Record.Link == model.Linked):
		default:
			refs = append(refs, RecordRef{s.Source, s.Record})
		}
	}
	if len(refs) == 0 {
		return nil
	}
	found, err := e.o.Store.Rulings(ctx, refs)
	if err != nil || len(found) == 0 {
		return err
	}
	var again []Subject // who the record is by decision is not who has its keys
	var at []int
	for i, s := range subjects {
		k := slices.IndexFunc(found, func(r model.Ruling) bool { return r.Source == s.Source && r.RecordID == s.Record })
		if k < 0 || people[i].Record != nil && people[i].Record.Link == model.Linked {
			continue
		}
		people[i].Ruling = &found[k]
		if id := found[k].IdentityID; id != "" && (people[i].Identity == nil || people[i].Identity.ID != id) {
			s.Identity = id
			again, at = append(again, s), append(at, i)
		}
	}
	if len(again) == 0 {
		return nil
	}
	loaded, err := e.o.Store.Load(ctx, again)
	if err != nil {
		return err
	}
	for j, i := range at {
		loaded[j].Ruling = people[i].Ruling
		for k, owner := range people[i].Owners {
			if _, ok := loaded[j].Owners[k]; !ok {
				loaded[j].Owners[k] = owner
			}
		}
		people[i] = loaded[j]
	}
	return nil
}

func anybody(owners map[model.Key]string) bool {
	for _, o := range owners {
		if o != "" {
			return true
		}
	}
	return false
}

// waitFor says for which keys a record that is nobody's waits. An ignored one waits for none.
func waitFor(rec model.Record, keys []model.Key, p Person) *WaitWrite {
	w := &WaitWrite{RecordRef: RecordRef{rec.Source, rec.ID}}
	if rec.Link == model.Ignored {
		return w
	}
	for _, k := range keys {
		wait := model.Wait{Source: rec.Source, RecordID: rec.ID, Name: k.Name, Value: k.Value, IdentityID: p.Owners[k]}
		if p.Identity != nil && p.Identity.ID == wait.IdentityID {
			wait.Version = p.Identity.Version
		}
		w.Keys = append(w.Keys, wait)
	}
	return w
}

// recheck looks again at a record that is nobody's.
func (e *Engine) recheck(ctx context.Context, ref RecordRef) error {
	e = e.pinned()
	people, err := e.o.Store.Load(ctx, []Subject{{Source: ref.Source, Record: ref.ID}})
	if err != nil {
		return err
	}
	rec := people[0].Record
	if rec == nil || rec.Link != model.Disputed && rec.Link != model.Unmatched {
		return e.o.Store.Commit(ctx, &Commit{Waits: []WaitWrite{{RecordRef: ref}}})
	}
	rules, now := e.rules(), e.now()
	p, err := e.subject(ctx, Subject{Source: ref.Source, Record: ref.ID, Keys: rules.Keys(*rec)})
	if errors.Is(err, model.ErrNotFound) {
		return nil // gone meanwhile
	}
	if err != nil {
		return err
	}
	next := *p.Record
	d, err := e.derive(ctx, names{}, rules, p, &next, jml.Cause{Source: ref.Source, Record: ref.ID, Text: "looked at again, because other people's keys changed"}, now)
	if err != nil {
		return err
	}
	if d.record.Link == p.Record.Link && d.record.LinkText == p.Record.LinkText && d.wait != nil {
		return e.o.Store.Commit(ctx, &Commit{Rules: e.policy().Fingerprint, Waits: []WaitWrite{*d.wait}}) // the record's version is its ETag: it did not change
	}
	c := &Commit{Rules: e.policy().Fingerprint, ReviewAt: atOnce(), Records: []Write{e.write(p.Record, d.record, now)}}
	if d.record.Link == model.Linked {
		c.Review = []RecordRef{ref} // its groups count from now on
	}
	_, err = e.commitGuarded(ctx, c, d, ref.Source, nil, now)
	return err
}

// recheckDue looks again at records that may be somebody's now.
func (e *Engine) recheckDue(ctx context.Context) error {
	due, err := e.o.Store.DueWaits(ctx, chunk)
	if err != nil {
		return fmt.Errorf("records that wait for somebody: %w", err)
	}
	for _, ref := range due {
		err := e.again(ctx, func() error { return e.recheck(ctx, ref) })
		switch {
		case err == nil:
		case ctx.Err() != nil || errors.Is(err, model.ErrUnavailable):
			return fmt.Errorf("look again at record %s/%s: %w", ref.Source, ref.ID, err)
		case errors.Is(err, ErrOtherRules): // adopted by another replica: it looks at this one and at the others
			return nil
		default: // one record must not stop the others
			e.log.Error("record not looked at again", zap.String(model.FieldSource, ref.Source), zap.String(model.FieldRecord, ref.ID), zap.Error(err))
		}
	}
	return nil
}
