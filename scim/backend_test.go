package scim_test

import (
	"context"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"jmld/jml/engine"
	"jmld/model"
	"jmld/scim"
)

// backend makes what a handler works on.
type backend struct {
	name string
	open func(t testing.TB) ports
}

type ports interface {
	scim.Pusher
	scim.Resources
	scim.Tokens
	AddToken(ctx context.Context, t model.Token) error
}

func backends() []backend {
	return []backend{{"memory", func(testing.TB) ports {
		return &double{records: map[string]*model.Record{}, members: map[string][]string{}}
	}}}
}

const secret = "test-token-entra"

// client speaks to one source of a server of its own.
type client struct {
	http *http.Client
	base string
	host string
	p    ports
}

func newClient(t testing.TB, b backend, change ...func(*scim.Options)) *client {
	p := b.open(t)
	hash := sha256.Sum256([]byte(secret))
	if err := p.AddToken(t.Context(), model.Token{ID: model.NewID(time.Now()), Source: "entra", Name: "laptop", Hash: hash[:], CreatedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	o := scim.Options{Sources: []scim.Source{{Name: "entra"}, {Name: "okta"}}, Pusher: p, Resources: p, Tokens: p}
	for _, f := range change {
		f(&o)
	}
	server := httptest.NewServer(scim.New(o))
	t.Cleanup(server.Close)
	return &client{http: server.Client(), base: server.URL + "/scim/entra/v2", host: server.URL, p: p}
}

func (c *client) send(method, target string, header http.Header, body string) (answer, error) {
	url := c.base + target
	if strings.HasPrefix(target, "http://") {
		url = target
	}
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	req.Header.Set("Accept", "application/scim+json")
	if body != "" {
		req.Header.Set("Content-Type", "application/scim+json")
	}
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	return readAnswer(resp)
}

// double stands in for the store and the engine.
type double struct {
	mu      sync.Mutex
	records map[string]*model.Record
	order   []string
	members map[string][]string
	tokens  []model.Token
	pushed  []engine.Push
}

func (d *double) AddToken(_ context.Context, t model.Token) error {
	d.tokens = append(d.tokens, t)
	return nil
}

func (d *double) Tokens(_ context.Context, source string) ([]model.Token, error) {
	return slices.DeleteFunc(slices.Clone(d.tokens), func(t model.Token) bool { return t.Source != source }), nil
}

func (d *double) TouchTokens(context.Context, map[string]time.Time) error { return nil }

func (d *double) Push(_ context.Context, p engine.Push) (engine.Pushed, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pushed = append(d.pushed, p)
	cur := d.records[p.ID]
	var old *model.Record
	if cur != nil {
		c := *cur
		old = &c
	}
	next, m, err := p.Change(old)
	if err != nil {
		return engine.Pushed{}, err
	}
	if next == nil {
		delete(d.records, p.ID)
		delete(d.members, p.ID)
		d.order = slices.DeleteFunc(d.order, func(s string) bool { return s == p.ID })
		for g := range d.members {
			d.members[g] = slices.DeleteFunc(d.members[g], func(s string) bool { return s == p.ID })
		}
		return engine.Pushed{Record: *old, Changed: true}, nil
	}
	for id, r := range d.records {
		if id != p.ID && next.UniqueKey != "" && r.UniqueKey == next.UniqueKey {
			return engine.Pushed{}, model.ErrConflict
		}
	}
	was := d.members[p.ID]
	is := slices.Clone(was)
	if m.Replace {
		is = nil
	}
	is = slices.DeleteFunc(is, func(s string) bool { return slices.Contains(m.Drop, s) })
	for _, id := range m.Add {
		if !slices.Contains(is, id) {
			is = append(is, id)
		}
	}
	slices.Sort(is)
	if cur != nil && cur.Attrs == next.Attrs && slices.Equal(was, is) {
		return engine.Pushed{Record: *cur}, nil
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	next.UpdatedAt, next.CreatedAt, next.Version = now, now, 1
	if cur != nil {
		next.Version, next.CreatedAt = cur.Version+1, cur.CreatedAt
	} else {
		d.order = append(d.order, p.ID)
	}
	r := *next
	d.records[p.ID], d.members[p.ID] = &r, is
	return engine.Pushed{Record: r, Changed: true}, nil
}

func (d *double) Record(_ context.Context, _ string, kind model.Kind, id string) (model.Record, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r := d.records[id]; r != nil && r.Kind == kind {
		return *r, nil
	}
	return model.Record{}, model.ErrNotFound
}

func (d *double) Query(_ context.Context, q model.Query) (model.Page, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var page model.Page
	for _, id := range d.order {
		r := d.records[id]
		if r.Kind != q.Kind || q.Match != nil && !q.Match(r) {
			continue
		}
		if page.Total >= q.Offset && len(page.Records) < q.Limit {
			page.Records = append(page.Records, *r)
		}
		page.Total++
	}
	return page, nil
}

func (d *double) Members(_ context.Context, _, group string, yield func(string, model.Kind, string) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range d.members[group] {
		var kind model.Kind
		name := ""
		if r := d.records[id]; r != nil {
			kind, name = r.Kind, r.DisplayName
		}
		if err := yield(id, kind, name); err != nil {
			return err
		}
	}
	return nil
}

func (d *double) GroupsOf(_ context.Context, _ string, ids []string) (map[string][]model.Membership, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := map[string][]model.Membership{}
	for g, list := range d.members {
		for _, id := range ids {
			if slices.Contains(list, id) {
				out[id] = append(out[id], model.Membership{GroupID: g, DisplayName: d.records[g].DisplayName, Direct: true})
			}
		}
	}
	return out, nil
}
