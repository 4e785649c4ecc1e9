package engine

import (
	"context"
	"maps"
	"slices"
	"time"

	"jmld/jml"
	"jmld/jml/access"
	"jmld/model"
)

// draft is what one person's decision adds to a commit, before the guard has spoken.
type draft struct {
	identity  *IdentityWrite // nil: the record is about nobody yet
	record    *model.Record  // the record as it will be stored; nil: deleted, or none
	steps     []jml.Step
	settled   []jml.Settled // held changes that lost their cause
	findings  []model.Change
	marks     []model.Account // accounts of which only the privileges are known better
	suspect   string          // as it was before the decision, see model.Identity
	ended     string          // the organisation whose engagement is over, when that is why
	due       []string        // sources of somebody who is due for review: a run that died may have changed what they rest on
	short     bool            // somebody else has a key that the record has, too
	wait      *WaitWrite      // for which keys the record waits from now on
	cautious  bool            // a person moved records or accounts: what is lost by it waits for approval
	names     []model.AccountName
	asks      []jml.NameKey // whose these are has to be known first
	owned     []string      // apps that a leaver owns
	members   access.Step   // of their memberships
	demoted   []string      // targets in which the marks make an administrator of somebody no more
	postponed bool          // see postpone
	managed   []RecordRef   // whose reports have to be looked at again
}

// postpone leaves everything about the person as it is but whose keys these are, and has others decide.
func (d draft) postpone(p Person) draft {
	out := draft{record: d.record, wait: d.wait, short: d.short, managed: d.managed, postponed: true}
	if d.identity == nil {
		return out
	}
	w := IdentityWrite{New: d.identity.New, Expect: d.identity.Expect, AddKeys: d.identity.AddKeys}
	if p.Identity != nil && p.Identity.ID == w.New.ID {
		w.New = *p.Identity
	} else { // new: nothing of it was decided
		w.New.Entitlements, w.New.Findings = "", ""
	}
	w.New.Rules = ""
	out.identity = &w
	out.reviewBy(atOnce(), "")
	return out
}

// load loads people. The keys that were asked for and belong to nobody are in Owners, too, as "".
func (e *Engine) load(ctx context.Context, subjects []Subject) ([]Person, error) {
	people, err := e.o.Store.Load(ctx, subjects)
	if err != nil {
		return nil, err
	}
	for i, s := range subjects {
		for _, k := range s.Keys {
			if _, ok := people[i].Owners[k]; !ok {
				people[i].Owners[k] = ""
			}
		}
	}
	if err := e.plantTrees(ctx, people); err != nil {
		return nil, err
	}
	if err := e.countAdministrators(ctx, people); err != nil {
		return nil, err
	}
	if err := e.loadManagers(ctx, people); err != nil {
		return nil, err
	}
	return people, e.loadRulings(ctx, subjects, people)
}

// loadIdentities loads people by identity, in order. Keys of their records that they do not own are asked for: they may be
// free by now.
func (e *Engine) loadIdentities(ctx context.Context, ids []string) ([]Person, error) {
	subjects := make([]Subject, len(ids))
	for i, id := range ids {
		subjects[i].Identity = id
	}
	people, err := e.load(ctx, subjects)
	if err != nil {
		return nil, err
	}
	rules, missing := e.rules(), false
	for i, p := range people {
		for _, rec := range p.Records {
			for _, k := range rules.Keys(rec) {
				if rec.AbsentSince == nil && !slices.Contains(p.Keys, k) {
					subjects[i].Keys, missing = append(subjects[i].Keys, k), true
				}
			}
		}
	}
	if !missing {
		return people, nil
	}
	return e.load(ctx, subjects)
}

// decide decides about one person. next is the subject's record as it will be, nil when it goes away or when there is none
// (a review). The person must have been loaded with all keys of next.
func (e *Engine) decide(r *jml.Rules, p Person, next *model.Record, cause jml.Cause, now time.Time, names map[jml.NameKey]string) draft {
	d := draft{}
	records := slices.Clone(p.Records)
	if p.Record != nil {
		records = slices.DeleteFunc(records, func(x model.Record) bool { return x.Source == p.Record.Source && x.ID == p.Record.ID })
	}
	if next != nil {
		rec := *next
		if p.Record != nil {
			rec.IdentityID = p.Record.IdentityID
		}
		keys := r.Keys(rec)
		m, ruled := jml.Ruled(rec, keys, p.Ruling)
		if !ruled {
			m = r.Correlate(rec, keys, p.Owners, p.Keys, records)
		}
		rec.Link, rec.LinkText, rec.IdentityID = m.Link, "", m.Identity
		switch {
		case ruled:
			rec.LinkText = m.Text
		case p.Record != nil && p.Record.Link == model.Linked:
			rec.LinkText = p.Record.LinkText
		}
		d.record = &rec
		if m.Link != model.Linked {
			rec.LinkText = m.Text
			if m.Link == model.Disputed && (p.Record == nil || p.Record.LinkText != m.Text) {
				d.findings = []model.Change{disputed(rec, cause, now)}
			}
			d.wait = waitFor(rec, keys, p)
			if asksManagers(r) {
				d.managed = d.reports(p, nil, now)
			}
			return d
		}
		if p.Record != nil && p.Record.Link != model.Linked {
			d.wait = &WaitWrite{RecordRef: RecordRef{rec.Source, rec.ID}}
		}
		if rec.IdentityID == "" {
			rec.IdentityID = model.NewID(now)
		}
		records = append(records, rec)
	}
	identity := p.Identity
	id := ""
	switch {
	case d.record != nil:
		id = d.record.IdentityID
	case identity != nil:
		id = identity.ID
	default:
		return d // a record that was about nobody goes away
	}
	if identity == nil || identity.ID != id { // a new person: nothing of anybody else's counts
		identity = nil
		p = Person{Record: p.Record, Owners: p.Owners, Access: byFreeKeys(p), Tree: p.Tree, TreeFrame: p.TreeFrame, Managers: p.Managers}
		records = slices.DeleteFunc(records, func(x model.Record) bool { return x.IdentityID != id })
	}
	out := r.Decide(jml.Situation{Now: now, ID: id, Identity: identity, Records: records, Keys: p.Keys, Groups: p.Groups,
		Accounts: p.Accounts, Access: access.NewView(p.Tree, p.Access, now), Administrators: p.Administrators, Names: names, Managers: p.Managers, Cause: cause})
	d.names, d.asks = out.Names, out.Asks
	d.owned, d.members = out.Owned, out.Memberships
	d.steps, d.settled, d.findings, d.marks, d.ended = out.Steps, out.Settled, out.Findings, out.Marks, out.Ended
	for _, m := range d.marks {
		if i := slices.IndexFunc(p.Accounts, func(a model.Account) bool { return a.Target == m.Target }); i >= 0 && demotes(p.Accounts[i], m) {
			d.demoted = append(d.demoted, m.Target)
		}
	}
	d.identity = &IdentityWrite{New: out.Identity, DropKeys: out.DropKeys}
	d.identity.New.Rules = e.policy().Fingerprint
	d.identity.Audit, d.identity.Given = byRight(identity, &out.Identity, p.TreeFrame, cause, now)
	for _, k := range out.AddKeys {
		switch owner, asked := p.Owners[k]; {
		case owner != "" && owner != id:
			d.short = true // it stays theirs
		case asked: // of the others we do not know whose they are
			d.identity.AddKeys = append(d.identity.AddKeys, k)
		}
	}
	if identity != nil {
		d.identity.Expect, d.cautious = identity.Version, identity.ReviewRun == model.ReviewCorrelation
		d.suspect = identity.Suspect
		if identity.ReviewRun != "" || identity.ReviewAt != nil && !identity.ReviewAt.After(now.Add(reviewLease)) {
			for _, rec := range records {
				d.due = append(d.due, rec.Source)
			}
		}
	}
	if asksManagers(r) {
		d.managed = d.reports(p, records, now)
	}
	return d
}

// reviewBy has the person looked at again at that time, or sooner when a date of theirs comes before.
func (d draft) reviewBy(at time.Time, run string) {
	if id := &d.identity.New; id.ReviewAt == nil || id.ReviewAt.After(at) {
		id.ReviewAt = &at
	}
	if d.identity.New.ReviewRun != model.ReviewCorrelation { // what a person loses by that waits, whoever looks
		d.identity.New.ReviewRun = run
	}
}

func disputed(rec model.Record, cause jml.Cause, now time.Time) model.Change {
	why := model.Reason{Text: rec.LinkText, Source: rec.Source, Record: rec.ID, At: now}
	who := rec.DisplayName
	if who == "" {
		who = rec.UserName
	}
	return model.Change{Source: cause.Source, Who: who, Op: model.OpFinding, Because: jml.Canonical(why),
		Code: model.CodeCorrelationDisputed, State: model.ChangeNoted, At: now}
}

// stage adds the draft to a commit. Steps wait where the router says, and of an update a part; all others become desired now.
func (e *Engine) stage(c *Commit, d draft, run string, now time.Time, to router) {
	if d.identity != nil {
		c.Identities = append(c.Identities, *d.identity)
		if !d.postponed {
			c.Rules = e.policy().Fingerprint
		}
	}
	if d.wait != nil {
		c.Waits = append(c.Waits, *d.wait)
	}
	c.Reports = append(c.Reports, d.managed...)
	for _, f := range d.findings {
		f.ID, f.RunID = model.NewID(now), run
		c.Changes = append(c.Changes, f)
	}
	c.Names = append(c.Names, d.names...)
	for _, over := range d.settled {
		c.Accounts = append(c.Accounts, over.Account) // a step writes it once more, and the last one counts
	}
	for _, s := range d.steps {
		rest, waits := divide(s, to)
		for _, ch := range waits {
			ch.ID, ch.RunID = model.NewID(now), run
			c.Changes = append(c.Changes, ch)
		}
		acct := rest.Account
		if acct.Class == "" {
			acct.Class = e.class(acct.Target)
		}
		if rest.Change.Op != "" {
			rest.Change.ID, rest.Change.RunID, rest.Change.State = model.NewID(now), run, model.ChangeCommitted
			acct.Class = e.class(acct.Target)
			c.Changes = append(c.Changes, rest.Change)
		}
		c.Accounts = append(c.Accounts, acct)
		if s.Before != nil && demotes(*s.Before, acct) {
			c.Administrators = append(c.Administrators, acct.Target)
		}
	}
	c.Accounts, c.Administrators = append(c.Accounts, d.marks...), append(c.Administrators, d.demoted...)
}

// divide splits a step into what waits in plans and the rest, whose change has no Op when nothing is left to do.
func divide(s jml.Step, to router) (rest jml.Step, waits []model.Change) {
	if s.Change.Op != model.OpUpdate {
		plan, state := to(s, "")
		if plan == "" {
			return s, nil
		}
		ch := s.Change
		ch.PlanID, ch.State = plan, state
		was := model.Account{IdentityID: s.Account.IdentityID, Target: s.Account.Target, Origin: s.Account.Origin, Priority: s.Account.Priority}
		if s.Before != nil {
			was = *s.Before
		}
		s.Account, s.Change.Op = was, ""
		s.Account.HeldPlan = plan
		return s, []model.Change{ch}
	}
	marks, states := map[string][]string{}, map[string]model.ChangeState{}
	for _, mark := range marksOf(s) {
		if plan, state := to(s, mark); plan != "" {
			marks[plan], states[plan] = append(marks[plan], mark), state
		}
	}
	for _, plan := range slices.Sorted(maps.Keys(marks)) {
		var later model.Change
		s, later = s.Divide(marks[plan], plan)
		later.PlanID, later.State = plan, states[plan]
		waits = append(waits, later)
	}
	if len(waits) > 0 && s.Change.Attrs == "" {
		s.Change.Op = ""
	}
	return s, waits
}

func (d draft) leaves() bool {
	return slices.ContainsFunc(d.steps, func(s jml.Step) bool { return s.Change.Op.Leaves() })
}

func (e *Engine) class(target string) model.Class {
	for _, t := range e.policy().Targets {
		if t.Target.Name() == target {
			return t.Class
		}
	}
	return ""
}

// write completes a record that is about to be stored: version, times and the side table.
func (e *Engine) write(old, next *model.Record, now time.Time) Write {
	return usual(versioned(old, next, now))
}

// versioned is the write without the values.
func versioned(old, next *model.Record, now time.Time) Write {
	if next != nil {
		next.Version, next.CreatedAt, next.UpdatedAt = 1, now, now
		if old != nil {
			next.Version, next.CreatedAt = old.Version+1, old.CreatedAt
			next.UpdatedAt = after(now, old.UpdatedAt)
			if sameContent(old, next) {
				next.UpdatedAt = old.UpdatedAt
			}
		}
	}
	return Write{Old: old, New: next}
}

// usual adds the values that records are found by where nobody says others.
func usual(w Write) Write {
	var was, is []model.Value
	if w.Old != nil {
		was = values(w.Old)
	}
	if w.New != nil {
		is = values(w.New)
	}
	w.AddValues, w.DropValues = without(is, was), without(was, is)
	return w
}

func without[T comparable](a, b []T) []T {
	return slices.DeleteFunc(slices.Clone(a), func(v T) bool { return slices.Contains(b, v) })
}

func values(r *model.Record) []model.Value {
	if r.Kind != model.KindUser {
		return nil
	}
	return model.Values(jml.Decode(r.Attrs), jml.Fold)
}

// sameContent compares what the source said.
func sameContent(a, b *model.Record) bool {
	return a.Attrs == b.Attrs && a.UserName == b.UserName && a.DisplayName == b.DisplayName && a.Active == b.Active && a.UniqueKey == b.UniqueKey &&
		model.Cut(a.ExternalID, model.MaxKey) == model.Cut(b.ExternalID, model.MaxKey) // as it is stored
}
