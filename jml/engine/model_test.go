package engine_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"jmld/internal/store"
	"jmld/jml"
	"jmld/jml/engine"
	"jmld/model"
)

// truth is the model: what three people are in two sources.
type truth struct {
	entra   [3]string // "", "active", "inactive"
	dir     [3]bool   // in the directory now
	read    [3]bool   // in the directory when it was read last
	builder [3]bool
}

func (m truth) active(i int) bool { return m.read[i] || m.entra[i] == "active" } // corp comes first, and says active

// TestAnySequenceEndsWhereAModelPredicts plays random pushes, reads, group changes and approvals on the real store, with and
// without a guard that holds every leaver, and compares the accounts with the model's.
func TestAnySequenceEndsWhereAModelPredicts(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "sqlite:"+filepath.Join(t.TempDir(), "jmld.db"))
	lenient := h.opts
	all := jml.Limit{Count: 1000}
	lenient.Guard = jml.Limits{Count: 1000, Share: 1, Ceiling: 1, Floor: 1000, Window: time.Hour, Expiry: time.Hour, Changed: all, Emptied: all,
		Movers: all, Week: all, Joiners: all, Returns: all, Group: all, GroupEmptied: 1000, Shrink: all, Renewed: all, Clock: 10000 * time.Hour}
	strict := h.opts
	strict.Guard = jml.Limits{Window: time.Hour, Expiry: time.Hour}
	round, start := 0, time.Now()
	rapid.Check(t, func(rt *rapid.T) {
		if round > 0 && time.Since(start) > 45*time.Second { // a slow machine plays fewer
			return
		}
		round++
		m, first := truth{}, round*3
		h.Engine = engine.New(lenient)
		if rapid.Bool().Draw(rt, "strict") {
			h.Engine = engine.New(strict)
		}
		ctx, cancel := context.WithCancel(h.ctx)
		done := make(chan error, 1)
		go func() { done <- h.Run(ctx) }()
		defer func() { cancel(); <-done }()
		id := func(i int) string { return fmt.Sprint("e", first+i) }
		must := func(err error) {
			if err != nil {
				rt.Fatal(err)
			}
		}
		for range rapid.IntRange(3, 15).Draw(rt, "steps") {
			i := rapid.IntRange(0, 2).Draw(rt, "person")
			switch rapid.IntRange(0, 6).Draw(rt, "what") {
			case 0, 1:
				active := rapid.Bool().Draw(rt, "active")
				m.entra[i] = map[bool]string{true: "active", false: "inactive"}[active]
				_, err := h.scim("entra", id(i), person(first+i).UserName, active, number(fmt.Sprint(1000+first+i)))
				must(err)
			case 2:
				if m.entra[i] != "" {
					m.entra[i], m.builder[i] = "", false
					must(h.gone("entra", id(i)))
				}
			case 3:
				m.dir[i] = !m.dir[i]
			case 4:
				if m.entra[i] != "" {
					m.builder[i] = !m.builder[i]
					change := engine.MemberChange{Add: []string{id(i)}}
					if !m.builder[i] {
						change = engine.MemberChange{Drop: []string{id(i)}}
					}
					h.members("builders", change)
				}
			case 5:
				m.read = m.dir
				h.dir.users = []model.Entry{person(0)} // somebody is always there
				for i := range 3 {
					if m.dir[i] {
						h.dir.users = append(h.dir.users, person(first+i))
					}
				}
				_, err := h.Sync(h.ctx, "corp", engine.SyncOptions{Trigger: "demand"})
				must(err)
			case 6:
				h.approveAll(rt)
			}
		}
		app, plat := []string{}, []string{}
		for i := range 3 {
			if m.active(i) {
				app = append(app, person(first+i).UserName)
				if m.builder[i] {
					plat = append(plat, person(first+i).UserName)
				}
			}
		}
		mine := func(all []string) []string {
			out := []string{}
			for _, name := range all {
				for i := range 3 {
					if name == person(first+i).UserName {
						out = append(out, name)
					}
				}
			}
			slices.Sort(out)
			return out
		}
		var d string
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			h.approveAll(rt)
			d = cmp.Diff(app, mine(h.app.active())) + cmp.Diff(plat, mine(h.plat.active()))
			if d == "" {
				return
			}
		}
		rt.Fatalf("the model says otherwise: %s\n%+v", d, m)
	})
}

func (h *house) approveAll(rt *rapid.T) {
	for _, p := range h.heldPlans() {
		if _, err := h.Approve(h.ctx, p.ID, p.Digest, "operator ada"); err != nil && !errors.Is(err, model.ErrStale) {
			rt.Fatal(err)
		}
	}
}

func BenchmarkPush(b *testing.B) {
	for name, open := range databases(b) {
		b.Run(name, func(b *testing.B) {
			s, err := store.Open(b.Context(), store.Options{URL: open()})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			e := engine.New(engine.Options{Store: s, Rules: rules(b), Guard: jml.DefaultLimits(),
				Targets: []engine.TargetSpec{{Target: newTarget("app"), Class: model.ClassApp}, {Target: newTarget("platform"), Class: model.ClassPlatform}}})
			push := func(id, user, title string) {
				_, err := e.Push(b.Context(), engine.Push{Source: "entra", Kind: model.KindUser, ID: id, Actor: "bench", Action: "scim.create", Create: title == "",
					Change: func(*model.Record) (*model.Record, engine.MemberChange, error) {
						return &model.Record{UserName: user, UserNameKey: user, UniqueKey: user, Active: true,
							Attrs: jml.Canonical(map[string]any{"userName": user, "title": title})}, engine.MemberChange{}, nil
					}})
				if err != nil {
					b.Error(err)
				}
			}
			n := 0
			b.Run("create", func(b *testing.B) {
				for b.Loop() {
					n++
					push(fmt.Sprint("c", n), fmt.Sprint("user", n), "")
				}
			})
			push("one", "one", "")
			b.Run("change", func(b *testing.B) {
				for b.Loop() {
					n++
					push("one", "one", fmt.Sprint("title ", n))
				}
			})
		})
	}
}
