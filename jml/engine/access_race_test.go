package engine_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/jml/access"
	"jmld/jml/engine"
	"jmld/model"
)

// between does something once, when another replica has made up what to write and has not written it.
type between struct {
	engine.Store
	gives, edits, merges func()
	done                 atomic.Bool
}

func (b *between) Commit(ctx context.Context, c *engine.Commit) error {
	if b.merges != nil && len(c.Merges) > 0 && b.done.CompareAndSwap(false, true) {
		b.merges()
	}
	for _, w := range c.Identities {
		if b.gives != nil && w.Given != nil && w.Given.More && b.done.CompareAndSwap(false, true) {
			b.gives()
		}
	}
	return b.Store.Commit(ctx, c)
}

func (b *between) ChangeAccess(ctx context.Context, c *engine.AccessChange) error {
	if b.edits != nil && b.done.CompareAndSwap(false, true) {
		b.edits()
	}
	return b.Store.ChangeAccess(ctx, c)
}

// Who is given a role by right by one replica while another changes the tree has what the tree says then, whoever is first.
func TestARightAndAnEditOfTheTreeMeet(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]bool{"the edit is first": true, "the right is first": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, h *house) {
				entitled(h)
				out, err := h.scim("okta", "o-bo", "bo", true, number("2"))
				if err != nil {
					t.Fatal(err)
				}
				h.edit(func(s *access.State) { company(s, out.Record.IdentityID) })
				h.settle()
				here, opts := h.Engine, h.opts
				b := &between{Store: h.store}
				opts.Store = b
				there := engine.New(opts)
				entitled(&house{t: t, Engine: there, opts: opts})
				edit := func(e *engine.Engine) {
					_, err := e.EditAccess(h.ctx, engine.AccessEdit{Actor: "operator ada", Manager: model.ManagedByOperator, Areas: access.Areas(),
						Edit: func(s *access.State, _ *access.Tree) error {
							s.Roles[0].Permissions = `{"project":["read"]}`
							return nil
						}})
					if err != nil {
						t.Error(err)
					}
				}
				joins := func(e *engine.Engine) {
					h.Engine = e
					if _, err := h.scim("entra", "e-ada", "ada", true, titled("Engineer")); err != nil {
						t.Error(err)
					}
					h.Engine = here
				}
				if first {
					b.gives = func() { edit(here) }
					joins(there)
				} else {
					b.edits = func() { joins(here) }
					edit(there)
				}
				if !b.done.Load() {
					t.Fatal("nothing came between")
				}
				h.settle()
				if diff := cmp.Diff(map[string]string{"ada": "Developer may project:read"}, h.desired()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// M-29: a group that is renamed is still the group that a role follows: its members, also those who join it later, have the role, until
// another group has the name.
func TestARoleFollowsAGroupThatIsRenamed(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.followingBuilders(t)
		called := func(id, name string, members ...string) model.Entry {
			g := group(id, members...)
			g.Record.DisplayName, g.Record.DisplayNameKey, g.Record.Attrs = name, name, `{"displayName":"`+name+`"}`
			return g
		}
		reads := func(what string, groups []model.Entry, want ...string) {
			t.Helper()
			h.dir.groups = groups
			h.sync()
			h.settle()
			if d := cmp.Diff(want, h.plat.active()); d != "" {
				t.Errorf("%s: %s", what, d)
			}
		}
		h.dir.users = people(4)
		h.sync()
		all := h.identities()
		h.edit(func(s *access.State) { company(s, all[len(all)-1].ID) })
		reads("members", []model.Entry{called("b", "builders", "dir-person000", "dir-person001")}, "person000", "person001")
		reads("renamed", []model.Entry{called("b", "makers", "dir-person000", "dir-person001")}, "person000", "person001")
		_, state, err := h.Tree(h.ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range state.Given {
			if m.Reason != "rule builders of corp, by group Builders of corp, which is called makers now" {
				t.Error(m.Reason)
			}
		}
		reads("who joins and who goes", []model.Entry{called("b", "makers", "dir-person000", "dir-person002")}, "person000", "person002")
		reads("renamed once more", []model.Entry{called("b", "crafts", "dir-person000", "dir-person002")}, "person000", "person002")
		reads("another one has the name", []model.Entry{called("b", "crafts", "dir-person000", "dir-person002"), called("c", "builders", "dir-person001", "dir-person002")},
			"person001", "person002")
		reads("they change names", []model.Entry{called("b", "builders", "dir-person000", "dir-person002"), called("c", "crafts", "dir-person001", "dir-person002")},
			"person000", "person002")
		reads("it is deleted", []model.Entry{called("c", "crafts", "dir-person001", "dir-person002")})
	})
}
