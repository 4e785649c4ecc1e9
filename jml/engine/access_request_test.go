package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml"
	"jmld/jml/access"
	"jmld/jml/engine"
	"jmld/model"
)

// requests are people who ask: ada administers every group, bo Berlin, sam decides about what is privileged; cy and dan hold nothing.
func requests(h *house, now func() time.Time) map[string]string {
	h.t.Helper()
	h.opts.Now = now
	h.opts.Requests = access.RequestRules{Open: 24 * time.Hour, Longest: 366 * 24 * time.Hour, Free: []string{"guest"}, Approvals: 2, Approvers: "security",
		Privileged: []access.Thing{{Kind: access.KindRole, ID: "operator"}}}
	h.Engine = engine.New(h.opts)
	r := byRoles(h)
	r.Separation = []jml.Separation{{Name: "Four eyes", Things: []access.Thing{{Kind: access.KindRole, ID: "developer"}, {Kind: access.KindRole, ID: "operator"}}}}
	h.SetRules(r)
	ids := map[string]string{}
	for i, name := range []string{"ada", "bo", "cy", "dan", "sam"} {
		out, err := h.scim("entra", "e-"+name, name, true, number(fmt.Sprint(i)))
		if err != nil {
			h.t.Fatal(err)
		}
		ids[name] = out.Record.IdentityID
	}
	h.edit(func(s *access.State) {
		company(s, ids["ada"])
		s.Roles = append(s.Roles, model.AccessRole{ID: "guest", Name: "Guest", ManagedBy: model.ManagedByOperator})
		s.PutGroup(model.AccessGroup{ID: "security", Name: "Security", Description: "Decide", Parent: "root", ManagedBy: model.ManagedByOperator})
		for place, who := range map[string]string{"group:security": ids["ada"], "group:berlin": ids["bo"]} {
			m := given(who, place, "")
			m.Admin = true
			s.Give(m)
		}
		s.Give(given(ids["sam"], "group:security", "guest"))
	})
	h.settle()
	return ids
}

func (h *house) askFor(requester, person, place, role string, until time.Time) (model.AccessRequest, error) {
	return h.RequestAccess(h.ctx, engine.AccessAsk{Actor: "operator lena", Requester: requester, Person: person, Place: place, Role: role, Admin: role == "",
		Reason: "joins the team", Until: until})
}

func (h *house) answer(request, approver string, deny bool) (model.AccessRequest, error) {
	return h.DecideAccess(h.ctx, engine.AccessVerdict{Actor: "operator lena", Approver: approver, Request: request, Reason: "as agreed", Deny: deny})
}

// audited is what was written about somebody, sorted: action, and status or code.
func (h *house) audited(person string) []string {
	h.t.Helper()
	entries, err := h.store.AuditList(h.ctx, person, 100)
	if err != nil {
		h.t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		d := jml.Decode(e.Detail)
		if strings.HasPrefix(e.Action, "access.re") {
			out = append(out, strings.TrimSpace(fmt.Sprint(e.Action, " ", text(d["status"]), text(d["code"]))))
		}
	}
	slices.Sort(out)
	return out
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// M-06, M-24: what is asked for waits for somebody who may decide, is then a membership like any other, with reason, approver and end, and
// ends; whoever may not ask or decide is refused, and every step is audited.
func TestARequestIsGivenByWhoMayAndEnds(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		now := time.Now().UTC().Truncate(time.Microsecond)
		ids := requests(h, func() time.Time { return now })
		cy, until := ids["cy"], now.Add(400*time.Millisecond)
		refused := func(what string, err error, code model.Code) {
			t.Helper()
			if model.CodeOf(err) != code {
				t.Errorf("%s: %v, want %s", what, err, code)
			}
		}
		_, err := h.askFor(ids["bo"], cy, "group:sales", "developer", until)
		refused("for somebody else, in another project", err, model.CodeAccessDenied)
		_, err = h.askFor(cy, cy, "group:berlin", "wizard", until)
		refused("a role that is not there", err, model.CodeAccessRefused)
		_, err = h.askFor(cy, cy, "group:berlin", "developer", now.Add(400*24*time.Hour))
		refused("for too long", err, model.CodeAccessRefused)
		q, err := h.askFor(cy, cy, "group:berlin", "developer", until)
		if err != nil || q.Status != model.RequestOpen || q.Privileged {
			t.Fatal(q, err)
		}
		_, err = h.askFor(ids["bo"], cy, "group:berlin", "developer", until)
		refused("twice", err, model.CodeAccessRequest)
		_, err = h.answer(q.ID, cy, false)
		refused("by who gets it", err, model.CodeAccessDenied)
		_, err = h.answer(q.ID, ids["dan"], false)
		refused("by who administers nothing", err, model.CodeAccessDenied)
		if s, err := h.store.Access(h.ctx); err != nil || slices.ContainsFunc(s.Members, func(m model.AccessMember) bool { return m.Person == cy }) {
			t.Fatal("given before it was approved", err)
		}
		if q, err = h.answer(q.ID, ids["bo"], false); err != nil || q.Status != model.RequestApproved {
			t.Fatal(q, err)
		}
		_, err = h.answer(q.ID, ids["ada"], true)
		refused("after it was decided", err, model.CodeAccessRequest)
		if _, err := h.Tend(h.ctx); err != nil {
			t.Fatal(err)
		}
		h.work()
		if diff := cmp.Diff(map[string]string{"cy": "Developer may project:edit"}, h.desired()); diff != "" {
			t.Error(diff)
		}
		tree, _, err := h.Tree(h.ctx)
		if err != nil {
			t.Fatal(err)
		}
		want := []model.AccessMember{{Person: cy, Place: "group:berlin", Role: "developer", Reason: "request " + q.ID + ": joins the team",
			Approver: "person " + ids["bo"], ValidTo: &until, ManagedBy: model.ManagedByOperator}}
		if diff := cmp.Diff(want, tree.Rows(cy)); diff != "" {
			t.Error(diff)
		}
		now = until
		time.Sleep(time.Until(until) + 50*time.Millisecond) // the database's clock says who is due
		h.settle()
		if got := h.plat.active(); len(got) != 0 {
			t.Error("after its end: ", got)
		}
		if diff := cmp.Diff([]string{"access.refused JML-3101", "access.refused JML-3101", "access.refused JML-3103", "access.refused JML-3103", "access.refused JML-3103",
			"access.refused JML-3107", "access.refused JML-3107", "access.request open", "access.request.approve approved"}, h.audited(cy)); diff != "" {
			t.Error(diff)
		}
	})
}

// M-25: what is privileged needs two people, or one who decides about such things; ordinary roles of an app need nobody.
func TestWhatIsPrivilegedNeedsTwoOrOneOfTheApprovers(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		now := time.Now().UTC().Truncate(time.Microsecond)
		ids := requests(h, func() time.Time { return now })
		until := now.Add(time.Hour)
		must := func(q model.AccessRequest, err error, want model.RequestStatus) model.AccessRequest {
			t.Helper()
			if err != nil || q.Status != want {
				t.Fatalf("%s, want %s: %v", q.Status, want, err)
			}
			return q
		}
		for _, asked := range []struct{ who, place, role string }{{"cy", "app:crm", "operator"}, {"dan", "group:berlin", ""}, {"cy", "group:security", "guest"}} {
			q, err := h.askFor(ids[asked.who], ids[asked.who], asked.place, asked.role, until)
			if q = must(q, err, model.RequestOpen); !q.Privileged {
				t.Errorf("%+v is not privileged", asked)
			}
			if asked.role == "operator" {
				q, err = h.answer(q.ID, ids["sam"], false)
				must(q, err, model.RequestApproved)
				continue
			}
			q, err = h.answer(q.ID, ids["ada"], false)
			must(q, err, model.RequestOpen)
			if _, err = h.answer(q.ID, ids["ada"], false); model.CodeOf(err) != model.CodeAccessRequest {
				t.Error("the same person twice: ", err)
			}
			if asked.place != "group:berlin" {
				continue
			}
			q, err = h.answer(q.ID, ids["bo"], false)
			if q = must(q, err, model.RequestApproved); q.DecidedBy != ids["ada"]+" "+ids["bo"] {
				t.Error(q.DecidedBy)
			}
		}
		q, err := h.askFor(ids["dan"], ids["dan"], "app:crm", "guest", until)
		if q = must(q, err, model.RequestApproved); q.DecidedBy != "rule access.requests.free" {
			t.Error(q.DecidedBy)
		}
		q, err = h.askFor(ids["dan"], ids["dan"], "group:sales", "guest", until) // in a group it reaches further
		must(q, err, model.RequestOpen)
	})
}

// M-42: what is kept apart is refused when it is asked for, and when it came between the request and the approval.
func TestRequestsAreKeptApart(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		now := time.Now().UTC().Truncate(time.Microsecond)
		ids := requests(h, func() time.Time { return now })
		q, err := h.askFor(ids["cy"], ids["cy"], "group:berlin", "developer", now.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		h.edit(func(s *access.State) { s.Give(given(ids["cy"], "group:sales", "operator")) })
		if _, err = h.answer(q.ID, ids["bo"], false); model.CodeOf(err) != model.CodeSeparated {
			t.Error(err)
		}
		if _, err = h.askFor(ids["cy"], ids["cy"], "group:builders", "developer", now.Add(time.Hour)); model.CodeOf(err) != model.CodeSeparated {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"access.refused JML-3053", "access.refused JML-3053", "access.request open"}, h.audited(ids["cy"])); diff != "" {
			t.Error(diff)
		}
	})
}

// Nobody decides for ever, what was denied or taken back gives nothing, and who has left is given nothing.
func TestRequestsEndWithoutGivingAnything(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		var mu sync.Mutex
		now := time.Now().UTC().Add(-48 * time.Hour).Truncate(time.Microsecond)
		ids := requests(h, func() time.Time { mu.Lock(); defer mu.Unlock(); return now })
		until := now.Add(10 * 24 * time.Hour)
		ask := func(who string) model.AccessRequest {
			t.Helper()
			q, err := h.askFor(ids[who], ids[who], "group:berlin", "developer", until)
			if err != nil {
				t.Fatal(err)
			}
			return q
		}
		denied, back := ask("cy"), ask("dan")
		for id, by := range map[string]string{denied.ID: ids["bo"], back.ID: ids["dan"]} {
			if q, err := h.answer(id, by, true); err != nil || q.Status != model.RequestDenied {
				t.Fatal(q, err)
			}
		}
		late := ask("cy")
		mu.Lock()
		now = now.Add(25 * time.Hour)
		mu.Unlock()
		if _, err := h.answer(late.ID, ids["bo"], false); model.CodeOf(err) != model.CodeAccessRequest {
			t.Error(err)
		}
		if _, err := h.RequestAccess(h.ctx, engine.AccessAsk{Actor: "operator lena", Requester: ids["cy"], Person: ids["cy"], Place: "group:berlin", Role: "developer",
			Reason: "tries", Until: until, DryRun: true}); err != nil {
			t.Error(err)
		}
		if open, err := h.store.AccessRequests(h.ctx, model.RequestQuery{ID: late.ID}); err != nil || open[0].Status != model.RequestOpen {
			t.Error("a dry run wrote: ", open, err)
		}
		again := ask("cy") // the old one is over, and not in its way
		if _, err := h.scim("entra", "e-cy", "cy", false, number("2")); err != nil {
			t.Fatal(err)
		}
		h.settle()
		if _, err := h.answer(again.ID, ids["bo"], false); err != nil {
			t.Error("who is suspended may be back: ", err)
		}
		left := ask("dan")
		if err := h.gone("entra", "e-dan"); err != nil {
			t.Fatal(err)
		}
		h.settle()
		if _, err := h.answer(left.ID, ids["bo"], false); model.CodeOf(err) != model.CodeAccessRefused {
			t.Error("who has left: ", err)
		}
		var got []string
		found, err := h.store.AccessRequests(h.ctx, model.RequestQuery{Place: "group:berlin", Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range found {
			got = append(got, q.Who+" "+string(q.Status))
		}
		slices.Sort(got)
		if diff := cmp.Diff([]string{"cy approved", "cy denied", "cy expired", "dan denied", "dan open"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

// Two people approve at once, and somebody else changes the tree meanwhile: it is given once.
func TestApprovalsAtOnceGiveOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		now := time.Now().UTC().Truncate(time.Microsecond)
		ids := requests(h, func() time.Time { return now })
		q, err := h.askFor(ids["cy"], ids["cy"], "app:crm", "operator", now.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i, who := range []string{"ada", "bo"} {
			wg.Go(func() { _, errs[i] = h.answer(q.ID, ids[who], false) })
		}
		wg.Go(func() { h.edit(func(s *access.State) { s.Give(given(ids["dan"], "group:sales", "guest")) }) })
		wg.Wait()
		found, err := h.store.AccessRequests(h.ctx, model.RequestQuery{ID: q.ID})
		if err != nil || errs[0] != nil || errs[1] != nil || found[0].Status != model.RequestApproved {
			t.Fatal(found, err, errs)
		}
	})
}

// What is open follows a person who turns out to be somebody else; what both asked for is open once, and who asked under either name does not
// approve it.
func TestRequestsFollowAMerge(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		now := time.Now().UTC().Truncate(time.Microsecond)
		ids := requests(h, func() time.Time { return now })
		for who, place := range map[string]string{"cy": "group:berlin", "dan": "group:berlin"} {
			if _, err := h.askFor(ids[who], ids[who], place, "developer", now.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		other, err := h.askFor(ids["bo"], ids["dan"], "app:crm", "operator", now.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		h.settle()
		h.merge(ids["cy"], ids["dan"])
		open, err := h.store.AccessRequests(h.ctx, model.RequestQuery{Status: model.RequestOpen})
		if err != nil || len(open) != 2 || open[0].IdentityID != ids["cy"] || open[1].IdentityID != ids["cy"] {
			t.Fatal(open, err)
		}
		if diff := cmp.Diff([]string{"access.request open", "access.request open", "access.request.deny denied"}, h.audited(ids["dan"])); diff != "" {
			t.Error("what both asked for: ", diff)
		}
		h.settle()
		h.split(ids["cy"], engine.RecordRef{Source: "entra", ID: "e-dan"})
		who := map[string]string{}
		all, err := h.store.AccessRequests(h.ctx, model.RequestQuery{Status: model.RequestOpen})
		for _, q := range all {
			who[q.Who+" "+q.Place] = q.IdentityID
		}
		if diff := cmp.Diff(map[string]string{"cy group:berlin": ids["cy"], "dan group:berlin": ids["dan"], "dan app:crm": ids["dan"]}, who); diff != "" || err != nil {
			t.Error("after the split: ", diff, err)
		}
		if diff := cmp.Diff([]string{"access.request open", "access.request open", "access.request.deny denied", "access.request.return open", "access.request.return open"}, h.audited(ids["dan"])); diff != "" {
			t.Error(diff)
		}
		h.settle()
		h.merge(ids["ada"], ids["bo"])
		if _, err := h.answer(other.ID, ids["ada"], false); model.CodeOf(err) != model.CodeAccessDenied {
			t.Error(err)
		}
	})
}

// Whoever asks while another replica merges them gets back what they asked for when they are split again; who asks after it is told so.
func TestWhatIsAskedForDuringAMergeIsGivenBack(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		now := time.Now().UTC().Truncate(time.Microsecond)
		ids := requests(h, func() time.Time { return now })
		ask := func(who string) error {
			_, err := h.askFor(ids[who], ids[who], "group:berlin", "developer", now.Add(time.Hour))
			return err
		}
		here, b := h.Engine, &between{Store: h.store}
		b.merges = func() {
			there := h.Engine
			h.Engine = here
			for _, who := range []string{"cy", "dan"} {
				if err := ask(who); err != nil {
					t.Error(err)
				}
			}
			h.Engine = there
		}
		opts := h.opts
		opts.Store, opts.Rules = b, byRoles(h)
		h.Engine = engine.New(opts)
		h.merge(ids["cy"], ids["dan"])
		h.Engine = here
		if err := ask("dan"); model.CodeOf(err) != model.CodeAccessRefused {
			t.Error(err)
		}
		h.settle()
		h.split(ids["cy"], engine.RecordRef{Source: "entra", ID: "e-dan"})
		open, err := h.store.AccessRequests(h.ctx, model.RequestQuery{Status: model.RequestOpen})
		who := map[string]string{}
		for _, q := range open {
			who[q.Who] = q.IdentityID
		}
		if diff := cmp.Diff(map[string]string{"cy": ids["cy"], "dan": ids["dan"]}, who); diff != "" || err != nil || !b.done.Load() {
			t.Error(diff, err)
		}
	})
}

// An approval counts as long as who gave it may: not of who has turned out to be who gets it, and not of who has left (M-25).
func TestAnApprovalOfWhoMayNoLongerDoesNotCount(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*house, map[string]string) error{
		"merged": func(h *house, ids map[string]string) error { h.merge(ids["bo"], ids["cy"]); return nil },
		"left":   func(h *house, _ map[string]string) error { return h.gone("entra", "e-bo") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, h *house) {
				now := time.Now().UTC().Truncate(time.Microsecond)
				ids := requests(h, func() time.Time { return now })
				q, err := h.askFor(ids["cy"], ids["cy"], "app:crm", "operator", now.Add(time.Hour))
				if err != nil {
					t.Fatal(err)
				}
				if q, err = h.answer(q.ID, ids["bo"], false); err != nil || q.Status != model.RequestOpen {
					t.Fatal(q, err)
				}
				if err := change(h, ids); err != nil {
					t.Fatal(err)
				}
				h.settle()
				if q, err = h.answer(q.ID, ids["ada"], false); err != nil || q.Status != model.RequestOpen {
					t.Errorf("approved by %s: %v", q.DecidedBy, err)
				}
				if q, err = h.answer(q.ID, ids["sam"], false); err != nil || q.Status != model.RequestApproved || strings.Contains(q.DecidedBy, ids["bo"]) {
					t.Error(q, err)
				}
			})
		})
	}
}

// What was decided about a person who was merged meanwhile is decided again: it would be given to nobody.
func TestADecisionAboutWhoWasMergedMeanwhileIsStale(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		now := time.Now().UTC().Truncate(time.Microsecond)
		ids := requests(h, func() time.Time { return now })
		old, err := h.askFor(ids["cy"], ids["cy"], "group:berlin", "developer", now.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		h.merge(ids["dan"], ids["cy"])
		tree, err := h.store.Access(h.ctx)
		if err != nil {
			t.Fatal(err)
		}
		next := old
		next.Status, next.DecidedBy, next.DecidedAt = model.RequestApproved, ids["bo"], &now
		write := func(old model.AccessRequest) error {
			return h.store.ChangeAccess(h.ctx, &engine.AccessChange{Expect: tree.Revision, ReviewAt: now, Request: &engine.RequestWrite{Old: &old, New: next}})
		}
		if err := write(old); !errors.Is(err, model.ErrStale) {
			t.Error(err)
		}
		old.IdentityID, old.Requester = ids["dan"], ids["dan"]
		if err := write(old); err != nil {
			t.Error(err)
		}
	})
}

// However many have expired, they end at once, and page by page.
func TestAllRequestsThatExpiredEnd(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		now := time.Now().UTC().Truncate(time.Microsecond)
		ids := requests(h, func() time.Time { return now })
		tree, err := h.store.Access(h.ctx)
		if err != nil {
			t.Fatal(err)
		}
		const n = 450
		for i := range n {
			q := model.AccessRequest{ID: model.NewID(now), IdentityID: ids["cy"], Who: "cy", Place: "group:berlin", Role: fmt.Sprint("role ", i), Reason: "joins the team", ValidTo: now.Add(time.Hour),
				Requester: ids["cy"], Actor: "operator ada", Approvals: "[]", ExpiresAt: now.Add(-time.Minute), Status: model.RequestOpen, CreatedAt: now.Add(-time.Hour)}
			if err := h.store.ChangeAccess(h.ctx, &engine.AccessChange{Expect: tree.Revision + int64(i), ReviewAt: now, Request: &engine.RequestWrite{New: q}}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := h.askFor(ids["cy"], ids["cy"], "group:berlin", "developer", now.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		for status, want := range map[model.RequestStatus]int{model.RequestOpen: 1, model.RequestExpired: n} {
			if found, err := h.store.AccessRequests(h.ctx, model.RequestQuery{Status: status}); err != nil || len(found) != want {
				t.Errorf("%s: %d, want %d: %v", status, len(found), want, err)
			}
		}
	})
}
