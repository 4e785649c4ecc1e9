package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"jmld/jml"
	"jmld/model"
)

// Push applies one write of a SCIM client: record, identity, desired accounts, explained changes and audit in one
// transaction. When it returns without error everything is durable; targets follow later. Where other rules are in force than the
// engine's the record is stored, and those with the rules in force decide about the person.
func (e *Engine) Push(ctx context.Context, p Push) (Pushed, error) {
	var out Pushed
	err := e.again(ctx, func() error {
		var err error
		behind := e.behind.Load() // also where none are in force yet, because the guard holds what came with these
		if out, err = e.push(ctx, p, behind); !behind && errors.Is(err, ErrOtherRules) {
			out, err = e.push(ctx, p, true)
		}
		return err
	})
	if err != nil {
		return Pushed{}, fmt.Errorf("push %s %s of source %s: %w", p.Kind, p.ID, p.Source, err)
	}
	return out, nil
}

func (e *Engine) push(ctx context.Context, p Push, postpone bool) (Pushed, error) {
	e = e.pinned()
	rules, now := e.rules(), e.now()
	person, next, members, err := e.prepare(ctx, rules, p)
	if err != nil {
		return Pushed{}, err
	}
	cur := person.Record
	if next == nil && cur == nil {
		return Pushed{}, model.ErrNotFound
	}
	groups, known := groupsHere(person, p)
	c := &Commit{ReviewAt: atOnce(), Audit: []model.AuditEntry{{ID: model.NewID(now), At: now, Actor: p.Actor, Action: p.Action,
		Source: p.Source, Subject: p.ID, Detail: jml.Canonical(auditDetail{Kind: p.Kind, Dialect: p.Dialect, Notes: p.Notes})}}}
	if p.Kind == model.KindGroup {
		changed, err := e.pushGroup(ctx, c, person, next, members, p, now)
		if err != nil || !changed {
			return Pushed{Record: deref(cur), More: person.More}, err
		}
		if err := e.commit(ctx, c); err != nil {
			return Pushed{}, err
		}
	} else {
		if cur != nil && next != nil && sameContent(cur, next) && cur.Link == model.Linked {
			return Pushed{Record: *cur, Groups: groups, GroupsKnown: known}, nil
		}
		if p.Afresh {
			person.Groups = slices.DeleteFunc(slices.Clone(person.Groups), func(g model.Membership) bool { return g.Source == p.Source })
		}
		d, err := e.derive(ctx, names{}, rules, person, next, jml.Cause{Source: p.Source, Record: p.ID, Text: causeText(p, cur, next)}, now)
		if err != nil {
			return Pushed{}, err
		}
		if postpone {
			d = d.postpone(person)
		}
		if next != nil {
			next = d.record
			if cur != nil && cur.Link == next.Link && next.Link != model.Linked && cur.LinkText == next.LinkText && sameContent(cur, next) {
				return Pushed{Record: *cur}, nil // said again, and still nobody's
			}
			if cur != nil && cur.Link != model.Linked && next.Link == model.Linked { // its groups count from now on
				c.Review = []RecordRef{{p.Source, p.ID}}
			}
		}
		if d.short { // whoever has the key may be about to give it up
			d.reviewBy(now.Add(time.Minute), "")
		}
		w := p.index(versioned(cur, next, now))
		w.LeaveGroups = p.Afresh
		c.Records = []Write{w}
		if _, err := e.commitGuarded(ctx, c, d, p.Source, nil, now); err != nil {
			return Pushed{}, err
		}
	}
	stored := deref(cur)
	if next != nil {
		stored = *next
	}
	return Pushed{Record: stored, Changed: true, Changes: c.Changes, More: person.More, Groups: groups, GroupsKnown: known}, nil
}

// groupsHere are the groups of the record that is pushed. They were loaded with the person; where the person has another record in
// the source nobody can tell which of the two is in a group.
func groupsHere(p Person, push Push) (groups []model.Membership, known bool) {
	cur := p.Record
	other := func(r model.Record) bool { return r.Source == push.Source && r.ID != push.ID }
	if cur == nil || p.Identity == nil || cur.IdentityID != p.Identity.ID || push.Afresh || slices.ContainsFunc(p.Records, other) {
		return nil, false
	}
	return slices.DeleteFunc(slices.Clone(p.Groups), func(g model.Membership) bool { return g.Source != push.Source }), true
}

type auditDetail struct {
	Kind    model.Kind `json:"kind"`
	Dialect string     `json:"dialect,omitempty"`
	Notes   []string   `json:"notes,omitempty"`
}

// prepare loads the person and lets the client's change make the next record, with all its correlation keys looked up.
func (e *Engine) prepare(ctx context.Context, rules *jml.Rules, p Push) (Person, *model.Record, MemberChange, error) {
	var person Person
	subject := Subject{Source: p.Source, Record: p.ID, Alone: p.Kind == model.KindGroup}
	subject.Members = uniq(slices.Concat(p.Add, p.Drop))
	if len(p.Drop) > 0 {
		subject.Count = e.policy().Guard.GroupMatters(model.GroupLoss{}, len(p.Drop), e.now())
	}
	switch n := len(subject.Members); { // more than p.Most are left, whoever goes
	case p.Most > 0 && n == 1:
		subject.Most = p.Most + 1
	case n <= p.Most:
		subject.Most = 2 * p.Most
	}
	look := p.Create && p.Twins != nil && p.ExternalID != ""
	if p.Create {
		subject.Record = ""
	}
	if look {
		subject.Kind, subject.ExternalID = p.Kind, p.ExternalID
	}
	asked := map[model.Key]bool{}
	for first := true; ; first = false {
		if !first || !p.Create {
			loaded, err := e.load(ctx, []Subject{subject})
			if err != nil {
				return Person{}, nil, MemberChange{}, err
			}
			person = loaded[0]
		}
		if look && !first {
			if err := p.Twins(person.Twins); err != nil {
				return Person{}, nil, MemberChange{}, err
			}
		}
		next, members, err := p.Change(person.Record)
		if err != nil {
			return Person{}, nil, MemberChange{}, err
		}
		if next == nil {
			return person, nil, members, nil
		}
		next.Source, next.ID, next.Kind = p.Source, p.ID, p.Kind
		more := false
		for _, k := range rules.Keys(*next) {
			if !asked[k] && !slices.Contains(person.Keys, k) {
				asked[k], more = true, true
				subject.Keys = append(subject.Keys, k)
			}
		}
		if !more && (!first || !p.Create || len(subject.Keys) == 0 && !look) {
			return person, next, members, nil
		}
	}
}

// pushGroup stores a group and its members, and marks the people behind a change for review.
func (e *Engine) pushGroup(ctx context.Context, c *Commit, group Person, next *model.Record, m MemberChange, p Push, now time.Time) (bool, error) {
	cur := group.Record
	if next == nil { // the mark is set before the members go
		c.Records = []Write{p.index(Write{Old: cur})}
		c.Review = []RecordRef{{p.Source, p.ID}}
		have, err := e.o.Store.MembersAmong(ctx, p.Source, p.ID, nil)
		if err != nil {
			return false, err
		}
		return true, e.groupLoss(ctx, c, cur, len(have), nil, have, now)
	}
	add, drop, err := e.memberDiff(ctx, p.Source, p.ID, group, m)
	if err != nil {
		return false, err
	}
	if cur != nil && sameContent(cur, next) && len(add) == 0 && len(drop) == 0 {
		return false, nil
	}
	if len(drop) > 0 {
		if err := e.groupLoss(ctx, c, cur, unknown, group.Losing, drop, now); err != nil {
			return false, err
		}
	}
	w := p.index(versioned(cur, next, now))
	if len(add)+len(drop) > 0 && cur != nil && next.UpdatedAt.Equal(cur.UpdatedAt) { // members are content of a group
		next.UpdatedAt = after(now, cur.UpdatedAt)
	}
	w.AddMembers, w.DropMembers = add, drop
	c.Records = []Write{w}
	for _, id := range slices.Concat(add, drop) {
		if group.Members[id].Kind == model.KindUser {
			c.People = append(c.People, RecordRef{p.Source, id})
		} else { // a group, or nothing that is known
			c.Review = append(c.Review, RecordRef{p.Source, id})
		}
	}
	if cur != nil && cur.DisplayName != next.DisplayName { // rules name groups: every member may be somebody else now
		c.Review = append(c.Review, RecordRef{p.Source, p.ID})
	}
	return true, nil
}

// index adds what the push says of its records, or what is usual.
func (p Push) index(w Write) Write {
	if p.Index == nil {
		return usual(w)
	}
	var was, is Index
	if w.Old != nil {
		was = p.Index(w.Old)
	}
	if w.New != nil {
		is = p.Index(w.New)
	}
	w.AddValues, w.DropValues = without(is.Values, was.Values), without(was.Values, is.Values)
	// Also when nothing changed: an attribute may have been declared unique since. Two who had the same value then can still be
	// changed, above all deactivated.
	w.Unique, w.Rekey = without(is.Unique, was.Unique), len(was.Unique)+len(is.Unique) > 0
	w.Kept = without(is.Unique, w.Unique)
	return w
}

// after is now, or just after than: clocks go back, lastModified does not.
func after(now, than time.Time) time.Time {
	if now.After(than) {
		return now
	}
	return than.Add(time.Microsecond)
}

// memberDiff reduces a change of members to those that are not members yet, and those that are.
func (e *Engine) memberDiff(ctx context.Context, source, group string, known Person, m MemberChange) (add, drop []string, err error) {
	m.Add, m.Drop = uniq(m.Add), uniq(m.Drop)
	if known.Record == nil {
		return m.Add, nil, nil
	}
	if !m.Replace && len(m.Add)+len(m.Drop) == 0 {
		return nil, nil, nil
	}
	ask := slices.Concat(m.Add, m.Drop)
	if m.Replace {
		ask = nil // all
	}
	var have []string
	unknown := func(id string) bool { _, ok := known.Members[id]; return !ok }
	if m.Replace || slices.ContainsFunc(ask, unknown) {
		if have, err = e.o.Store.MembersAmong(ctx, source, group, ask); err != nil {
			return nil, nil, err
		}
	} else {
		have = slices.DeleteFunc(ask, func(id string) bool { return !known.Members[id].In })
	}
	is := make(map[string]bool, len(have))
	for _, id := range have {
		is[id] = true
	}
	want := make(map[string]bool, len(m.Add))
	for _, id := range m.Add {
		want[id] = true
		if !is[id] {
			add = append(add, id)
		}
	}
	if m.Replace {
		m.Drop = have
	}
	for _, id := range m.Drop {
		if is[id] && !want[id] {
			drop = append(drop, id)
		}
	}
	return add, drop, nil
}

func uniq(ids []string) []string {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return slices.Compact(ids)
}

func causeText(p Push, cur, next *model.Record) string {
	switch {
	case cur == nil:
		return "created by " + p.Source
	case next == nil:
		return "deleted by " + p.Source
	case cur.Active && !next.Active:
		return "deactivated by " + p.Source
	case !cur.Active && next.Active && p.Afresh:
		return "rehired by " + p.Source + ", which sent the deactivated person as new"
	case !cur.Active && next.Active:
		return "activated by " + p.Source
	}
	return "changed by " + p.Source
}

func deref(r *model.Record) model.Record {
	if r == nil {
		return model.Record{}
	}
	return *r
}

// again repeats a step that somebody else's write made stale.
func (e *Engine) again(ctx context.Context, step func() error) error {
	const tries = 40 // some seconds
	for n := 1; ; n++ {
		err := step()
		if err == nil || !errors.Is(err, model.ErrStale) || n == tries {
			return err
		}
		if err := sleep(ctx, jitter(min(time.Duration(n)*2*time.Millisecond, 80*time.Millisecond))); err != nil {
			return err
		}
	}
}

func (e *Engine) logChange(c model.Change) {
	e.log.Info("change decided", zap.String(model.FieldIdentity, c.IdentityID), zap.String(model.FieldTarget, c.Target),
		zap.String(model.FieldOp, string(c.Op)), zap.String(model.FieldEvent, string(c.Event)), zap.String(model.FieldState, string(c.State)),
		zap.String(model.FieldSource, c.Source), zap.String(model.FieldRun, c.RunID), zap.String(model.FieldPlan, c.PlanID))
}
