package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"jmld/jml"
	"jmld/model"
)

// Case is a record and the people it may be about: what a person decides from.
type Case struct {
	Record     model.Record
	Keys       []model.Key
	Ruling     *model.Ruling // what was decided already
	Candidates []Candidate   // who has its keys, the strongest first; then who was asked for
	Digest     string        // stands for what is shown; another one when the record or a candidate changed
}

// Candidate is somebody the record may be about.
type Candidate struct {
	Person
	By []model.Key // of the record, that are theirs
}

// Judgement is a person's decision about a record.
type Judgement struct {
	Record   RecordRef
	Kind     model.RulingKind
	Identity string // RulingLink: who it is
	Digest   string // of the case as it was shown
	Actor    string
	Reason   string
}

// Judged is what came of it.
type Judged struct {
	Record   model.Record
	Identity string   // whose the record is now; "": nobody's
	Plans    []string // in which something waits for approval
}

// Case shows a record with the people it may be about, and with one who is asked for ("": nobody). ErrNotFound: no such record.
func (e *Engine) Case(ctx context.Context, ref RecordRef, with string) (Case, error) {
	loaded, err := e.o.Store.Load(ctx, []Subject{{Source: ref.Source, Record: ref.ID}})
	if err != nil {
		return Case{}, err
	}
	rec := loaded[0].Record
	if rec == nil || rec.Kind != model.KindUser {
		return Case{}, fmt.Errorf("record %s/%s: %w", ref.Source, ref.ID, model.ErrNotFound)
	}
	c := Case{Record: *rec, Keys: e.rules().Keys(*rec)}
	loaded, err = e.o.Store.Load(ctx, []Subject{{Source: ref.Source, Record: ref.ID, Keys: c.Keys}})
	if err != nil {
		return Case{}, err
	}
	found, err := e.o.Store.Rulings(ctx, []RecordRef{ref})
	if err != nil {
		return Case{}, err
	}
	if len(found) > 0 {
		c.Ruling = &found[0]
	}
	var ids []string
	by := map[string][]model.Key{}
	for _, k := range c.Keys {
		if id := loaded[0].Owners[k]; id != "" {
			by[id] = append(by[id], k)
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	for _, id := range []string{rec.IdentityID, with} {
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	people, err := e.identities(ctx, ids)
	if err != nil {
		return Case{}, err
	}
	for i, p := range people {
		if p.Identity == nil {
			return Case{}, fmt.Errorf("identity %s: %w", ids[i], model.ErrNotFound)
		}
		c.Candidates = append(c.Candidates, Candidate{Person: p, By: by[ids[i]]})
	}
	c.Digest = digest([]any{"record", rec.Source, rec.ID, rec.Version}, people)
	return c, nil
}

// identities loads people as they are.
func (e *Engine) identities(ctx context.Context, ids []string) ([]Person, error) {
	subjects := make([]Subject, len(ids))
	for i, id := range ids {
		subjects[i].Identity = id
	}
	return e.o.Store.Load(ctx, subjects)
}

// digest stands for what somebody saw: another one when any of it is written again.
func digest(what []any, people []Person) string {
	for _, p := range people {
		if p.Identity != nil {
			what = append(what, p.Identity.ID, p.Identity.Version)
		}
	}
	sum := sha256.Sum256([]byte(jml.Canonical(what)))
	return hex.EncodeToString(sum[:16])
}

// Correlate stores a person's decision about a record that is nobody's: it is somebody who is known, somebody new, or ignored. It goes
// before all rules from now on, until it is taken back. What anybody loses by it waits for approval.
func (e *Engine) Correlate(ctx context.Context, j Judgement) (Judged, error) {
	var out Judged
	err := e.mayDecide(ctx)
	if err == nil {
		err = e.again(ctx, func() (err error) {
			out, err = e.correlate(ctx, j)
			return err
		})
	}
	if err != nil {
		return Judged{}, fmt.Errorf("%s record %s/%s: %w", j.Kind, j.Record.Source, j.Record.ID, err)
	}
	return out, nil
}

func (e *Engine) correlate(ctx context.Context, j Judgement) (Judged, error) {
	e = e.pinned()
	cur, err := e.caseAsSeen(ctx, j)
	if err != nil {
		return Judged{}, err
	}
	if cur.Record.Link == model.Linked {
		return Judged{}, invalid("it is linked to %s already; split that person first, or take the decision back", cur.Record.IdentityID)
	}
	rules, now := e.rules(), e.now()
	ruling := model.Ruling{Source: j.Record.Source, RecordID: j.Record.ID, Kind: j.Kind, Keys: jml.KeyText(cur.Keys), Actor: j.Actor,
		Reason: j.Reason, At: now}
	subject := Subject{Source: j.Record.Source, Record: j.Record.ID, Keys: cur.Keys}
	switch j.Kind {
	case model.RulingLink:
		if err := e.unmerged(ctx, j.Identity); err != nil {
			return Judged{}, err
		}
		ruling.IdentityID, subject.Identity = j.Identity, j.Identity
	case model.RulingNew:
		ruling.IdentityID = model.NewID(now)
	case model.RulingIgnore:
	default:
		return Judged{}, invalid("%q is no decision about a record", j.Kind)
	}
	p, err := e.subject(ctx, subject)
	if err != nil {
		return Judged{}, err
	}
	p.Ruling = &ruling
	next := *p.Record
	d, err := e.derive(ctx, names{}, rules, p, &next, jml.Cause{Source: j.Record.Source, Record: j.Record.ID, Text: said(string(j.Kind), j.Actor, j.Reason)}, now)
	if err != nil {
		return Judged{}, err
	}
	d.cautious = true
	c := &Commit{Rules: e.policy().Fingerprint, Rulings: []model.Ruling{ruling}, Records: []Write{e.write(p.Record, d.record, now)},
		Audit: []model.AuditEntry{entryFor("correlation."+string(j.Kind), j.Record.Source, j.Record.ID, j.Actor, now, map[string]any{
			"identity": ruling.IdentityID, "reason": j.Reason, "was": cur.Record.Link, "why": cur.Record.LinkText})}}
	if d.identity != nil {
		reviewed(&d.identity.New) // its groups count from now on
	}
	if _, err := e.commitGuarded(ctx, c, d, j.Record.Source, nil, now); err != nil {
		return Judged{}, err
	}
	e.log.Info("record decided", zap.String(model.FieldSource, j.Record.Source), zap.String(model.FieldRecord, j.Record.ID),
		zap.String(model.FieldKind, string(j.Kind)), zap.String(model.FieldIdentity, ruling.IdentityID), zap.String(model.FieldActor, j.Actor))
	out := Judged{Record: *d.record, Identity: d.record.IdentityID}
	if out.Identity == "" {
		return out, nil
	}
	out.Plans, err = e.settlePeople(ctx, out.Identity)
	return out, err
}

// Uncorrelate takes a decision back: the rules say whom the record is about. Whoever had the record by it keeps what they have until
// a person approves.
func (e *Engine) Uncorrelate(ctx context.Context, j Judgement) (Judged, error) {
	var out Judged
	var from string
	err := e.mayDecide(ctx)
	if err == nil {
		err = e.again(ctx, func() (err error) {
			from, err = e.uncorrelate(ctx, j)
			return err
		})
	}
	if err == nil {
		err = e.again(ctx, func() error { return leftToOthers(e.recheck(ctx, j.Record)) })
	}
	if err == nil && from != "" {
		out.Plans, err = e.settlePeople(ctx, from)
	}
	if err == nil {
		var p Person
		if p, err = e.subject(ctx, Subject{Source: j.Record.Source, Record: j.Record.ID}); err == nil {
			out.Record, out.Identity = *p.Record, p.Record.IdentityID
		}
	}
	if err != nil {
		return Judged{}, fmt.Errorf("take back the decision about record %s/%s: %w", j.Record.Source, j.Record.ID, err)
	}
	return out, nil
}

func (e *Engine) uncorrelate(ctx context.Context, j Judgement) (from string, err error) {
	e = e.pinned()
	cur, err := e.caseAsSeen(ctx, j)
	if err != nil {
		return "", err
	}
	if cur.Ruling == nil {
		return "", invalid("nobody decided about it: %s by the rules", orNobody(cur.Record.Link))
	}
	rules, now := e.rules(), e.now()
	p, err := e.subject(ctx, Subject{Source: j.Record.Source, Record: j.Record.ID, Keys: cur.Keys})
	if err != nil {
		return "", err
	}
	next := *p.Record
	next.Link, next.IdentityID, next.LinkText = model.Disputed, "", "a decision was taken back by "+j.Actor
	c := &Commit{Rules: e.policy().Fingerprint, DropRulings: []RecordRef{j.Record}, Records: []Write{e.write(p.Record, &next, now)},
		Audit: []model.AuditEntry{entryFor("correlation.undo", j.Record.Source, j.Record.ID, j.Actor, now, map[string]any{
			"kind": cur.Ruling.Kind, "identity": cur.Ruling.IdentityID, "by": cur.Ruling.Actor, "reason": j.Reason})}}
	wait := WaitWrite{RecordRef: j.Record}
	for _, k := range cur.Keys {
		wait.Keys = append(wait.Keys, model.Wait{Source: j.Record.Source, RecordID: j.Record.ID, Name: k.Name, Value: k.Value, IdentityID: "?"})
	}
	c.Waits = []WaitWrite{wait}                         // if we die here, the next look finds it
	if p.Record.IdentityID != "" && p.Identity != nil { // whose it was keeps no key that only this record has
		w := IdentityWrite{New: *p.Identity, Expect: p.Identity.Version}
		_, rest := partition(p.Records, []RecordRef{j.Record})
		w.DropKeys = freed(rules, p.Keys, cur.Keys, rest)
		reviewed(&w.New)
		c.Identities, from = []IdentityWrite{w}, p.Identity.ID
	}
	return from, e.commit(ctx, c)
}

// caseAsSeen is the case, if it is still what the person saw.
func (e *Engine) caseAsSeen(ctx context.Context, j Judgement) (Case, error) {
	with := ""
	if j.Kind == model.RulingLink {
		with = j.Identity
	}
	c, err := e.Case(ctx, j.Record, with)
	if err != nil {
		return Case{}, err
	}
	if c.Digest != j.Digest {
		return Case{}, staleView(c.Digest, j.Digest)
	}
	return c, nil
}

// staleView has no ErrStale in it: trying again is for the person who decides.
func staleView(is, was string) error {
	return model.Errorf(model.CodeCorrelationStale, "what you saw (digest %s) is not what is there now (digest %s)", was, is)
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), model.ErrInvalid)
}

func orNobody(l model.Link) string {
	if l == "" {
		return "it is nobody's"
	}
	return "it is " + string(l)
}

func said(what, actor, reason string) string {
	text := what + " decided by " + actor
	if reason != "" {
		text += ": " + reason
	}
	return text
}

func entryFor(action, source, subject, actor string, now time.Time, detail map[string]any) model.AuditEntry {
	return model.AuditEntry{ID: model.NewID(now), At: now, Actor: actor, Action: action, Source: source, Subject: subject, Detail: jml.Canonical(detail)}
}

// reviewed has the person looked at again at once, and what they lose by it wait for approval.
func reviewed(id *model.Identity) {
	at := atOnce()
	id.ReviewAt, id.ReviewRun = &at, model.ReviewCorrelation
}

// subject loads the person of one record that is there.
func (e *Engine) subject(ctx context.Context, s Subject) (Person, error) {
	people, err := e.load(ctx, []Subject{s})
	if err != nil {
		return Person{}, err
	}
	if people[0].Record == nil {
		return Person{}, fmt.Errorf("record %s/%s: %w", s.Source, s.Record, model.ErrNotFound)
	}
	return people[0], nil
}

// settlePeople decides about people whose records a person moved, and returns the plans in which something of theirs waits. If we die before,
// the review does it.
func (e *Engine) settlePeople(ctx context.Context, ids ...string) (plans []string, err error) {
	for _, id := range ids {
		if err := e.again(ctx, func() error { return leftToOthers(e.review(ctx, id, nil)) }); err != nil {
			return nil, err
		}
	}
	people, err := e.identities(ctx, ids)
	for _, p := range people {
		for _, a := range p.Accounts {
			for _, plan := range jml.HeldIn(a) {
				if !slices.Contains(plans, plan) {
					plans = append(plans, plan)
				}
			}
		}
	}
	return plans, err
}

// leftToOthers lets a step go that other rules came in force before: what a person decided is stored, and those who have them do the rest.
func leftToOthers(err error) error {
	if errors.Is(err, ErrOtherRules) {
		return nil
	}
	return err
}

// unmerged is an error for an identity that was merged into another one.
func (e *Engine) unmerged(ctx context.Context, id string) error {
	merges, err := e.o.Store.Merges(ctx, id)
	if err != nil {
		return err
	}
	for _, m := range merges {
		if m.IdentityID == id {
			return invalid("identity %s was merged into %s", id, m.IntoID)
		}
	}
	return nil
}

// partition splits records into those that are named and the others.
func partition(records []model.Record, named []RecordRef) (in, out []model.Record) {
	for _, r := range records {
		if slices.Contains(named, RecordRef{r.Source, r.ID}) {
			in = append(in, r)
		} else {
			out = append(out, r)
		}
	}
	return in, out
}

// freed are the keys among asked that a person has and does not need for the records that rest.
func freed(rules *jml.Rules, owned, asked []model.Key, rest []model.Record) []model.Key {
	var out []model.Key
	for _, k := range asked {
		needed := slices.ContainsFunc(rest, func(r model.Record) bool { return slices.Contains(rules.Keys(r), k) })
		if !needed && slices.Contains(owned, k) && !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out
}

// readList reads a JSON column of ours.
func readList[T any](text string) (out []T, err error) {
	err = json.Unmarshal([]byte(text), &out)
	return out, err
}

// Unlinked lists user records with the outcome, ordered by source and id, after the one given.
func (e *Engine) Unlinked(ctx context.Context, link model.Link, after RecordRef, limit int) ([]model.Record, error) {
	return e.o.Store.Unlinked(ctx, link, after, limit)
}
