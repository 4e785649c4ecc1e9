package engine_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml"
	"jmld/jml/access"
	"jmld/jml/engine"
	"jmld/model"
)

// M-24, M-60: what somebody was given ends when they have left, not before, and is there again when they are back, as the configuration
// says. A group keeps the only admin it has.
func TestWhatALeaverWasGivenEnds(t *testing.T) {
	t.Parallel()
	all := []string{"group:berlin admin", "group:builders developer", "group:sales admin", "group:sales operator"}
	left := []string{"group:berlin admin", "group:builders developer ended", "group:sales admin ended", "group:sales operator ended"}
	for name, c := range map[string]struct {
		policy     jml.Memberships
		away, back []string
	}{
		"and is there again":            {jml.Memberships{}, left, all},
		"and is there again soon after": {jml.Memberships{Within: time.Hour}, left, all},
		"and has to be given anew":      {jml.Memberships{Again: true}, left, all[:1]},
		"and not long after":            {jml.Memberships{Within: time.Nanosecond}, left, all[:1]},
		"unless it is kept":             {jml.Memberships{Keep: true}, all, all},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, h *house) {
				r := *h.opts.Rules
				r.Calendar.Memberships = c.policy
				h.SetRules(&r)
				ada, bo := h.say("entra", "e1", "ada", "1").IdentityID, h.say("entra", "e2", "bo", "2").IdentityID
				admin := func(who, place string) model.AccessMember {
					m := given(who, place, "")
					m.Admin = true
					return m
				}
				h.edit(func(s *access.State) {
					company(s, bo)
					s.Members = slices.DeleteFunc(s.Members, func(m model.AccessMember) bool { return m.Place == "group:berlin" })
					s.Give(admin(ada, "group:berlin")) // nobody else administers it
					s.Give(admin(ada, "group:sales"))
					s.Give(given(ada, "group:sales", "operator"))
					s.Give(given(ada, "group:builders", "developer"))
				})
				rows := func() []string {
					s, err := h.store.Access(h.ctx)
					if err != nil {
						t.Fatal(err)
					}
					var out []string
					for _, m := range s.Members {
						text := strings.TrimSpace(m.Place + " " + m.Role)
						if m.Admin {
							text += " admin"
						}
						if m.EndedAt != nil {
							text += " ended"
						}
						if text = strings.ReplaceAll(text, "  ", " "); m.Person == ada {
							out = append(out, text)
						}
					}
					slices.Sort(out)
					return out
				}
				becomes := func(what string, want []string) {
					t.Helper()
					for end := time.Now().Add(time.Minute); !slices.Equal(rows(), want) && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
						h.settle()
					}
					h.settle()
					if diff := cmp.Diff(want, rows()); diff != "" {
						t.Fatalf("%s: %s", what, diff)
					}
				}
				if _, err := h.scim("entra", "e1", "ada", false, number("1")); err != nil {
					t.Fatal(err)
				}
				h.settle()
				becomes("on leave", all)
				if err := h.gone("entra", "e1"); err != nil {
					t.Fatal(err)
				}
				h.settle()
				becomes("left", c.away)
				p, err := h.store.Identity(h.ctx, ada)
				if err != nil || strings.Contains(p.Findings, string(model.CodeAccessAdmin)) == c.policy.Keep {
					t.Error(p.Findings, err)
				}
				if got := h.say("entra", "e9", "ada", "1").IdentityID; got != ada {
					t.Fatal(got)
				}
				h.settle()
				becomes("back", c.back)
				entries, err := h.store.AuditList(h.ctx, ada, 50)
				told := fmt.Sprint(entries)
				if err != nil || strings.Contains(told, "lifecycle") == c.policy.Keep {
					t.Error(told, err)
				}
			})
		})
	}
}

// M-24, M-60: who is back is given back also what a rule keeps apart by now, where it is withheld, and is decided about like anybody else.
func TestWhatIsKeptApartIsGivenBackAndWithheld(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		entitled(h)
		ada, bo := h.say("entra", "e1", "ada", "1").IdentityID, h.say("entra", "e2", "bo", "2").IdentityID
		h.edit(func(s *access.State) {
			company(s, bo)
			s.Give(given(ada, "group:builders", "developer"))
		})
		ended := func() (n int) {
			s, err := h.store.Access(h.ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range s.Members {
				if m.Person == ada && m.EndedAt != nil {
					n++
				}
			}
			return n
		}
		becomes := func(what string, want int) {
			t.Helper()
			h.settle()
			for end := time.Now().Add(time.Minute); ended() != want && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
				h.settle()
			}
			h.settle()
			if n := ended(); n != want {
				t.Fatalf("%s: %d have ended", what, n)
			}
		}
		if err := h.gone("entra", "e1"); err != nil {
			t.Fatal(err)
		}
		becomes("left", 1)
		h.edit(func(s *access.State) { s.Give(given(ada, "group:sales", "operator")) }) // by mistake, for somebody who is away
		becomes("given both", 2)
		h.say("entra", "e9", "ada", "1")
		becomes("back", 0)
		if diff := cmp.Diff(map[string]string{"ada": "Developer may project:edit"}, h.desired()); diff != "" {
			t.Error(diff)
		}
		if tree, _, err := h.Tree(h.ctx); err != nil || len(tree.Withheld(ada)) != 1 {
			t.Error(tree.Withheld(ada), err)
		}
	})
}

// wholeCount counts how often everything is loaded.
type wholeCount struct {
	engine.Store
	n atomic.Int32
}

func (w *wholeCount) Access(ctx context.Context) (access.State, error) {
	w.n.Add(1)
	return w.Store.Access(ctx)
}

// M-24: what a departure costs goes by what the person has, not by how many groups and members there are.
func TestALeaverIsSettledWithoutTheWholeTree(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		counting := &wholeCount{Store: h.store}
		o := h.opts
		o.Store = counting
		h.Engine = engine.New(o)
		ada, bo := h.say("entra", "e1", "ada", "1").IdentityID, h.say("entra", "e2", "bo", "2").IdentityID
		h.edit(func(s *access.State) {
			company(s, bo)
			sales := given(ada, "group:sales", "")
			sales.Admin = true
			s.Give(sales)
			s.Give(given("employeeNumber:1", "group:builders", "developer")) // by a key
		})
		h.settle()
		becomes := func(what string, want ...string) {
			t.Helper()
			counting.n.Store(0)
			var ended []string
			for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
				h.settle()
				s, err := h.store.Access(h.ctx)
				if err != nil {
					t.Fatal(err)
				}
				ended = nil
				for _, m := range s.Members {
					if m.EndedAt != nil {
						ended = append(ended, m.Person+" "+m.Place)
					}
				}
				if slices.Equal(ended, want) || time.Now().After(end) {
					break
				}
			}
			if n := counting.n.Load(); n > 0 {
				t.Errorf("%s: everything was loaded %d times", what, n)
			}
			if d := cmp.Diff(want, ended); d != "" {
				t.Errorf("%s (-want +got):\n%s", what, d)
			}
		}
		if err := h.gone("entra", "e1"); err != nil {
			t.Fatal(err)
		}
		becomes("left", "employeeNumber:1 group:builders", ada+" group:sales")
		if got := h.say("entra", "e9", "ada", "1").IdentityID; got != ada {
			t.Fatal(got)
		}
		becomes("back")
	})
}
