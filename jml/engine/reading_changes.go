package engine

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"jmld/model"
)

// epoch is what the run begins with: up to where the source was read, and whether its configuration lists the same as then.
type epoch struct {
	model.Checkpoint
	never   bool   // it was never read completely
	server  string // that was read last; "": not known
	changed string // what the configuration has changed since, in words; "": nothing
}

// openEpoch loads the checkpoint and compares profiles. A source that was never read has nothing to compare with.
func (rd *reading) openEpoch(ctx context.Context, src Source) (*epoch, error) {
	cp, err := rd.e.o.Store.Checkpoint(ctx, rd.source)
	if err != nil && !errors.Is(err, model.ErrNotFound) {
		return nil, err
	}
	ep := &epoch{Checkpoint: cp, never: err != nil}
	if err == nil && cp.Profile != src.Profile() {
		ep.changed, ep.Mark = differing(cp.Profile, src.Profile()), ""
	}
	if !ep.never {
		run, err := rd.e.o.Store.Run(ctx, cp.RunID)
		if err != nil && !errors.Is(err, model.ErrNotFound) {
			return nil, err
		}
		var last model.Proof
		if json.Unmarshal([]byte(run.Proof), &last) == nil { // a run that died before it was written down has none
			ep.server = last.Server
		}
	}
	ep.Source, ep.Profile, ep.RunID = rd.source, src.Profile(), rd.run.ID
	return ep, nil
}

// differing names the keys that two profiles have different texts under.
func differing(a, b string) string {
	var was, is map[string]string
	if json.Unmarshal([]byte(a), &was) != nil || json.Unmarshal([]byte(b), &is) != nil {
		return "the configuration"
	}
	all := maps.Clone(is)
	maps.Copy(all, was)
	keys := slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(k string) bool { return was[k] == is[k] })
	if len(keys) == 0 {
		return "the configuration"
	}
	return strings.Join(keys, ", ")
}

// read reads as much as the mode asks for, or everything where less would leave a doubt.
func (rd *reading) read(ctx context.Context, src Source) (model.Proof, error) {
	emit := func(en model.Entry) error { return rd.entry(ctx, en) }
	why := ""
	if inc, ok := src.(Incremental); ok && rd.mode != model.ModeFull {
		switch {
		case rd.epoch.changed != "":
			why = rd.epoch.changed + " changed"
		case rd.epoch.never, rd.epoch.Mark == "" && rd.mode == model.ModeDelta:
			why = "there is no full read to go on from"
		default:
			proof, err := inc.Changes(ctx, question{rd}, emit)
			var doubt *model.Doubt
			if !errors.As(err, &doubt) {
				proof.Mode = rd.mode
				return proof, err
			}
			why = doubt.Text
			for _, k := range rd.known.all() { // what was listed so far proves nothing about the rest
				k.drop(wasSeen | wasListed)
			}
			rd.funnel.Users, rd.funnel.Groups, rd.funnel.Unchanged = 0, 0, 0
			clear(rd.reported)
		}
	}
	var proof model.Proof
	var err error
	if c, ok := src.(Comparing); ok {
		proof, err = c.ReadUnlike(ctx, rd.epoch.Mark, listing{rd, why != ""}, emit)
	} else if inc, ok := src.(Incremental); ok {
		proof, err = inc.ReadAfter(ctx, rd.epoch.Mark, emit)
	} else {
		proof, err = src.Read(ctx, emit)
	}
	proof.Mode, proof.Instead = model.ModeFull, why
	return proof, err
}

// keepCheckpoint stores up to where the source is known now, after everything else.
func (rd *reading) keepCheckpoint(ctx context.Context) error {
	if !rd.proof.Complete {
		return nil
	}
	cp := rd.epoch.Checkpoint
	// From the old one on, what was refused is read again, and what is only reported once is reported again.
	again := rd.refused || rd.proof.Unlisted && (rd.unanswered > 0 || rd.tooMany != "")
	if rd.proof.Mark != "" && (!again || cp.Mark == "") {
		cp.Mark = rd.proof.Mark
	}
	if rd.unlisted > 0 { // what such a list is short of may be missing in others, too: the next read is a full one
		cp.Mark = ""
	}
	cp.UpdatedAt = rd.e.now()
	return rd.e.o.Store.Commit(ctx, &Commit{Checkpoint: &cp})
}

// question is what an Incremental may ask the run.
type question struct{ rd *reading }

func (q question) Mode() model.Mode { return q.rd.mode }
func (q question) Mark() string     { return q.rd.epoch.Mark }

func (q question) Known(id string) bool {
	k := q.rd.known.find(id)
	return k != nil && k.has(hashed)
}

func (q question) Listed(id string, kind model.Kind) {
	q.rd.countListed(kind)
	k := q.rd.known.add(id, kind) // of one that is new the content follows
	k.note(wasSeen | wasListed)
	q.rd.funnel.Unchanged++
}

func (q question) Missing(id string, deleted bool) bool {
	if q.rd.known.find(id) == nil {
		return false
	}
	q.rd.reported[id] = deleted
	return true
}

func (q question) Unread(limit int) (ids []string) {
	ids = q.rd.known.list(func(k *known) bool { return !k.has(hashed) && !k.has(wasSeen) })
	if len(ids) > limit { // others than the last time, so that each has its turn
		rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		ids = ids[:limit]
	}
	return sorted(ids)
}

func (q question) Names(ctx context.Context, id string) (people, groups []string, err error) {
	if people, err = q.rd.e.o.Store.Referrers(ctx, q.rd.source, []string{id}); err != nil {
		return nil, nil, err
	}
	groups, err = q.rd.e.o.Store.MemberOf(ctx, q.rd.source, id)
	return people, groups, err
}

func (q question) Members(ctx context.Context, group string) ([]string, error) {
	return q.rd.e.o.Store.MembersAmong(ctx, q.rd.source, group, nil)
}

func (q question) NamedBefore(ctx context.Context, en model.Entry) (ids []string, err error) {
	store, source := q.rd.e.o.Store, q.rd.source
	if en.Kind == model.KindGroup {
		if ids, err = store.MembersAmong(ctx, source, en.ID, nil); err != nil {
			return nil, err
		}
		still := make(map[string]bool, len(en.Members))
		for _, id := range en.Members {
			still[id] = true
		}
		return slices.DeleteFunc(ids, func(id string) bool { return still[id] }), nil
	}
	if len(en.Dangling) == 0 {
		return nil, nil
	}
	found, err := store.Load(ctx, []Subject{{Source: source, Record: en.ID, Alone: true}})
	if err != nil || found[0].Record == nil {
		return nil, err
	}
	before, err := attributes(found[0].Record.Attrs)
	if err != nil {
		return nil, err
	}
	for _, pointer := range en.Dangling {
		if id := referenceAt(before, strings.Split(strings.TrimPrefix(pointer, "/"), "/")); id != "" {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (q question) Affected(ctx context.Context, changed []string) (ids []string, any bool, err error) {
	missing := q.rd.known.list(func(k *known) bool { return !k.has(wasSeen) })
	about := slices.Concat(changed, missing)
	for part := range slices.Chunk(about, 1000) {
		more, err := q.rd.e.o.Store.Referrers(ctx, q.rd.source, part)
		if err != nil {
			return nil, false, err
		}
		ids = append(ids, more...)
	}
	return ids, len(missing) > 0, nil
}
