package console_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"jmld/jml/access"
	"jmld/jml/engine"
	"jmld/model"
)

// fake is a small company in memory that answers the questions of the console and remembers its decisions.
type fake struct {
	mu       sync.Mutex
	runs     []model.Run // newest first
	plans    []model.Plan
	changes  []model.Change // newest first
	people   []model.Identity
	records  []model.Record
	accounts []model.Account
	groups   map[string][]model.Membership
	keys     map[string][]model.Key
	audit    []model.AuditEntry
	problems []model.Problem
	dialects []model.DialectUse
	tally    model.Tally
	tree     access.State
	err      error // returned by every question
	uncount  error // returned by Tally

	asked    []any // queries of lists
	approved []string
	retried  []model.AccountQuery
	stale    bool // the next approval finds another digest
}

func (f *fake) ask(q any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, q)
	return f.err
}

func after[T any](rows []T, id func(T) string, before string, limit int) []T {
	if before != "" {
		i := slices.IndexFunc(rows, func(r T) bool { return id(r) == before })
		rows = rows[i+1:]
	}
	return rows[:min(limit, len(rows))]
}

func filter[T any](rows []T, keep func(T) bool) []T {
	var out []T
	for _, r := range rows {
		if keep(r) {
			out = append(out, r)
		}
	}
	return out
}

func find[T any](rows []T, is func(T) bool) (T, error) {
	var zero T
	if i := slices.IndexFunc(rows, is); i >= 0 {
		return rows[i], nil
	}
	return zero, model.ErrNotFound
}

func is(want, got string) bool { return want == "" || want == got }

func (f *fake) RunList(_ context.Context, source string, limit int, before string) ([]model.Run, error) {
	rows := filter(f.runs, func(r model.Run) bool { return is(source, r.Source) })
	return after(rows, func(r model.Run) string { return r.ID }, before, limit), f.ask("runs " + source)
}

func (f *fake) Run(_ context.Context, id string) (model.Run, error) {
	if err := f.ask("run " + id); err != nil {
		return model.Run{}, err
	}
	return find(f.runs, func(r model.Run) bool { return r.ID == id })
}

func (f *fake) Changes(_ context.Context, q model.ChangeQuery) ([]model.Change, error) {
	rows := filter(f.changes, func(c model.Change) bool {
		return is(q.RunID, c.RunID) && is(q.PlanID, c.PlanID) && is(q.IdentityID, c.IdentityID) && is(q.Source, c.Source) &&
			is(q.Target, c.Target) && (len(q.States) == 0 || slices.Contains(q.States, c.State)) &&
			(len(q.Ops) == 0 || slices.Contains(q.Ops, c.Op))
	})
	return after(rows, func(c model.Change) string { return c.ID }, q.Before, q.Limit), f.ask(q)
}

func (f *fake) Dialects(_ context.Context, source string) ([]model.DialectUse, error) {
	return filter(f.dialects, func(u model.DialectUse) bool { return u.Source == source }), f.ask("dialects " + source)
}

func (f *fake) Plans(_ context.Context, states []model.PlanState, limit int) ([]model.Plan, error) {
	rows := filter(f.plans, func(p model.Plan) bool { return slices.Contains(states, p.State) })
	return rows[:min(limit, len(rows))], f.ask(states)
}

func (f *fake) Plan(_ context.Context, id string) (model.Plan, error) {
	if err := f.ask("plan " + id); err != nil {
		return model.Plan{}, err
	}
	return find(f.plans, func(p model.Plan) bool { return p.ID == id })
}

func (f *fake) People(_ context.Context, q model.PeopleQuery) ([]model.Identity, error) {
	rows := filter(f.people, func(i model.Identity) bool {
		return strings.Contains(i.SearchKey, model.FoldKey(q.Search)) && is(string(q.Lifecycle), string(i.Lifecycle))
	})
	rows = rows[min(q.Offset, len(rows)):]
	return rows[:min(q.Limit, len(rows))], f.ask(q)
}

func (f *fake) Identity(_ context.Context, id string) (model.Identity, error) {
	if err := f.ask("identity " + id); err != nil {
		return model.Identity{}, err
	}
	return find(f.people, func(i model.Identity) bool { return i.ID == id })
}

func (f *fake) AccessFrame(context.Context) (access.State, error) { return f.tree, f.err }

func (f *fake) Load(_ context.Context, subjects []engine.Subject) ([]engine.Person, error) {
	var out []engine.Person
	for _, s := range subjects {
		i, err := find(f.people, func(i model.Identity) bool { return i.ID == s.Identity })
		if err != nil {
			out = append(out, engine.Person{})
			continue
		}
		out = append(out, engine.Person{
			Identity: &i, Keys: f.keys[s.Identity], Groups: f.groups[s.Identity], Access: f.tree.Members,
			Records:  filter(f.records, func(r model.Record) bool { return r.IdentityID == s.Identity }),
			Accounts: filter(f.accounts, func(a model.Account) bool { return a.IdentityID == s.Identity }),
		})
	}
	return out, f.ask(subjects)
}

func (f *fake) Accounts(_ context.Context, q model.AccountQuery) ([]model.Account, error) {
	rows := filter(f.accounts, func(a model.Account) bool {
		return is(q.IdentityID, a.IdentityID) && is(q.Target, a.Target) && is(string(q.State), string(a.State)) &&
			is(string(q.Class), string(a.Class)) && is(string(q.Code), string(a.ErrorCode)) && (!q.Dead || a.Dead) &&
			(!q.Unsettled || a.DueAt != nil || a.Dead) && strings.Contains(a.UserName, q.Search)
	})
	rows = rows[min(q.Offset, len(rows)):]
	return rows[:min(q.Limit, len(rows))], f.ask(q)
}

func (f *fake) Problems(context.Context) ([]model.Problem, error) {
	return f.problems, f.ask("problems")
}

func (f *fake) Tally(context.Context) (model.Tally, error) {
	if f.uncount != nil {
		return model.Tally{}, f.uncount
	}
	return f.tally, f.ask("tally")
}

func (f *fake) AuditList(_ context.Context, subject string, limit int) ([]model.AuditEntry, error) {
	rows := filter(f.audit, func(a model.AuditEntry) bool { return a.Subject == subject })
	return rows[:min(limit, len(rows))], f.ask("audit " + subject)
}

func (f *fake) Approve(_ context.Context, plan, digest, actor string) (engine.Approval, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.plans, func(p model.Plan) bool { return p.ID == plan })
	if i < 0 {
		return engine.Approval{}, model.ErrNotFound
	}
	if f.stale || f.plans[i].Digest != digest {
		f.plans[i].Digest = "d2-after"
		return engine.Approval{}, fmt.Errorf("approve plan: %w", model.ErrStale)
	}
	f.approved = append(f.approved, plan+" "+digest+" "+actor)
	at := now()
	f.plans[i].State, f.plans[i].ApprovedBy, f.plans[i].ApprovedAt = model.PlanApproved, actor, &at
	var done engine.Approval
	for j := range f.changes {
		ch := &f.changes[j]
		if ch.PlanID != plan || ch.State != model.ChangeHeld {
			continue
		}
		ch.DecidedBy, ch.DecidedAt = actor, &at
		if len(done.Refused) == 0 { // somebody came back meanwhile
			ch.State = model.ChangeRefused
			done.Refused = append(done.Refused, *ch)
			continue
		}
		ch.State = model.ChangeCommitted
		done.Committed = append(done.Committed, *ch)
	}
	done.Plan = f.plans[i]
	return done, nil
}

func (f *fake) Retry(_ context.Context, q model.AccountQuery, _ string) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.retried = append(f.retried, q)
	return 3, nil
}

func now() time.Time { return time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC) }

func js(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

// company fills a fake with a company that has everything a page can show.
func company(t testing.TB) *fake {
	t.Helper()
	f := &fake{groups: map[string][]model.Membership{}, keys: map[string][]model.Key{}}
	c := builder{t: t, fake: f}
	given := []string{"Ada", "Ben", "Cleo", "Dario", "Edda", "Femi", "Greta", "Hugo", "Iris", "Jonas", "Kaja", "Liam", "Mara",
		"Nils", "Oona", "Pavel", "Quirin", "Rosa", "Sven", "Tara", "Ulf", "Vera", "Wim", "Xenia", "Yara", "Zeno"}
	family := []string{"Albers", "Brandt", "Conti", "Dahl", "Ewald", "Faber", "Grau"}
	for i := range 61 {
		c.person(i, given[i%len(given)], family[i%len(family)])
	}
	slices.SortFunc(f.people, func(a, b model.Identity) int { return cmp.Compare(a.DisplayName, b.DisplayName) })
	c.history()
	seen := func(dialect, note string, n int, back time.Duration, record string) {
		f.dialects = append(f.dialects, model.DialectUse{Source: "entra", Dialect: dialect, Note: note, Requests: n,
			FirstAt: now().Add(-300 * time.Hour), LastAt: now().Add(-back), RequestID: c.id(back), RecordID: record})
	}
	person := c.id(time.Hour)
	seen("Entra legacy PATCH", "", 1204, 3*time.Minute, person)
	seen("Entra legacy PATCH", `op: "Replace" read as "replace"`, 1204, 3*time.Minute, person)
	seen("Entra legacy PATCH", `active: "False" read as false`, 31, 5*time.Hour, person)
	seen("Entra legacy PATCH", "urn:ietf:params:scim:schemas:extension:Facilities:2.0:User:badge: unknown, ignored", 2, 70*time.Hour, person)
	seen("RFC 7644", "", 611, time.Minute, "")
	return f
}

type builder struct {
	*fake
	t testing.TB
	n int
}

// id makes ids in order of time.
func (c *builder) id(back time.Duration) string {
	c.n++
	ms := now().Add(-back).UnixMilli()
	return fmt.Sprintf("%08x-%04x-7000-8000-%012x", ms>>16, ms&0xffff, c.n)
}

func (c *builder) person(i int, given, family string) {
	t := now()
	user := strings.ToLower(given + "." + family)
	name, mail := given+" "+family, user+"@example.org"
	id := c.id(time.Duration(100+i) * time.Hour)
	life, active := model.Active, true
	switch {
	case i%19 == 7:
		life, active = model.Suspended, false
	case i%23 == 11:
		life = model.Established
	}
	attrs := map[string]any{
		"userName": user, "displayName": name, "name": map[string]any{"givenName": given, "familyName": family},
		"emails": []any{map[string]any{"value": mail, "type": "work", "primary": true}}, "title": "Engineer",
		enterprise: map[string]any{"department": "Platform", "employeeNumber": fmt.Sprint(4000 + i)},
	}
	sources := []string{"corp"}
	prov := map[string]model.Provenance{"*": {Winner: "corp", Rule: "the only source"}}
	if i%3 == 0 {
		sources = append(sources, "entra")
		rule := "precedence corp > entra"
		prov = map[string]model.Provenance{}
		for k := range attrs {
			if k != enterprise {
				prov[k] = model.Provenance{Winner: "corp", Rule: rule}
			}
		}
		prov["title"] = model.Provenance{Winner: "corp", Losers: []string{"entra"}, Rule: rule}
		prov["active"] = model.Provenance{Winner: "corp", Losers: []string{"entra"}, Rule: "authority for active corp > entra"}
		prov[enterprise+":department"] = model.Provenance{Winner: "corp", Rule: rule}
		prov[enterprise+":employeeNumber"] = model.Provenance{Winner: "corp", Rule: rule}
	}
	for _, s := range sources {
		said := maps.Clone(attrs)
		rec := model.Record{Source: s, ID: c.id(50 * time.Hour), Kind: model.KindUser, UserName: user, DisplayName: name,
			Active: active, IdentityID: id, Link: model.Linked, Version: 3, CreatedAt: t.Add(-900 * time.Hour), UpdatedAt: t.Add(-26 * time.Hour)}
		if s == "entra" {
			said["title"], rec.Active, rec.ExternalID = "Senior Engineer", true, fmt.Sprintf("ext-%04d", i)
			c.audit = append(c.audit, model.AuditEntry{ID: c.id(time.Hour), At: t.Add(-26 * time.Hour), Actor: "source entra, token laptop",
				Action: "scim.patch", Source: s, Subject: rec.ID})
		}
		rec.Attrs = js(c.t, said)
		c.records = append(c.records, rec)
	}
	categories := "app,platform"
	if i%4 == 3 {
		categories = "app"
	}
	c.people = append(c.people, model.Identity{
		ID: id, Lifecycle: life, UserName: user, DisplayName: name, Email: mail, Organisation: "Example", Categories: categories,
		SearchKey: model.FoldKey(name) + "\n" + model.FoldKey(user) + "\n" + mail, Attrs: js(c.t, attrs), Provenance: js(c.t, prov),
		Version: 4, CreatedAt: t.Add(-900 * time.Hour), UpdatedAt: t.Add(-time.Duration(i) * 37 * time.Minute),
	})
	c.groups[id] = []model.Membership{{Source: "corp", GroupID: "g1", DisplayName: "builders", Direct: i%2 == 0},
		{Source: "corp", GroupID: "g2", DisplayName: "staff", Direct: true}}
	c.keys[id] = []model.Key{{Name: "employeeNumber", Value: fmt.Sprint(4000 + i)}, {Name: "email", Value: mail}}
	for _, target := range []string{"platform", "app"} {
		if target == "platform" && categories == "app" {
			continue
		}
		c.account(i, id, user, target, active)
	}
}

func (c *builder) account(i int, id, user, target string, active bool) {
	t := now()
	seen := t.Add(-25 * time.Hour)
	desired := js(c.t, map[string]any{"userName": user, "displayName": user, "emails": []any{map[string]any{"value": user + "@example.org"}}})
	a := model.Account{
		IdentityID: id, Target: target, Class: model.Class(target), Origin: model.OriginOurs, State: model.AccountActive, UserName: user,
		Desired: desired, DesiredRev: 2, NativeID: "n-" + user, AppliedState: model.AccountActive, Applied: desired, AppliedRev: 2, AppliedAt: &seen,
		Because:   js(c.t, model.Reason{Text: "in group builders", Rule: "builders", Source: "corp", Groups: []string{"builders"}, At: seen}),
		CreatedAt: t.Add(-900 * time.Hour), UpdatedAt: seen,
	}
	if !active {
		a.State, a.AppliedState = model.AccountInactive, model.AccountInactive
		a.Because = js(c.t, model.Reason{Text: "corp says inactive", Source: "corp", At: seen})
	}
	due := t.Add(4 * time.Minute)
	switch {
	case target == "app" && i%17 == 5: // the target says no
		a.Dead, a.ErrorCode, a.Attempts, a.AppliedRev = true, model.CodeTargetRefused, 1, 1
		a.ErrorText = "400 invalidValue: displayName must not be longer than 20 characters"
		a.Applied = js(c.t, map[string]any{"userName": user, "displayName": "old name", "emails": []any{map[string]any{"value": user + "@example.org"}}})
	case target == "app" && i%17 == 9: // the target is away
		a.DueAt, a.ErrorCode, a.Attempts, a.AppliedRev = &due, model.CodeTargetUnreachable, 3, 1
		a.ErrorText = "connect to 127.0.0.1:9443: connection refused"
		if i == 26 {
			a.State, a.UpdatedAt = model.AccountInactive, t.Add(-12*time.Minute)
		}
	case i == 3:
		a.DueAt = &t
	}
	c.accounts = append(c.accounts, a)
}

func (c *builder) history() {
	t := now()
	ago := func(d time.Duration) time.Time { return t.Add(-d) }
	end := func(d time.Duration) *time.Time { e := t.Add(-d); return &e }
	proof := model.Proof{Complete: true, Server: "ldap.example.org (OpenLDAP)", Users: 61, Groups: 9, Pages: 1, Unresolved: 1,
		Skipped: []model.Skipped{{ID: "x", Name: "uid=noname,ou=people,dc=example,dc=org", Text: "no userName: attribute uid is empty"}},
		Conditions: []model.Condition{{Name: "search ended with success", OK: true, Seen: "result 0"}, {Name: "last page had no cookie", OK: true, Seen: "1 page"},
			{Name: "canary found", OK: true, Seen: "cn=reader,dc=example,dc=org"}, {Name: "no referrals", OK: true, Seen: "0"}}}
	partial := proof
	partial.Complete = false
	partial.Conditions = slices.Clone(proof.Conditions)
	partial.Conditions[0] = model.Condition{Name: "search ended with success", Seen: "result 4 (sizeLimitExceeded) after 40 entries"}

	heldRun, failedRun, planID, disputed := c.id(3*time.Hour), c.id(7*24*time.Hour), c.id(3*time.Hour), c.id(3*time.Hour)
	c.runs = []model.Run{
		{ID: heldRun, Job: "read:corp", Source: "corp", Trigger: "schedule", State: model.RunHeld, Verdict: model.VerdictComplete, Replica: "node-1",
			Proof:     js(c.t, proof),
			Funnel:    js(c.t, model.Funnel{Users: 61, Groups: 9, Unchanged: 57, New: 2, Changed: 3, Absent: 7, Skipped: 1, Disputed: 1, Reviewed: 4, Create: 3, Update: 2, Deactivate: 9, Reactivate: 1, Held: 8, Findings: 1}),
			StartedAt: ago(3 * time.Hour), HeartbeatAt: ago(3*time.Hour - 2*time.Second), FinishedAt: end(3*time.Hour - 2*time.Second)},
		{ID: c.id(27 * time.Hour), Job: "read:corp", Source: "corp", Trigger: "demand", Actor: "operator ada", State: model.RunSucceeded, Verdict: model.VerdictIncomplete,
			ErrorCode: model.CodeSourceLimit, ErrorText: "read ldap source corp: page 1: result 4 (sizeLimitExceeded) after 40 entries", Proof: js(c.t, partial),
			Funnel: js(c.t, model.Funnel{Users: 40, Unchanged: 40}), StartedAt: ago(27 * time.Hour), HeartbeatAt: ago(27 * time.Hour), FinishedAt: end(27*time.Hour - 800*time.Millisecond)},
		{ID: failedRun, Job: "read:corp", Source: "corp", Trigger: "schedule", State: model.RunFailed, ErrorCode: model.CodeSourceCredentials,
			ErrorText: "bind cn=reader,dc=example,dc=org: result 49 (invalidCredentials)", StartedAt: ago(51 * time.Hour), HeartbeatAt: ago(51 * time.Hour), FinishedAt: end(51*time.Hour - 90*time.Millisecond)},
	}
	for d := 3; d < 9; d++ {
		back := time.Duration(d)*24*time.Hour + 3*time.Hour
		c.runs = append(c.runs, model.Run{ID: c.id(back), Job: "read:corp", Source: "corp", Trigger: "schedule", State: model.RunSucceeded, Verdict: model.VerdictComplete,
			Proof: js(c.t, proof), Funnel: js(c.t, model.Funnel{Users: 61, Groups: 9, Unchanged: 70}), DryRun: d == 5,
			StartedAt: ago(back), HeartbeatAt: ago(back), FinishedAt: end(back - 1700*time.Millisecond)})
	}
	c.plans = []model.Plan{
		{ID: planID, RunID: heldRun, Source: "corp", Trigger: "read", State: model.PlanHeld, Items: 8, Digest: "d1-7c0ffee5a11",
			Reason:    "7 of 61 people of corp would lose an account (11.5 %); held above 5 people or 1 %, and never above 10 % without approval",
			ExpiresAt: t.Add(69 * time.Hour), CreatedAt: ago(3 * time.Hour), UpdatedAt: ago(3 * time.Hour)},
		{ID: c.id(300 * time.Hour), Source: "entra", Trigger: "push", State: model.PlanExpired, Reason: "9 people within 24 h; held above 5", Digest: "d0",
			ExpiresAt: ago(200 * time.Hour), CreatedAt: ago(280 * time.Hour), UpdatedAt: ago(200 * time.Hour)},
	}
	at := ago(3 * time.Hour)
	add := func(ch model.Change) {
		ch.ID, ch.RunID, ch.At = c.id(3*time.Hour), heldRun, at
		if ch.Source == "" {
			ch.Source = "corp"
		}
		c.changes = append(c.changes, ch)
	}
	for i := range 8 {
		p := c.people[i/2*3]
		target := []string{"platform", "app"}[i%2]
		attrs := map[string]any{"userName": p.UserName, "displayName": p.DisplayName}
		add(model.Change{PlanID: planID, IdentityID: p.ID, Who: p.DisplayName, Target: target, Op: model.OpDeactivate, Event: model.EventLeaver, State: model.ChangeHeld,
			Before: js(c.t, model.Snapshot{State: model.AccountActive, Attributes: attrs}), After: js(c.t, model.Snapshot{State: model.AccountInactive, Attributes: attrs}),
			Because: js(c.t, model.Reason{Text: "no source has an active record of the person any more", Source: "corp", Record: c.records[i].ID, Absent: true, At: at})})
	}
	mover, joiner := c.people[20], c.people[30]
	add(model.Change{IdentityID: mover.ID, Who: mover.DisplayName, Target: "platform", Op: model.OpDeactivate, Event: model.EventMover, State: model.ChangeCommitted, DecidedBy: "guard",
		Before: js(c.t, model.Snapshot{State: model.AccountActive}), After: js(c.t, model.Snapshot{State: model.AccountInactive}),
		Because: js(c.t, model.Reason{Text: "rule builders no longer holds", Rule: "builders", Source: "corp", Groups: []string{"builders"}, At: at})})
	for i, target := range []string{"platform", "app", "app"} {
		p := c.people[30+i/2]
		add(model.Change{IdentityID: p.ID, Who: p.DisplayName, Target: target, Op: model.OpCreate, Event: model.EventJoiner, State: model.ChangeCommitted,
			After:   js(c.t, model.Snapshot{State: model.AccountActive, Attributes: map[string]any{"userName": p.UserName, "displayName": p.DisplayName, "name": map[string]any{"givenName": "Jo"}, "emails": []any{map[string]any{"value": p.Email, "type": "work", "primary": true}}}}),
			Because: js(c.t, model.Reason{Text: "rule holds: in group builders", Rule: "builders", Source: "corp", Groups: []string{"builders"}, At: at})})
	}
	for _, target := range []string{"platform", "app"} {
		add(model.Change{IdentityID: mover.ID, Who: mover.DisplayName, Target: target, Op: model.OpUpdate, Event: model.EventMover, State: model.ChangeCommitted,
			Before:  js(c.t, model.Snapshot{State: model.AccountActive, Attributes: map[string]any{"title": "Engineer", "userName": mover.UserName, enterprise: map[string]any{"department": "Platform"}}}),
			After:   js(c.t, model.Snapshot{State: model.AccountActive, Attributes: map[string]any{"title": "Lead engineer", "userName": mover.UserName, enterprise: map[string]any{"department": "Research"}}}),
			Because: js(c.t, model.Reason{Text: "corp changed title, department", Source: "corp", At: at})})
	}
	add(model.Change{IdentityID: joiner.ID, Who: joiner.DisplayName, Target: "app", Op: model.OpReactivate, Event: model.EventRehire, State: model.ChangeCommitted, Source: "entra",
		Before: js(c.t, model.Snapshot{State: model.AccountInactive}), After: js(c.t, model.Snapshot{State: model.AccountActive}),
		Because: js(c.t, model.Reason{Text: "entra says active again", Source: "entra", At: at})})
	add(model.Change{Who: "uid=twin,ou=people,dc=example,dc=org", Op: model.OpFinding, Code: model.CodeCorrelationDisputed, State: model.ChangeNoted,
		Because: js(c.t, model.Reason{Text: "employeeNumber 4003 and email point to different people", Source: "corp", Record: disputed, At: at})})
	c.tally = model.Tally{Identities: map[model.Lifecycle]int{model.Active: 56, model.Established: 2, model.Suspended: 3}, Disputed: 1, Held: 8}
	for _, target := range []string{"platform", "app"} {
		n := model.AccountTally{Target: target, Class: model.Class(target)}
		for _, a := range c.accounts {
			switch {
			case a.Target != target:
				continue
			case a.Dead:
				n.Dead++
			case a.DueAt != nil && a.ErrorCode != "":
				n.Retrying++
			case a.DueAt != nil:
				n.Due++
			default:
				n.Settled++
			}
			if a.State == model.AccountActive {
				n.Active++
			} else {
				n.Inactive++
			}
		}
		n.Held = 4
		c.tally.Accounts = append(c.tally.Accounts, n)
	}
	c.problems = []model.Problem{
		{Target: "app", Code: model.CodeTargetUnreachable, Text: "connect to 127.0.0.1:9443: connection refused", Count: 3, Oldest: ago(40 * time.Minute)},
		{Target: "app", Code: model.CodeTargetRefused, Text: "400 invalidValue: displayName must not be longer than 20 characters", Dead: true, Count: 4, Oldest: ago(30 * time.Hour)},
		{Target: "platform", Code: model.CodeTargetRefused, Text: "400 invalidValue: title is not in the list", Dead: true, Count: 1, Oldest: ago(5 * time.Hour)},
	}
}
