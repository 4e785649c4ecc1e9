package jml

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"jmld/jml/access"
	"jmld/jml/policy"
	"jmld/model"
)

// Situation is everything a decision about one person depends on.
type Situation struct {
	Now      time.Time
	ID       string          // the identity's; made by the caller for a new person
	Identity *model.Identity // nil: a new person
	Records  []model.Record  // the person's user records as they will be
	Keys     []model.Key     // the keys the identity owns
	Groups   []model.Membership
	Accounts []model.Account
	Access   *access.View
	// Managers are the facts about whom records name as the manager (ManagerFacts), where it is somebody who is known.
	Managers map[ManagerRef]map[string]any
	// Administrators counts, for each target, the active administrators who would be left without the person. What is not told is none.
	Administrators map[string]int
	// Names says whose user names are, of those that were asked about: "" nobody's.
	Names map[NameKey]string
	Cause Cause
}

// Cause is the evidence that made us decide.
type Cause struct {
	Source string
	Record string
	Text   string // "created by entra", "missing in a complete read of corp"
	Absent bool
	Event  model.Event // of what is taken away, "": as it looks
}

// Decision is what follows. Its changes are decided, not applied: taking something away waits for the guard.
type Decision struct {
	Identity model.Identity // Version as in the situation; 0 for a new person
	AddKeys  []model.Key
	DropKeys []model.Key
	Steps    []Step          // sorted by target
	Settled  []Settled       // held changes that lost their cause, sorted by target and plan
	Findings []model.Change  // new ones
	Marks    []model.Account // accounts of whose privileges something else is known now, and nothing changes
	Owned    []string        // places of apps that the person owns and has to hand over
	Names    []model.AccountName
	Asks     []NameKey // whose these are has to be known to decide on: Situation.Names
	// Memberships is what becomes of groups and roles, once what was decided about accounts has passed the guard.
	Memberships access.Step
	Ended       string // the organisation whose engagement is over, when that is why accounts go
}

// Step is one change of one account.
type Step struct {
	Change  model.Change
	Before  *model.Account // without what is settled; nil: there is none
	Account model.Account  // as it will be
}

// Settled is a change of an account that waits in a plan and lost its cause.
type Settled struct {
	Plan    string
	State   bool          // the account's state, not its attributes
	Account model.Account // without what waits in any settled plan
}

// Decide derives what should exist for one person and how that differs from what is desired now.
func (r *Rules) Decide(s Situation) Decision {
	c := r.decide(s, course{})
	if !c.ends() {
		return c.Decision
	}
	after := r.decide(s, course{released: true})
	if c.exchanged = c.exchanges(after); len(c.exchanged) > 0 {
		c = r.decide(s, course{exchanged: c.exchanged})
	}
	if c.left(r) {
		return after.Decision
	}
	return c.Decision
}

// course is one of the ways that a decision may take while something ends that keeps something else away.
type course struct {
	Decision
	w         situation
	out       policy.Outcome
	released  bool     // what ended keeps nothing away any more
	exchanged []string // targets whose account stays as it is: it would be there by what comes
}

func (r *Rules) decide(s Situation, c course) course {
	live := make([]model.Record, 0, len(s.Records))
	for _, rec := range s.Records {
		if rec.AbsentSince == nil && rec.Link == model.Linked {
			live = append(live, rec)
		}
	}
	slices.SortFunc(live, func(a, b model.Record) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(missing(a), missing(b)), cmp.Compare(asleep(a), asleep(b)), cmp.Compare(a.ID, b.ID))
	})
	if !slices.ContainsFunc(live, r.anchors) { // a source that makes nobody new brings nobody back, either (M-33)
		live = nil
	}
	fused := r.Fuse(live)
	if len(r.Conditional) > 0 && len(live) > 1 && r.Policy != nil {
		fused = r.refuse(live, policy.Person{ID: s.ID, Attrs: fused.Attrs, Active: fused.Active, Sources: sources(live),
			Groups: groupNames(s.Groups, live)}, provenanceOf(s.Identity))
	}
	if len(live) > 0 {
		fused.since(s.Identity, s.Now)
	}
	if s.Identity != nil && len(live) == 0 { // gone everywhere: what was known still names the person
		fused.Attrs = Decode(s.Identity.Attrs)
		fused.Provenance = provenanceOf(s.Identity)
	}
	w := situation{Situation: s, fused: fused, live: live, released: c.released, exchanged: c.exchanged}
	var out policy.Outcome
	if r.Policy != nil {
		home, _ := r.Policy.Home(fused.Attrs)
		w.phase = r.phase(s, live, fused, home)
		who := policy.Person{ID: s.ID, Attrs: fused.Attrs, Active: fused.Active, Lifecycle: w.lifecycle,
			Sources: sources(live), Groups: groupNames(s.Groups, live), Memberships: memberOf(s.Groups, live), Manager: fused.manager(s.Managers)}
		out = r.outcome(&w, who)
	} else {
		w.phase = r.phase(s, live, fused, "")
	}

	if at := s.Access.NextChange(); at != nil {
		w.soon(s.Now, *at) // a role begins or ends then
	}
	w.owner()

	var d Decision
	d.Memberships = r.memberships(&w)
	d.Identity = r.identity(s, w.lifecycle, fused, out)
	if r.Policy != nil {
		w.entitled.note(&d.Identity, r.separated())
	}
	r.external(&w, out)
	d.AddKeys, d.DropKeys = r.keyChanges(live, s.Keys)
	w.now = d.Identity
	if r.Policy != nil { // without one nothing is known about anybody
		for _, target := range slices.Sorted(slices.Values(r.Targets)) {
			r.target(&d, &w, target, out)
		}
	}
	d.conclude(&w, out)
	d.Ended, d.Owned = w.ended, w.owned
	d.Findings = newFindings(s, d.Identity)
	c.Decision, c.w, c.out = d, w, out
	return c
}

// situation is a Situation with what was derived from it.
type situation struct {
	Situation
	phase
	entitled
	owned     []string
	fused     Fused
	live      []model.Record
	now       model.Identity
	released  bool // as in course
	exchanged []string
}

func (r *Rules) target(d *Decision, w *situation, target string, out policy.Outcome) {
	var acct *model.Account
	if i := slices.IndexFunc(w.Accounts, func(a model.Account) bool { return a.Target == target }); i >= 0 {
		acct = &w.Accounts[i]
	}
	unknown := slices.ContainsFunc(out.Findings, func(f policy.Finding) bool { return f.Target == target || f.Target == "" })
	if slices.Contains(w.exchanged, target) {
		if now := *acct; now.HeldPlan != "" { // that it goes: it stays, by what comes
			now.HeldPlan = ""
			d.Settled = append(d.Settled, Settled{Plan: acct.HeldPlan, State: true, Account: now})
		}
		return
	}
	if unknown && w.verdict != take { // unknown is not no: keep what is; who is not active has no account whatever the rules say
		return
	}
	var grant *policy.Grant
	if i := slices.IndexFunc(out.Grants, func(g policy.Grant) bool { return g.Target == target }); i >= 0 {
		grant = &out.Grants[i]
	}
	want := w.verdict == give && grant != nil
	if w.verdict == keep {
		if grant == nil || !w.before(r.Policy, *grant) {
			return
		}
		want = true
	}
	if want && grant.Naming != nil && (acct != nil && acct.State == model.AccountActive || r.admitted(w, target, out)) && !r.name(d, w, acct, grant) {
		return
	}
	if acct == nil {
		if want && r.admitted(w, target, out) {
			if step := r.permit(w, nil, grant, r.grant(w, nil, *grant)); step != nil {
				d.Steps = append(d.Steps, *step)
			}
		}
		return
	}
	now := *acct
	var step *Step
	var over []string
	switch {
	case want && now.State == model.AccountActive:
		grant.Attrs, over = keepHeld(&now, grant.Attrs)
		step = r.grant(w, &now, *grant)
	case now.State == model.AccountActive:
		step = r.leave(w, now, grant)
	default: // what waited of its attributes is over
		over, now.HeldAttrs = plansOf(now), ""
		if want && r.admitted(w, target, out) {
			step = r.grant(w, &now, *grant)
		} else if !want && now.State == model.AccountInactive {
			step = r.retire(w, now)
		}
	}
	step = r.permit(w, &now, grant, step)
	noted := false
	switch {
	case step == nil:
		now, noted = r.marked(w, &now, grant)
	case step.Change.Op == model.OpDeactivate:
		if rule, _ := r.Policy.RuleOf(target, ruleOf(step.Account)); rule.DeleteAfter > 0 {
			w.soon(w.Now, w.Now.Add(rule.DeleteAfter))
		}
	}
	waits := now.HeldPlan
	switch {
	case waits == "":
	case step != nil && step.Change.Op == model.OpReactivate && r.retire(w, now) != nil: // what waits may be the deletion
		now.HeldPlan = ""
		over = append(over, waits)
	case step != nil && (step.Change.Op.Leaves() || step.Change.Op == model.OpReactivate || step.Change.Op == model.OpCreate):
		step = nil // it waits already
	default:
		now.HeldPlan = ""
		over = append(over, waits)
	}
	for _, plan := range over {
		d.Settled = append(d.Settled, Settled{Plan: plan, State: plan == waits, Account: now})
	}
	if noted {
		d.Marks = append(d.Marks, now)
	}
	if step != nil {
		step.Before = &now
		step.Account.HeldPlan, step.Account.HeldAttrs = now.HeldPlan, now.HeldAttrs
		d.Steps = append(d.Steps, *step)
	}
}

func (r *Rules) grant(w *situation, acct *model.Account, g policy.Grant) *Step {
	next := model.Account{Target: g.Target, Origin: model.OriginOurs}
	if acct != nil {
		next = *acct
	}
	next.State, next.Desired, next.Priority = model.AccountActive, Canonical(g.Attrs), 1
	next.UserName, _ = g.Attrs["userName"].(string)
	op, event := opFor(acct, next)
	var text string
	var was, is map[string]any
	switch op {
	case "":
		return nil
	case model.OpUpdate:
		was, is = Decode(acct.Desired), Decode(next.Desired)
		text = "changed: " + strings.Join(differ(was, is), ", ")
	case model.OpCreate:
		text = fmt.Sprintf("rule %s holds", g.Rule)
	case model.OpReactivate:
		text = fmt.Sprintf("rule %s holds again", g.Rule)
	}
	dated := op != model.OpUpdate && w.Cause.Record == ""
	switch {
	case dated && !w.start.IsZero():
		text += " before the start"
	case dated && w.Identity != nil && w.Identity.Lifecycle == model.Established:
		text += " from the start"
	default:
		dated = false
	}
	step := w.step(acct, next, op, event, model.Reason{Rule: g.Rule, Text: w.because(text, dated)})
	if op == model.OpUpdate {
		step.Change.Attrs = strings.Join(marks(was, is), " ")
	}
	return step
}

// opFor compares an account (nil: none) with what it should be while active.
func opFor(acct *model.Account, next model.Account) (model.Op, model.Event) {
	switch {
	case acct == nil, acct.State == model.AccountUnknown: // one that waited for approval, and was never there
		return model.OpCreate, model.EventJoiner
	case acct.State == model.AccountAbsent:
		return model.OpCreate, model.EventRehire
	case acct.State != model.AccountActive:
		return model.OpReactivate, model.EventRehire
	case acct.Desired != next.Desired:
		return model.OpUpdate, model.EventMover
	}
	return "", model.EventNone
}

func (r *Rules) leave(w *situation, acct model.Account, grant *policy.Grant) *Step {
	next := acct
	next.Priority = 0
	next.State = model.AccountInactive
	rule := ruleOf(acct)
	leaver := r.Policy.Leaver(acct.Target, rule)
	if grant != nil {
		rule, leaver = grant.Rule, grant.Leaver
	}
	op := model.OpDeactivate
	if leaver == policy.LeaverDelete && acct.Origin != model.OriginAdopted { // what was there before us is not ours to delete
		op, next.State = model.OpDelete, model.AccountAbsent
	}
	waits := ""
	if op == model.OpDelete && len(w.owned) > 0 {
		op, next.State, waits = model.OpDeactivate, model.AccountInactive, untilHandedOver
	}
	event, text := model.EventLeaver, w.text
	if w.verdict != take {
		event, text = model.EventMover, fmt.Sprintf("rule %s no longer holds", rule)
		if denied := w.denied[acct.Target]; denied != "" {
			text = denied
		}
	}
	event = cmp.Or(w.Cause.Event, event)
	return w.step(&acct, next, op, event, model.Reason{Rule: rule, Text: w.because(text, w.dated && w.Cause.Record == "") + waits})
}

// because adds what made us decide, unless a date did.
func (w *situation) because(text string, dated bool) string {
	if dated {
		return text
	}
	return text + "; " + w.Cause.Text
}

func (w *situation) step(before *model.Account, after model.Account, op model.Op, event model.Event, why model.Reason) *Step {
	why.Source, why.Record, why.Absent, why.At = w.Cause.Source, w.Cause.Record, w.Cause.Absent, w.Now
	after.Because = Canonical(why)
	after.DesiredRev++
	after.IdentityID = w.now.ID
	c := model.Change{
		Source: w.Cause.Source, IdentityID: w.now.ID, Who: name(w.now), Target: after.Target, Op: op, Event: event,
		After: snapshot(after), Because: after.Because, At: w.Now,
	}
	if before != nil {
		c.Before = snapshot(*before)
	}
	return &Step{Change: c, Before: before, Account: after}
}

// snapshot is Canonical of a model.Snapshot. What is desired is canonical already, and becomes a part of it as it is.
func snapshot(a model.Account) string {
	var room [1024]byte
	b, ok := appendString(append(room[:0], `{"state":`...), string(a.State))
	if !ok || len(a.Desired) <= len("{}") || a.Desired[0] != '{' || strings.IndexByte(a.Desired, '\\') >= 0 {
		return Canonical(model.Snapshot{State: a.State, Attributes: Decode(a.Desired)})
	}
	b = append(append(b, `,"attributes":`...), a.Desired...)
	return string(append(b, '}'))
}

// missing sorts a record that may be gone behind one of the same source that is not.
func missing(r model.Record) int {
	if r.MissingSince != nil {
		return 1
	}
	return 0
}

// anchors says whether the record lets the person be there: of a source that makes people, or because a person decided so.
func (r *Rules) anchors(rec model.Record) bool {
	return rec.LinkText != "" || !slices.Contains(r.JoinOnly, rec.Source)
}

// asleep sorts a record that is inactive behind one of the same source that is not: somebody merged has two.
func asleep(r model.Record) int {
	if !r.Active {
		return 1
	}
	return 0
}

func ruleOf(a model.Account) string { return reasonOf(a).Rule }

func reasonOf(a model.Account) model.Reason {
	var why model.Reason
	if a.Because != "" {
		_ = json.Unmarshal([]byte(a.Because), &why) // ours; an unreadable one names no rule
	}
	return why
}

// conclude gives the identity what became known on the way: the findings, and when to look again.
func (d *Decision) conclude(w *situation, out policy.Outcome) {
	findings := w.findings
	for _, p := range slices.Concat(w.fused.Findings, out.Findings) {
		findings = append(findings, model.Finding{Code: model.CodePolicyRule, Target: p.Target, Rule: p.Rule, Text: p.Text})
	}
	if findings != nil {
		d.Identity.Findings = Canonical(findings)
	}
	if !w.next.IsZero() {
		at := w.next.UTC()
		d.Identity.ReviewAt = &at
	}
}
