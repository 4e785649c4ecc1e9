package main

import (
	"context"
	"errors"

	"jmld/internal/capture"
	"jmld/internal/store"
	"jmld/jml/engine"
	"jmld/model"
	"jmld/scim"
)

// watched makes what captured requests change known to the capture, as it was before.
type watched struct {
	scim.Pusher
	store *store.Store
}

// Push is the engine's. Of requests that nobody captures nothing is noted.
func (p watched) Push(ctx context.Context, push engine.Push) (engine.Pushed, error) {
	w := capture.Of(ctx)
	if w == nil {
		return p.Pusher.Push(ctx, push)
	}
	change, name := push.Change, ""
	push.Change = func(cur *model.Record) (*model.Record, engine.MemberChange, error) {
		w.Record(cur) // before change has it: it may be changed in place
		next, members, err := change(cur)
		if err != nil {
			return next, members, err
		}
		if next != nil {
			name = next.UserName
		}
		if cur != nil && cur.Kind == model.KindGroup {
			p.members(ctx, push, members)
		}
		return next, members, nil
	}
	if twins := push.Twins; twins != nil {
		push.Twins = func(found []model.Record) error {
			for i := range found {
				w.Record(&found[i])
			}
			return twins(found)
		}
	}
	done, err := p.Pusher.Push(ctx, push)
	switch {
	case err == nil && push.Create:
		w.Made(push.ID)
	case errors.Is(err, model.ErrConflict) && name != "":
		p.holder(ctx, w, push.Source, name)
	}
	return done, err
}

func (p watched) members(ctx context.Context, push engine.Push, m engine.MemberChange) {
	ids := append(append([]string(nil), m.Add...), m.Drop...)
	among := func(ctx context.Context, ids []string) ([]string, error) {
		return p.store.MembersAmong(ctx, push.Source, push.ID, ids)
	}
	capture.Before(ctx, p.store, among, push.Source, push.ID, ids, m.Replace)
}

// holder notes who has the name that was refused. What cannot be found out in time is missing in the capture, which says so;
// the answer is the same.
func (p watched) holder(ctx context.Context, w *capture.Watch, source, name string) {
	err := w.Look(ctx, func(ctx context.Context) error {
		page, err := p.store.Query(ctx, model.Query{
			Source: source, Kind: model.KindUser, Limit: 1,
			Filter: model.Compare{Attr: model.AttrRef{Path: []string{"userName"}}, Op: model.OpEq, Value: name},
			Match:  func(r *model.Record, _ []bool) bool { return r.UserName == name },
		})
		if err == nil && len(page.Records) == 1 {
			w.Record(&page.Records[0])
		}
		return err
	})
	if err != nil {
		w.Missing()
	}
}
