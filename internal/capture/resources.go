package capture

import (
	"context"
	"errors"
	"slices"

	"jmld/model"
)

// Resources is where a handler reads records.
type Resources interface {
	Record(ctx context.Context, source string, kind model.Kind, id string) (model.Record, error)
	WithGroups(ctx context.Context, source, id string) (model.Record, []model.Membership, error)
	Query(ctx context.Context, q model.Query) (model.Page, error)
	Members(ctx context.Context, source, group string, most int, yield func(id string, kind model.Kind, name string) error) error
	GroupsOf(ctx context.Context, source string, ids []string) (map[string][]model.Membership, error)
}

// Stored is where what only the capture wants is read, too.
type Stored interface {
	Resources
	// RecordsAmong returns those that there are.
	RecordsAmong(ctx context.Context, source string, kind model.Kind, ids []string) ([]model.Record, error)
}

// Watched notes what captured requests read. Other requests pass as they are.
func Watched(r Stored) Resources { return &watched{r} }

type watched struct{ Stored }

// Record is one record.
func (r *watched) Record(ctx context.Context, source string, kind model.Kind, id string) (model.Record, error) {
	rec, err := r.Stored.Record(ctx, source, kind, id)
	if w := Of(ctx); w != nil && err == nil {
		w.Record(&rec)
	}
	return rec, err
}

// WithGroups is one user with the groups.
func (r *watched) WithGroups(ctx context.Context, source, id string) (model.Record, []model.Membership, error) {
	rec, groups, err := r.Stored.WithGroups(ctx, source, id)
	if w := Of(ctx); w != nil && err == nil {
		w.Record(&rec)
		r.settle(ctx, w, source, map[string][]model.Membership{id: groups}, id)
	}
	return rec, groups, err
}

// Query selects records.
func (r *watched) Query(ctx context.Context, q model.Query) (model.Page, error) {
	page, err := r.Stored.Query(ctx, q)
	if w := Of(ctx); w != nil && err == nil {
		ids := make([]string, len(page.Records))
		for i := range page.Records {
			w.Record(&page.Records[i])
			ids[i] = page.Records[i].ID
		}
		if page.Groups != nil {
			r.settle(ctx, w, q.Source, page.Groups, ids...)
		}
		if page.Total > len(page.Records) {
			w.Partial()
		}
	}
	return page, err
}

// Members streams the members of a group.
func (r *watched) Members(ctx context.Context, source, group string, most int, yield func(id string, kind model.Kind, name string) error) error {
	w := Of(ctx)
	if w == nil {
		return r.Stored.Members(ctx, source, group, most, yield)
	}
	return r.Stored.Members(ctx, source, group, most, func(id string, kind model.Kind, name string) error {
		w.Member(group, id, true)
		w.Named(id, kind, name)
		return yield(id, kind, name)
	})
}

// GroupsOf returns the groups of records. Which group is in which, is noted, too.
func (r *watched) GroupsOf(ctx context.Context, source string, ids []string) (map[string][]model.Membership, error) {
	of, err := r.Stored.GroupsOf(ctx, source, ids)
	if w := Of(ctx); w != nil && err == nil {
		r.settle(ctx, w, source, of, ids...)
	}
	return of, err
}

// settle notes the groups of these: they are known now.
func (r *watched) settle(ctx context.Context, w *Watch, source string, of map[string][]model.Membership, ids ...string) {
	r.noteGroups(ctx, w, source, of)
	for _, id := range ids {
		w.Settled(id)
	}
}

// noteGroups notes direct memberships and the groups themselves. What cannot be read in time is missing in the capture; the
// request goes on.
func (r *watched) noteGroups(ctx context.Context, w *Watch, source string, of map[string][]model.Membership) {
	var fresh []string
	note := func(of map[string][]model.Membership) {
		for id, list := range of {
			for _, g := range list {
				if g.Direct {
					w.Member(g.GroupID, id, true)
				}
				if w.knows(g.GroupID) || slices.Contains(fresh, g.GroupID) {
					continue
				}
				if len(fresh) == maxParents {
					w.Missing()
					return
				}
				fresh = append(fresh, g.GroupID)
			}
		}
	}
	note(of)
	if len(fresh) == 0 {
		return
	}
	err := w.Look(ctx, func(ctx context.Context) error {
		groups, err := r.Stored.RecordsAmong(ctx, source, model.KindGroup, fresh)
		if err != nil {
			return err
		}
		for i := range groups {
			w.Record(&groups[i])
		}
		above, err := r.Stored.GroupsOf(ctx, source, fresh) // all of them are in fresh already
		note(above)
		return err
	})
	if err != nil {
		w.Missing()
	}
}

// errEnough ends a stream of members.
var errEnough = errors.New("enough")

// Before notes who of these is in the group, of everybody when all is set, before a request changes that.
// What cannot be found out in time is missing, and the exchange says so.
func Before(ctx context.Context, r Resources, among func(ctx context.Context, ids []string) ([]string, error), source, group string, ids []string, all bool) {
	w := Of(ctx)
	if w == nil {
		return
	}
	if err := w.Look(ctx, func(ctx context.Context) error { return w.before(ctx, r, among, source, group, ids, all) }); err != nil {
		w.Closed(group, true)
	}
}

func (w *Watch) before(
	ctx context.Context, r Resources, among func(ctx context.Context, ids []string) ([]string, error), source, group string, ids []string, all bool,
) error {
	if all {
		n := 0
		err := r.Members(ctx, source, group, 0, func(id string, kind model.Kind, name string) error {
			if n++; n > maxBefore {
				return errEnough
			}
			w.Member(group, id, true)
			w.Named(id, kind, name)
			return nil
		})
		switch {
		case err == nil:
			w.Closed(group, false)
		case errors.Is(err, errEnough):
			w.Closed(group, true)
		default:
			return err
		}
		return nil
	}
	switch ids = w.Unknown(group, ids); {
	case len(ids) == 0:
		return nil
	case len(ids) > maxBefore:
		w.Closed(group, true)
		return nil
	}
	in, err := among(ctx, ids)
	if err != nil {
		return err
	}
	is := make(map[string]bool, len(in))
	for _, id := range in {
		is[id] = true
	}
	for _, id := range ids {
		w.Member(group, id, is[id])
	}
	return nil
}
