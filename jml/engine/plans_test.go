package engine_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml"
	"jmld/jml/engine"
	"jmld/model"
)

// pushes makes n people by SCIM.
func (h *house) pushes(n int) {
	h.t.Helper()
	for i := range n {
		if _, err := h.scim("entra", fmt.Sprint(i), fmt.Sprintf("p%02d", i), true, nil); err != nil {
			h.t.Fatal(err)
		}
	}
	h.work()
}

func (h *house) leave(i int) {
	h.t.Helper()
	if _, err := h.scim("entra", fmt.Sprint(i), fmt.Sprintf("p%02d", i), false, nil); err != nil {
		h.t.Fatal(err)
	}
}

func TestNobodyJoinsAPlanUnseen(t *testing.T) { // D-02; firezone #9194
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.pushes(20)
		for i := range 8 {
			h.leave(i)
		}
		seen := h.heldPlans()[0]
		h.leave(8) // joins after the operator looked
		if _, err := h.Approve(h.ctx, seen.ID, seen.Digest, "operator ada"); !errors.Is(err, model.ErrStale) {
			t.Fatalf("approved more than was seen: %v", err)
		}
		now := h.heldPlans()[0]
		if now.ID != seen.ID || now.Items != 4 {
			t.Fatalf("plan %+v", now)
		}
		got, err := h.Approve(h.ctx, now.ID, now.Digest, "operator ada")
		if err != nil || len(got.Committed) != 4 {
			t.Fatal(got, err)
		}
		h.leave(9) // afterwards: approved by nobody
		if again := h.heldPlans(); len(again) != 1 || again[0].ID == now.ID || again[0].Items != 1 {
			t.Fatalf("plans %+v", again)
		}
		h.work()
		if n := len(h.app.active()); n != 11 {
			t.Errorf("%d active, want 11", n)
		}
		if _, err := h.Approve(h.ctx, now.ID, now.Digest, "operator bob"); !errors.Is(err, model.ErrStale) {
			t.Errorf("approved twice: %v", err)
		}
	})
}

func TestApprovalsAndLeaversAtOnce(t *testing.T) { // D-02
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.pushes(40)
		for i := range 10 {
			h.leave(i)
		}
		approved := map[string]bool{}
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := 10; i < 40; i++ {
			wg.Go(func() { h.leave(i) })
		}
		for range 2 {
			wg.Go(func() {
				for range 10 {
					for _, p := range h.heldPlans() {
						out, err := h.Approve(h.ctx, p.ID, p.Digest, "operator ada")
						if err != nil && !errors.Is(err, model.ErrStale) {
							t.Error(err)
						}
						mu.Lock()
						for _, c := range out.Committed {
							if approved[c.ID] {
								t.Errorf("change %s let go twice", c.ID)
							}
							approved[c.ID] = true
						}
						mu.Unlock()
					}
				}
			})
		}
		wg.Wait()
		h.work()
		accounts, items := h.waiting()
		if accounts != items || len(h.app.active()) != items {
			t.Errorf("%d accounts wait, %d items, %d active", accounts, items, len(h.app.active()))
		}
		changes, err := h.store.Changes(h.ctx, model.ChangeQuery{Source: "entra", Ops: []model.Op{model.OpDeactivate}, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		free := 0
		for _, c := range changes {
			switch {
			case c.State == model.ChangeCommitted && c.PlanID == "":
				free++
			case c.State == model.ChangeCommitted && c.DecidedBy != "operator ada":
				t.Errorf("let go by %q: %+v", c.DecidedBy, c)
			}
		}
		if free > 5 {
			t.Errorf("%d left without approval, the limit is 5", free)
		}
	})
}

func TestRequestsAtOnceDoNotOutrunTheGuard(t *testing.T) { // D-04
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.pushes(40)
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() { h.leave(i) })
		}
		wg.Wait()
		h.work()
		if n := len(h.app.active()); n < 35 {
			t.Errorf("%d of 40 left, the limit is 5", 40-n)
		}
	})
}

func TestAnExpiredPlanLetsNobodyGo(t *testing.T) { // D-02
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(30)
		h.sync()
		h.opts.Guard.Expiry = time.Second
		h.Engine = engine.New(h.opts)
		h.dir.users = people(20)
		first := h.sync()
		if first.Plan == nil || first.Plan.Items != 10 {
			t.Fatalf("%+v", first.Plan)
		}
		time.Sleep(time.Second)
		if _, err := h.Approve(h.ctx, first.Plan.ID, first.Plan.Digest, "operator ada"); !errors.Is(err, model.ErrStale) {
			t.Errorf("an expired plan was approved: %v", err)
		}
		h.opts.Guard.Expiry = time.Hour
		h.Engine = engine.New(h.opts)
		h.tended("the items wait in another plan", func() bool {
			held := h.heldPlans()
			old, err := h.store.Plan(h.ctx, first.Plan.ID)
			return err == nil && old.Items == 0 && len(held) == 1 && held[0].ID != first.Plan.ID && held[0].Items == 10
		})
		if d := cmp.Diff(names(30), h.app.active()); d != "" {
			t.Error("an expired plan let somebody go:", d)
		}
		old, err := h.store.Plan(h.ctx, first.Plan.ID)
		if err != nil || old.State != model.PlanExpired || old.Items != 0 {
			t.Errorf("%+v %v", old, err)
		}
		plan := h.heldPlans()[0]
		if _, err := h.Approve(h.ctx, plan.ID, plan.Digest, "operator ada"); err != nil {
			t.Fatal(err)
		}
		h.work()
		if d := cmp.Diff(names(20), h.app.active()); d != "" {
			t.Error(d)
		}
	})
}

func TestAGroupThatEmptiesIsHeldAsAWhole(t *testing.T) { // D-04
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.pushes(20)
		members := []string{}
		for i := range 20 {
			members = append(members, fmt.Sprint(i))
		}
		h.members("builders", engine.MemberChange{Replace: true, Add: members})
		h.tended("twenty builders", func() bool { return len(h.plat.active()) == 20 })
		h.members("builders", engine.MemberChange{Replace: true})
		h.tended("all of them wait", func() bool { accounts, items := h.waiting(); return accounts == 20 && items == 20 })
		if n := len(h.plat.active()); n != 20 {
			t.Errorf("%d platform accounts, want 20: a sweep is judged as a whole", n)
		}
		h.members("builders", engine.MemberChange{Replace: true, Add: members}) // corrected: nothing waits any more
		h.tended("withdrawn", func() bool { accounts, items := h.waiting(); return accounts+items == 0 })
	})
}

func TestEarlierHeldAbsencesBelongToThePicture(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(40)
		h.sync()
		h.dir.users = people(25)
		h.sync()
		h.dir.users = people(22) // three more: by themselves they would go
		if out := h.sync(); out.Plan == nil || out.Plan.State != model.PlanHeld || out.Plan.Items != 3 {
			t.Errorf("%+v", out.Plan)
		}
		if n := len(h.app.active()); n != 40 {
			t.Errorf("%d active", n)
		}
	})
}

// members changes a group of entra.
func (h *house) members(name string, m engine.MemberChange) {
	h.t.Helper()
	_, err := h.Push(h.ctx, engine.Push{Source: "entra", Kind: model.KindGroup, ID: "g-" + name, Actor: "test", Action: "scim.patch",
		Change: func(*model.Record) (*model.Record, engine.MemberChange, error) {
			return &model.Record{DisplayName: name, DisplayNameKey: jml.Fold(name), Active: true,
				Attrs: jml.Canonical(map[string]any{"displayName": name})}, m, nil
		}})
	if err != nil {
		h.t.Error(err)
	}
}
