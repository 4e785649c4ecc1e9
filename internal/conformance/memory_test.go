package conformance_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"jmld/jml/engine"
	"jmld/model"
	"jmld/scim"
)

// memory stands in for store and engine where a test needs many servers: our protocol on records in memory. What it does
// not have is not asked for.
type memory struct {
	scim.Resources
	mu      sync.Mutex
	records []*model.Record
	members map[string][]string // by group
}

// light is our own service provider without a database.
func light() http.Handler {
	m := &memory{members: map[string][]string{}}
	return scim.New(scim.Options{Sources: []scim.Source{{Name: "entra"}}, Pusher: m, Resources: m, Tokens: m})
}

func (m *memory) Tokens(_ context.Context, source string) ([]model.Token, error) {
	hash := sha256.Sum256([]byte(secret))
	return []model.Token{{ID: source, Source: source, Name: "test", Hash: hash[:], CreatedAt: time.Now()}}, nil
}

func (m *memory) TouchTokens(context.Context, map[string]time.Time) error { return nil }

func (m *memory) find(source, id string) int {
	return slices.IndexFunc(m.records, func(r *model.Record) bool { return r.Source == source && r.ID == id })
}

func (m *memory) Record(_ context.Context, source string, kind model.Kind, id string) (model.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := m.find(source, id); i >= 0 && m.records[i].Kind == kind {
		return *m.records[i], nil
	}
	return model.Record{}, model.ErrNotFound
}

func (m *memory) WithGroups(ctx context.Context, source, id string) (model.Record, []model.Membership, error) {
	rec, err := m.Record(ctx, source, model.KindUser, id)
	if err != nil {
		return rec, nil, err
	}
	of, err := m.GroupsOf(ctx, source, []string{id})
	return rec, of[id], err
}

func (m *memory) Query(_ context.Context, q model.Query) (model.Page, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var hits []model.Record
	for _, r := range m.records {
		if r.Source == q.Source && r.Kind == q.Kind && (q.Match == nil || q.Match(r, m.related(q.Filter, r.ID, nil))) {
			hits = append(hits, *r)
		}
	}
	if q.SortBy != nil {
		slices.SortStableFunc(hits, func(a, b model.Record) int {
			x, y := strings.ToLower(text(a, q.SortBy.Path)), strings.ToLower(text(b, q.SortBy.Path))
			if (x == "") != (y == "") {
				return cmp.Compare(y, x) // RFC 7644 §3.4.2.3: who has no value comes last
			}
			return cmp.Compare(x, y)
		})
	}
	if q.Descending {
		slices.Reverse(hits)
	}
	page := model.Page{Total: len(hits)}
	hits = hits[min(q.Offset, len(hits)):]
	page.Records = hits[:min(q.Limit, len(hits))]
	return page, nil
}

// related says whether the group has the members that a filter asks for by value eq.
func (m *memory) related(f model.Filter, group string, all []bool) []bool {
	var terms []model.Filter
	switch f := f.(type) {
	case model.And:
		terms = f.Terms
	case model.Or:
		terms = f.Terms
	case model.Not:
		terms = []model.Filter{f.Term}
	case model.Related:
		c, _ := f.Term.(model.Compare)
		id, _ := c.Value.(string)
		return append(append(all, make([]bool, f.Number-len(all))...), slices.Contains(m.members[group], id))
	}
	for _, t := range terms {
		all = m.related(t, group, all)
	}
	return all
}

func text(r model.Record, path []string) string {
	var v any
	if json.Unmarshal([]byte(r.Attrs), &v) != nil {
		return ""
	}
	for _, k := range path {
		doc, _ := v.(map[string]any)
		v = doc[k]
	}
	s, _ := v.(string)
	return s
}

func (m *memory) Members(_ context.Context, source, group string, _ int, yield func(id string, kind model.Kind, name string) error) error {
	m.mu.Lock()
	var list []model.Record
	for _, id := range m.members[group] {
		if i := m.find(source, id); i >= 0 {
			list = append(list, *m.records[i])
		}
	}
	m.mu.Unlock()
	for _, r := range list {
		if err := yield(r.ID, r.Kind, r.DisplayName); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) GroupsOf(_ context.Context, source string, ids []string) (map[string][]model.Membership, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string][]model.Membership{}
	for group, members := range m.members {
		for _, id := range ids {
			if !slices.Contains(members, id) {
				continue
			}
			if i := m.find(source, group); i >= 0 {
				out[id] = append(out[id], model.Membership{Source: source, GroupID: group, DisplayName: m.records[i].DisplayName, Direct: true})
			}
		}
	}
	return out, nil
}

func (m *memory) Push(_ context.Context, p engine.Push) (engine.Pushed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var cur *model.Record
	i := m.find(p.Source, p.ID)
	if i >= 0 {
		stored := *m.records[i]
		cur = &stored
	}
	next, change, err := p.Change(cur)
	switch {
	case err != nil:
		return engine.Pushed{}, err
	case next == nil:
		m.records = slices.Delete(m.records, i, i+1)
		delete(m.members, p.ID)
		return engine.Pushed{Record: *cur, Changed: true}, nil
	case slices.ContainsFunc(m.records, func(r *model.Record) bool {
		return r.Source == next.Source && r.ID != next.ID && next.UniqueKey != "" && r.UniqueKey == next.UniqueKey
	}):
		return engine.Pushed{}, model.ErrConflict
	}
	members := m.members[next.ID]
	if change.Replace {
		members = nil
	}
	members = slices.DeleteFunc(slices.Clone(members), func(id string) bool { return slices.Contains(change.Drop, id) })
	for _, id := range change.Add {
		if !slices.Contains(members, id) {
			members = append(members, id)
		}
	}
	changed := cur == nil || !bytes.Equal(cur.Hash, next.Hash) || !slices.Equal(members, m.members[next.ID])
	m.members[next.ID] = members
	now := time.Now().UTC()
	if cur == nil {
		next.CreatedAt = now
		m.records = append(m.records, next)
	} else {
		m.records[i] = next
	}
	if changed {
		next.Version++
		next.UpdatedAt = now
	}
	return engine.Pushed{Record: *next, Changed: changed}, nil
}
