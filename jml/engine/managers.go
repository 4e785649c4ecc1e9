package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"jmld/jml"
	"jmld/model"
)

// asksManagers says whether the rules are about people's managers. Where they are not, nobody asks who that is.
func asksManagers(r *jml.Rules) bool { return r.Policy != nil && r.Policy.AsksManagers() }

// loadManagers asks for those whom the records name that the people have, all at once.
func (e *Engine) loadManagers(ctx context.Context, people []Person) error {
	rules := e.rules()
	if !asksManagers(rules) {
		return nil
	}
	var refs []jml.ManagerRef
	for i := range people {
		for _, rec := range people[i].Records {
			if ref, ok := jml.ManagerOf(rec); ok {
				refs = append(refs, ref)
			}
		}
	}
	found, err := e.managersAmong(ctx, refs)
	if err != nil {
		return err
	}
	for i := range people {
		people[i].Managers = found
	}
	return nil
}

// withManager asks for whom the record as it will be names, when that was not asked before.
func (e *Engine) withManager(ctx context.Context, r *jml.Rules, p Person, next *model.Record) (Person, error) {
	if next == nil || !asksManagers(r) {
		return p, nil
	}
	ref, ok := jml.ManagerOf(*next)
	if _, known := p.Managers[ref]; !ok || known {
		return p, nil
	}
	found, err := e.managersAmong(ctx, []jml.ManagerRef{ref})
	if err != nil {
		return p, err
	}
	for _, rec := range p.Records {
		if other, ok := jml.ManagerOf(rec); ok && p.Managers[other] != nil {
			found[other] = p.Managers[other]
		}
	}
	p.Managers = found
	return p, nil
}

// managersAmong are the facts about them, nil where it is nobody.
func (e *Engine) managersAmong(ctx context.Context, refs []jml.ManagerRef) (map[jml.ManagerRef]map[string]any, error) {
	out := make(map[jml.ManagerRef]map[string]any, len(refs))
	if len(refs) == 0 {
		return out, nil
	}
	ask := make([]RecordRef, 0, len(refs))
	for _, ref := range refs {
		if _, twice := out[ref]; !twice {
			out[ref] = nil
			ask = append(ask, RecordRef{Source: ref.Source, ID: ref.Record})
			if folded := jml.Fold(ref.Record); folded != ref.Record {
				ask = append(ask, RecordRef{Source: ref.Source, ID: folded})
			}
		}
	}
	found, err := e.o.Store.Managers(ctx, ask)
	if err != nil {
		return nil, fmt.Errorf("managers: %w", err)
	}
	for ref := range out {
		for _, id := range []string{ref.Record, jml.Fold(ref.Record)} { // as it is first: ids are compared with their case (RFC 7643 §3.1)
			if identity, ok := found[RecordRef{ref.Source, id}]; ok {
				out[ref] = jml.ManagerFacts(&identity)
				break
			}
		}
	}
	return out, nil
}

// reports are the records of the person whose reports have to be looked at again: something that rules see of their manager changed, or
// whose record it is.
func (d *draft) reports(p Person, records []model.Record, now time.Time) []RecordRef {
	var refs []RecordRef
	add := func(rec model.Record) {
		if ref := (RecordRef{rec.Source, jml.Fold(rec.ID)}); !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	if r := p.Record; r != nil && (d.record == nil || d.record.IdentityID != r.IdentityID || d.record.AbsentSince != nil) {
		add(*r)
	}
	if r := d.record; r != nil && (p.Record == nil || p.Record.IdentityID != r.IdentityID) {
		add(*r)
	}
	if d.identity == nil {
		return refs
	}
	var was *model.Identity
	if p.Identity != nil && p.Identity.ID == d.identity.New.ID {
		was = p.Identity
	}
	if d.cautious || !jml.SameManager(was, &d.identity.New) {
		for _, rec := range records {
			add(rec)
		}
	}
	// Who names another manager than before is looked at once more: what was known of that one may have changed at the same moment.
	if d.record != nil {
		is, ok := jml.ManagerOf(*d.record)
		var before jml.ManagerRef
		if p.Record != nil {
			before, _ = jml.ManagerOf(*p.Record)
		}
		if ok && is != before {
			d.reviewBy(now.Add(time.Minute), "")
		}
	}
	return refs
}
