package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"jmld/jml"
	"jmld/jml/access"
	"jmld/model"
)

// Pair is two people side by side, before they are merged.
type Pair struct {
	Into, From Person
	Digest     string
	Both       []string // targets in which both have an account: the one of From waits for a person
	Moves      []string // targets whose account moves
}

// Merging says that two identities are one person.
type Merging struct {
	Into, From    string // the first stays
	Digest        string // of the pair as it was shown
	Actor, Reason string
}

// Splitting says that records of a person are another one's.
type Splitting struct {
	Person        string
	Records       []RecordRef
	Digest        string // of the division as it was shown
	Actor, Reason string
}

// Division is what a split would do.
type Division struct {
	Person Person
	Goes   []model.Record
	Stays  []model.Record
	Merge  *model.Merge // the merge that the split undoes: who came comes back
	Digest string
}

// Moved is what came of a merge or a split.
type Moved struct {
	Stays, Goes string   // identities: of a merge who stays and who is no more, of a split who keeps the rest and who has the records
	Accounts    []string // targets whose account moved
	Both        []string // targets in which both had one
	Plans       []string // in which something waits for approval
}

// Pair shows two people, and what a merge would do.
func (e *Engine) Pair(ctx context.Context, into, from string) (Pair, error) {
	if into == from {
		return Pair{}, invalid("identity %s is one person already", into)
	}
	people, err := e.identities(ctx, []string{into, from})
	if err != nil {
		return Pair{}, err
	}
	for i, id := range []string{into, from} {
		if people[i].Identity == nil {
			return Pair{}, fmt.Errorf("identity %s: %w", id, model.ErrNotFound)
		}
		if err := e.unmerged(ctx, id); err != nil {
			return Pair{}, err
		}
	}
	p := Pair{Into: people[0], From: people[1], Digest: digest([]any{"merge"}, people)}
	for _, a := range p.From.Accounts {
		switch {
		case slices.ContainsFunc(p.Into.Accounts, func(b model.Account) bool { return b.Target == a.Target && !vacant(b) }):
			if a.State == model.AccountActive {
				p.Both = append(p.Both, a.Target)
			}
		case movable(a):
			p.Moves = append(p.Moves, a.Target)
		}
	}
	return p, nil
}

// movable: an account is found again under another identity when its id in the target is known, or it to be there, or when nobody ever
// tried to make it. What is protected stays where it is; of one that waits to be made there is nothing to move.
func movable(a model.Account) bool {
	return a.State != model.AccountUnknown && a.Origin != model.OriginProtected && (a.NativeID != "" || a.AppliedState == model.AccountActive || a.AppliedState == model.AccountInactive || a.Epoch == 0)
}

// vacant is an account that is gone from its target, or was never there and waits to be made: whoever has only that has none. Another one takes
// its place.
func vacant(a model.Account) bool {
	gone := a.State == model.AccountAbsent && a.AppliedState == model.AccountAbsent && !a.Waits()
	return (gone || a.State == model.AccountUnknown && a.Epoch == 0) && a.Origin != model.OriginProtected
}

// Merge makes one person of two. Into stays: the records, keys, groups and history of From become theirs, and its accounts where they
// have none. Where both have one, that of From stays as it is until a person approves that it goes.
func (e *Engine) Merge(ctx context.Context, m Merging) (Moved, error) {
	var out Moved
	err := e.mayDecide(ctx)
	if err == nil {
		err = e.again(ctx, func() (err error) {
			out, err = e.merge(ctx, m)
			return err
		})
	}
	if err == nil {
		out.Plans, err = e.settlePeople(ctx, out.Stays, out.Goes)
	}
	if err != nil {
		return Moved{}, fmt.Errorf("merge identity %s into %s: %w", m.From, m.Into, inHand(err))
	}
	return out, nil
}

func (e *Engine) merge(ctx context.Context, m Merging) (Moved, error) {
	e = e.pinned()
	pair, err := e.Pair(ctx, m.Into, m.From)
	if err != nil {
		return Moved{}, err
	}
	if pair.Digest != m.Digest {
		return Moved{}, staleView(pair.Digest, m.Digest)
	}
	now, into, from := e.now(), pair.Into, pair.From
	var refs [][2]string
	for _, r := range from.Records {
		refs = append(refs, [2]string{r.Source, r.ID})
	}
	why := map[string]any{"into": m.Into, "from": m.From, "reason": m.Reason, "records": refs, "accounts": pair.Moves, "both": pair.Both}
	c := &Commit{
		Rules: e.policy().Fingerprint,
		Merges: []model.Merge{{IdentityID: m.From, IntoID: m.Into, Records: jml.Canonical(refs), Keys: jml.Canonical(from.Keys),
			Accounts: jml.Canonical(pair.Moves), Actor: m.Actor, Reason: m.Reason, At: now}},
		Audit: []model.AuditEntry{entryFor("identity.merge", "", m.Into, m.Actor, now, why), entryFor("identity.merge", "", m.From, m.Actor, now, why)},
	}
	c.Members, c.Merges[0].Access = access.Merge(access.Given(from.Access, ""), access.Given(into.Access, ""), m.Into, now)
	if err := e.mergeRequests(ctx, c, m, now); err != nil {
		return Moved{}, err
	}
	if err := e.mergeNames(ctx, c, pair); err != nil {
		return Moved{}, err
	}
	e.give(c, from.Records, m.Into, "")
	if err := e.move(ctx, c, from, m.Into, pair.Moves); err != nil {
		return Moved{}, err
	}
	for _, a := range into.Accounts { // what waits to be made is there by now
		if slices.Contains(pair.Moves, a.Target) {
			if err := e.withdrawHeld(ctx, c, a, "account moved", now); err != nil {
				return Moved{}, err
			}
		}
	}
	stays, goes := IdentityWrite{New: *into.Identity, Expect: into.Identity.Version}, IdentityWrite{New: *from.Identity, Expect: from.Identity.Version}
	stays.AddKeys, goes.DropKeys = from.Keys, from.Keys
	reviewed(&stays.New)
	reviewed(&goes.New)
	c.Identities = []IdentityWrite{stays, goes}
	if err := e.commit(ctx, c); err != nil {
		return Moved{}, err
	}
	e.log.Info("identities merged", zap.String(model.FieldIdentity, m.Into), zap.String("from", m.From), zap.String(model.FieldActor, m.Actor))
	return Moved{Stays: m.Into, Goes: m.From, Accounts: pair.Moves, Both: pair.Both}, nil
}

// Divide shows what a split would do.
func (e *Engine) Divide(ctx context.Context, person string, records []RecordRef) (Division, error) {
	people, err := e.identities(ctx, []string{person})
	if err != nil {
		return Division{}, err
	}
	p := people[0]
	if p.Identity == nil {
		return Division{}, fmt.Errorf("identity %s: %w", person, model.ErrNotFound)
	}
	d := Division{Person: p, Digest: digest([]any{"split", refPairs(records)}, people)}
	d.Goes, d.Stays = partition(p.Records, records)
	for _, ref := range records {
		if !slices.ContainsFunc(d.Goes, func(r model.Record) bool { return r.Source == ref.Source && r.ID == ref.ID }) {
			return Division{}, fmt.Errorf("record %s/%s of identity %s: %w", ref.Source, ref.ID, person, model.ErrNotFound)
		}
	}
	merges, err := e.o.Store.Merges(ctx, person)
	if err != nil {
		return Division{}, err
	}
	for i, m := range merges {
		brought, err := readList[[2]string](m.Records)
		if err != nil {
			return Division{}, fmt.Errorf("merge of identity %s: records: %w", m.IdentityID, err)
		}
		same := func(r model.Record) bool { return slices.Contains(brought, [2]string{r.Source, r.ID}) }
		if m.IntoID == person && d.Merge == nil && !slices.ContainsFunc(d.Stays, same) &&
			!slices.ContainsFunc(d.Goes, func(r model.Record) bool { return !same(r) }) && len(d.Goes) > 0 {
			d.Merge = &merges[i]
		}
	}
	if d.Merge == nil && (len(d.Goes) == 0 || len(d.Stays) == 0) {
		return Division{}, invalid("a split leaves at least one record on each side")
	}
	return d, nil
}

// Split gives records of a person to another one: to whom they belonged before a merge, with the accounts that came along, if they are
// all of theirs; else to somebody new. Their keys go with them. What anybody loses by it waits for approval.
func (e *Engine) Split(ctx context.Context, s Splitting) (Moved, error) {
	var out Moved
	err := e.mayDecide(ctx)
	if err == nil {
		err = e.again(ctx, func() (err error) {
			out, err = e.split(ctx, s)
			return err
		})
	}
	if err == nil {
		out.Plans, err = e.settlePeople(ctx, out.Goes, out.Stays)
	}
	if err != nil {
		return Moved{}, fmt.Errorf("split identity %s: %w", s.Person, inHand(err))
	}
	return out, nil
}

func (e *Engine) split(ctx context.Context, s Splitting) (Moved, error) {
	e = e.pinned()
	d, err := e.Divide(ctx, s.Person, s.Records)
	if err != nil {
		return Moved{}, err
	}
	if d.Digest != s.Digest {
		return Moved{}, staleView(d.Digest, s.Digest)
	}
	rules, now := e.rules(), e.now()
	var asked []model.Key
	for _, r := range d.Goes {
		asked = append(asked, rules.Keys(r)...)
	}
	other := IdentityWrite{New: model.Identity{ID: model.NewID(now), Lifecycle: model.Suspended, Attrs: "{}", Provenance: "{}", CreatedAt: now, UpdatedAt: now,
		Separated: d.Person.Identity.Separated}} // nothing of theirs was there before the rules
	c := &Commit{Rules: e.policy().Fingerprint}
	var moves []string
	if d.Merge != nil {
		back, err := e.identities(ctx, []string{d.Merge.IdentityID})
		if err != nil {
			return Moved{}, err
		}
		if back[0].Identity == nil {
			return Moved{}, fmt.Errorf("identity %s: %w", d.Merge.IdentityID, model.ErrNotFound)
		}
		other = IdentityWrite{New: *back[0].Identity, Expect: back[0].Identity.Version}
		keys, err := readList[model.Key](d.Merge.Keys)
		if err != nil {
			return Moved{}, fmt.Errorf("merge of identity %s: keys: %w", d.Merge.IdentityID, err)
		}
		asked = append(asked, keys...)
		targets, err := readList[string](d.Merge.Accounts)
		if err != nil {
			return Moved{}, fmt.Errorf("merge of identity %s: accounts: %w", d.Merge.IdentityID, err)
		}
		for _, t := range targets {
			is := func(a model.Account) bool { return a.Target == t }
			if k := slices.IndexFunc(d.Person.Accounts, is); k >= 0 && movable(d.Person.Accounts[k]) && !slices.ContainsFunc(back[0].Accounts, is) {
				moves = append(moves, t)
			}
		}
		c.Unmerge = []model.Merge{*d.Merge}
		if c.Members, err = access.Split(d.Merge.Access, access.Given(d.Person.Access, d.Merge.IdentityID), access.Given(back[0].Access, "")); err != nil {
			return Moved{}, err
		}
		if err := e.splitRequests(ctx, c, *d.Merge, s.Actor, now); err != nil {
			return Moved{}, err
		}
		if err := e.splitNames(ctx, c, d.Person, *d.Merge, moves); err != nil {
			return Moved{}, err
		}
	}
	keys := freed(rules, d.Person.Keys, asked, d.Stays)
	for _, r := range d.Goes {
		c.Rulings = append(c.Rulings, model.Ruling{Source: r.Source, RecordID: r.ID, Kind: model.RulingLink, IdentityID: other.New.ID,
			Keys: jml.KeyText(rules.Keys(r)), Actor: s.Actor, Reason: s.Reason, At: now})
	}
	why := map[string]any{"from": s.Person, "into": other.New.ID, "reason": s.Reason, "records": refPairs(s.Records), "accounts": moves, "memberships": len(c.Members.Put)}
	c.Audit = append(c.Audit, entryFor("identity.split", "", s.Person, s.Actor, now, why), entryFor("identity.split", "", other.New.ID, s.Actor, now, why))
	by := "decided by " + s.Actor
	if d.Merge != nil {
		by = "" // they are whose they were
	}
	e.give(c, d.Goes, other.New.ID, by)
	if err := e.move(ctx, c, d.Person, other.New.ID, moves); err != nil {
		return Moved{}, err
	}
	rest := IdentityWrite{New: *d.Person.Identity, Expect: d.Person.Identity.Version, DropKeys: keys}
	other.AddKeys = keys
	reviewed(&rest.New)
	reviewed(&other.New)
	c.Identities = []IdentityWrite{rest, other}
	if err := e.commit(ctx, c); err != nil {
		return Moved{}, err
	}
	e.log.Info("identity split", zap.String(model.FieldIdentity, s.Person), zap.String("into", other.New.ID), zap.String(model.FieldActor, s.Actor))
	return Moved{Stays: s.Person, Goes: other.New.ID, Accounts: moves}, nil
}

// give makes the records somebody else's. by says who decided that it is this person, "" when it is as it was.
func (e *Engine) give(c *Commit, records []model.Record, to, by string) {
	for i := range records {
		next := records[i]
		next.IdentityID, next.LinkText = to, cmp.Or(by, next.LinkText)
		c.Records = append(c.Records, e.write(&records[i], &next, e.now()))
	}
}

// move gives accounts in the targets to somebody else. What waits about them is decided anew.
func (e *Engine) move(ctx context.Context, c *Commit, from Person, to string, targets []string) error {
	now := e.now()
	for _, t := range targets {
		c.MoveAccounts = append(c.MoveAccounts, AccountMove{From: from.Identity.ID, To: to, Target: t})
		i := slices.IndexFunc(from.Accounts, func(a model.Account) bool { return a.Target == t })
		if i < 0 {
			continue
		}
		if err := e.withdrawHeld(ctx, c, from.Accounts[i], "account moved", now); err != nil {
			return err
		}
	}
	return nil
}

// withdrawHeld withdraws what waits about the account.
func (e *Engine) withdrawHeld(ctx context.Context, c *Commit, a model.Account, why string, now time.Time) error {
	if !a.Waits() {
		return nil
	}
	for _, plan := range jml.HeldIn(a) {
		waiting, err := e.waitingOf(ctx, plan, a.IdentityID, a.Target)
		if err != nil {
			return err
		}
		for _, w := range waiting {
			c.Decided = append(c.Decided, decided(w, model.ChangeWithdrawn, why, now))
		}
	}
	return nil
}

func refPairs(refs []RecordRef) [][2]string {
	out := make([][2]string, len(refs))
	for i, r := range refs {
		out[i] = [2]string{r.Source, r.ID}
	}
	return out
}

// inHand explains a move that did not succeed however often it was tried.
func inHand(err error) error {
	if errors.Is(err, model.ErrStale) && !errors.Is(err, ErrOtherRules) {
		return model.Errorf(model.CodeCorrelationStale, "a worker has one of the accounts in hand, or somebody writes to these people; try again: %w", err)
	}
	return err
}
