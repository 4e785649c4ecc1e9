package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"jmld/jml"
	"jmld/model"
)

// reading is one run over one source.
//
//	supersede what a dead run left open
//	-> stream: compare id and hash with the snapshot; changed users are decided in chunks at once
//	-> who is not listed by a complete read is looked for one by one
//	-> missing people: gone only by evidence, or when missing often and long enough
//	-> groups, after the proof: only a complete read may take a member away, and no member that is merely missing
//	-> disputed people once more: somebody may have given up the key, or be absent
//	-> people whose groups changed
//	-> the guard judges everything that would be taken away, as a whole; the rest is committed already
type reading struct {
	engine   *Engine // whose policy may be replaced
	e        *Engine // with the policy of the step
	source   string
	run      *model.Run
	rules    *jml.Rules
	progress func(model.Funnel)
	absence  Absence
	mode     model.Mode
	epoch    *epoch

	known    *snapshot       // in the store, or seen
	reported map[string]bool // known, and said to be missing: true when said to be deleted
	batch    []model.Entry   // changed users
	underway *staged         // is being stored
	groups   []model.Entry   // changed groups
	disputed []model.Entry   // users whose keys are other people's, so far
	dangling []model.Entry   // users with references that may be to somebody who is missing
	referred bool            // that is known
	proof    model.Proof
	funnel   model.Funnel
	phases   phases
	leavers  collection      // what takes something away
	moves    collection      // what changes accounts that exist
	counted  *figures        // what the guard compares both with
	joins    collection      // who gets an account
	held     []model.Plan    // what waits for approval, a plan for each brake
	stored   map[string]bool // plans that are in the store
	leaving  map[string]bool // identities that would lose something
	waiting  map[string]bool // identities that are absent, and wait in a plan of an earlier run
	cautious bool            // somebody leaves by what a person decided about whom records are
	due      []string        // other sources of people who are due for review and would lose something
	gone     map[string]bool // absent user records
	renewed  int             // known people under new ids

	sightings  map[string]model.Sighting // of what is not listed
	unanswered int                       // of them
	unlisted   int                       // found where they should have been listed
	there      []string                  // known, not listed or not stored, and there all the same
	refused    bool                      // the store refused an entry that another read may bring in
	tooMany    string                    // are missing to look for each, in words
}

// mostDisputed bounds the memory of entries that are tried again at the end of the run; the others wait for the next one.
const mostDisputed = 10_000

// follow begins a step: it is made by the policy of this moment. What an earlier step decided by another one is decided again before the run
// lets it go.
func (rd *reading) follow() {
	rd.e = rd.engine.pinned()
	rd.rules = rd.e.rules()
}

// again makes a step, once more when somebody else's write made it stale.
func (rd *reading) again(ctx context.Context, step func() error) error {
	return rd.engine.again(ctx, func() error {
		rd.follow()
		return step()
	})
}

func (rd *reading) execute(ctx context.Context, src Source) (err error) {
	rd.known, rd.leaving, rd.waiting, rd.gone, rd.stored = newSnapshot(), map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	rd.reported = map[string]bool{}
	if err := rd.supersede(ctx); err != nil {
		return fmt.Errorf("take over from an earlier run: %w", err)
	}
	var end func()
	defer func() {
		if end != nil {
			end()
		}
	}()
	defer func() { err = errors.Join(err, rd.wait()) }() // one that ends by an error may have something under way
	err = rd.e.o.Store.Hashes(ctx, rd.source, func(id []byte, kind model.Kind, hash []byte) error {
		if rd.known.set(rd.known.addBytes(id, kind), hash); end == nil && rd.known.len() >= manyKnown {
			end = rd.e.o.Heap.thrift()
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("load the snapshot: %w", err)
	}
	if rd.epoch, err = rd.openEpoch(ctx, src); err != nil {
		return fmt.Errorf("load the checkpoint: %w", err)
	}
	rd.proof, err = rd.read(ctx, src)
	if err == nil && !rd.proof.Unlisted && rd.proof.Complete && (rd.proof.Users == 0 || rd.funnel.Users == 0) {
		err = model.Errorf(model.CodeSourceEmpty, "the directory answered with nobody")
	}
	if err != nil {
		rd.proof.Complete = false
		if ctx.Err() != nil || errors.Is(err, model.ErrUnavailable) {
			return err
		}
		rd.groups = nil                         // of a group everything is known or nothing
		return errors.Join(err, rd.decide(ctx)) // what was read is true of who was read
	}
	for _, s := range rd.proof.Skipped { // unusable is not absent
		if k := rd.known.find(s.ID); k != nil {
			k.note(wasSeen)
			rd.there = append(rd.there, s.ID)
		}
	}
	rd.funnel.Skipped += len(rd.proof.Skipped)
	if err := rd.flush(ctx); err != nil {
		return err
	}
	if err := rd.confirm(ctx, src); err != nil {
		return err
	}
	if err := rd.decide(ctx); err != nil {
		return err
	}
	if err := rd.keepCheckpoint(ctx); err != nil {
		return fmt.Errorf("store the checkpoint: %w", err)
	}
	if rd.unanswered+rd.unlisted > 0 {
		rd.proof.Complete = false
	}
	return nil
}

// decide does what follows the stream.
func (rd *reading) decide(ctx context.Context) error {
	if err := rd.flush(ctx); err != nil {
		return err
	}
	if rd.proof.Complete {
		if err := rd.storeAbsent(ctx); err != nil {
			return err
		}
	}
	if err := rd.storeDangling(ctx); err != nil {
		return err
	}
	if err := rd.storeGroups(ctx); err != nil {
		return err
	}
	if err := rd.storeThere(ctx); err != nil {
		return err
	}
	if err := rd.retryDisputed(ctx); err != nil {
		return err
	}
	if err := rd.review(ctx); err != nil {
		return err
	}
	if err := rd.judge(ctx); err != nil {
		return err
	}
	return rd.dropAbsent(ctx)
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
		if err := rd.e.supersede(ctx, p, rd.run.Job); err != nil {
			return err
		}
	}
	return nil
}

// entry takes one entry of the stream. One that comes twice is looked at once.
func (rd *reading) entry(ctx context.Context, en model.Entry) error {
	k := rd.known.find(en.ID)
	if rd.meet(k, en.Kind, en.Hash) {
		return nil
	}
	k = rd.known.add(en.ID, en.Kind)
	rd.known.set(k, en.Hash)
	k.note(wasSeen)
	if en.Kind == model.KindGroup {
		rd.groups = append(rd.groups, en)
		return nil
	}
	rd.batch = append(rd.batch, en)
	for len(rd.batch) >= chunk {
		if err := rd.next(ctx); err != nil {
			return err
		}
	}
	return nil
}

// listing is what a Comparing source may ask the run.
type listing struct {
	rd      *reading
	doubted bool
}

func (l listing) Doubted() bool { return l.doubted }

func (l listing) Same(kind model.Kind, id, hash []byte) bool {
	k := l.rd.known.findBytes(id)
	return k != nil && l.rd.known.same(k, hash) && l.rd.meet(k, kind, hash)
}

func (l listing) Has(id []byte) bool {
	return l.rd.known.findBytes(id) != nil
}

func (l listing) IDs() *model.IDs { return &l.rd.known.ids }

func (l listing) Lacks(kind model.Kind) bool {
	for _, k := range l.rd.known.all() {
		if !k.has(wasSeen) && k.of(kind) {
			return true
		}
	}
	return false
}

// meet counts an entry, of which k is known, or nil, and says whether that is all there is to do.
func (rd *reading) meet(k *known, kind model.Kind, hash []byte) bool {
	if k != nil && k.has(wasListed) { // counted already, as one that is unchanged
		k.drop(wasSeen | wasListed)
		rd.funnel.Unchanged--
	} else {
		rd.countListed(kind)
	}
	if rd.progress != nil && (rd.funnel.Users+rd.funnel.Groups)%500 == 0 {
		rd.progress(rd.funnel)
	}
	if k == nil || !rd.known.same(k, hash) {
		return false
	}
	if !k.has(wasSeen) {
		rd.funnel.Unchanged++
	}
	k.note(wasSeen)
	return true
}

func (rd *reading) countListed(kind model.Kind) {
	if kind == model.KindUser {
		rd.funnel.Users++
	} else {
		rd.funnel.Groups++
	}
}

// absent lists the ids of the kind that the store has and the read did not see.
func (rd *reading) absent(kind model.Kind) []string {
	if rd.proof.Unlisted {
		var ids []string
		for id := range rd.reported {
			if rd.known.find(id).of(kind) && rd.missing(id) {
				ids = append(ids, id)
			}
		}
		return sorted(ids)
	}
	return sorted(rd.known.list(func(k *known) bool { return !k.has(wasSeen) && k.of(kind) }))
}

// missing says whether the store has the entry and the read did not see it where it should be.
func (rd *reading) missing(id string) bool {
	k := rd.known.find(id)
	_, reported := rd.reported[id]
	return k != nil && !k.has(wasSeen) && (reported || !rd.proof.Unlisted)
}

// retryDisputed looks once more at entries whose keys were other people's when they were read: the order of a directory's
// entries must not matter, and an entry that was deleted and made again is the same person.
func (rd *reading) retryDisputed(ctx context.Context) error {
	if len(rd.disputed) == 0 {
		return nil
	}
	rd.funnel.Disputed -= len(rd.disputed)
	rd.batch, rd.disputed = rd.disputed, nil
	return rd.flush(ctx)
}

// review decides about the people whose groups the run changed. They are the run's until reviewLease ends.
func (rd *reading) review(ctx context.Context) error {
	const page = 20 * chunk
	for last := ""; ; {
		ids, err := rd.e.o.Store.ReviewsOf(ctx, rd.run.Job, last, page)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			_, err := rd.land(ctx)
			return err
		}
		for part := range slices.Chunk(ids, chunk) {
			rd.follow()
			err := rd.ahead(ctx, nil, func(ctx context.Context) (*staged, error) { return rd.stageReview(ctx, part) }, func(ctx context.Context) error {
				return rd.again(ctx, func() error { return rd.reviewChunk(ctx, part) })
			})
			if err != nil {
				return err
			}
		}
		last = ids[len(ids)-1]
	}
}

// reviewChunk is one transaction.
func (rd *reading) reviewChunk(ctx context.Context, ids []string) error {
	s, err := rd.stageReview(ctx, ids)
	if err != nil {
		return err
	}
	return rd.store(ctx, s)
}

// stageReview decides about them.
func (rd *reading) stageReview(ctx context.Context, ids []string) (*staged, error) {
	e, now := rd.e, rd.e.now()
	people, err := e.loadIdentities(ctx, ids)
	if err != nil {
		return nil, err
	}
	c, t, given := &Commit{}, &tally{}, rd.underway.given()
	for _, p := range people {
		if p.Identity == nil {
			continue
		}
		t.Reviewed++
		d, err := e.derive(ctx, given, rd.rules, p, nil, jml.Cause{Source: rd.source, Text: "groups changed in " + rd.source}, now)
		if err != nil {
			return nil, err
		}
		if err := rd.stage(ctx, c, d, now, t); err != nil {
			return nil, err
		}
	}
	return &staged{c: c, t: t}, nil
}
