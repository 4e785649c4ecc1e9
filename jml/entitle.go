package jml

import (
	"encoding/json"
	"slices"
	"strings"

	"jmld/jml/access"
	"jmld/jml/policy"
	"jmld/model"
)

// What a person holds, and through it which accounts, is made in this order, in one decision:
//
//	what people gave          rows of the tree of groups: requested, with requester or approver, reason and times
//	+ what role rules give    by right, as long as the rule holds; never a row, so that neither ends the other
//	- what needs a level of certification that the person has not
//	- what a rule of separation keeps apart from what was there before
//	= access, which the rules of accounts see
//	- accounts, for the same two reasons
//
// What is taken out of it is a finding. An account that goes by it goes through the guard like any other.

// entitled is what was made of the person's roles and accounts.
type entitled struct {
	model.Entitlements
	was     model.Entitlements
	level   int             // of certification: its number from 1; 0: none
	rule    string          // of certification, in its present form
	unknown bool            // whether there is a level: it cannot be read, and never could
	lapsed  string          // when the level ended, if it did
	knew    map[string]bool // rules of separation and certification that the last decision knew
	apart   []apart
	denied  map[string]string // target -> why no account
}

// entitle says what the person holds as far as roles go, without what is withheld.
func (r *Rules) entitle(w *situation, who policy.Person) *access.View {
	e := &w.entitled
	*e = entitled{knew: map[string]bool{}, denied: map[string]string{}}
	if id := w.Identity; id != nil {
		var err error
		if id.Entitlements != "" {
			err = json.Unmarshal([]byte(id.Entitlements), &e.was)
		}
		if err != nil { // nothing is known of the last decision: what is there stays, as it does when a rule is new
			e.was = model.Entitlements{}
			w.findings = append(w.findings, model.Finding{Code: model.CodeInternal, Text: "what was decided about roles before cannot be read: " + err.Error()})
		} else {
			for _, name := range strings.Fields(id.Separated) {
				e.knew[name] = true
			}
		}
	}
	rows := slices.Clone(w.Access.Rows())
	if r.Policy != nil && w.verdict != take {
		r.birthrights(w, who)
		for _, b := range e.Given {
			rows = append(rows, access.Birthright(w.ID, b))
		}
	}
	r.certify(w)
	view := w.Access.Of(rows)
	for _, need := range r.Certification.Required {
		if e.level < need.Level {
			view = w.withhold(view, need.Thing, model.CodeUncertified, r.Certification.lacks(e, need))
		}
	}
	return view
}

// birthrights are those of the rules that hold. One that cannot be evaluated gives what it gave.
func (r *Rules) birthrights(w *situation, who policy.Person) {
	e := &w.entitled
	hold, unsure := r.Policy.Birthrights(who)
	for _, rule := range hold {
		b := model.Birthright{Rule: rule.Name, Place: rule.Place, Role: rule.Role, From: rule.Origin(), Since: w.Now}
		if i := slices.IndexFunc(e.was.Given, func(old model.Birthright) bool {
			return old.Rule == b.Rule && old.Place == b.Place && old.Role == b.Role
		}); i >= 0 {
			b.Since = e.was.Given[i].Since
		}
		e.Given = append(e.Given, b)
	}
	for _, f := range unsure {
		w.findings = append(w.findings, model.Finding{Code: model.CodePolicyRule, Rule: f.Rule, Text: f.Text})
		for _, old := range e.was.Given {
			if old.Rule == f.Rule {
				e.Given = append(e.Given, old)
			}
		}
	}
}

// withhold takes the rows that give the thing out of the view; each is noted with the reason.
func (w *situation) withhold(view *access.View, thing access.Thing, code model.Code, text string) *access.View {
	giving := view.Giving(thing)
	if code == model.CodeUncertified {
		giving = slices.DeleteFunc(giving, func(m model.AccessMember) bool { return w.stays(m.Place + " " + m.Role) })
	}
	if len(giving) == 0 {
		return view
	}
	same := func(a, b model.AccessMember) bool {
		return a.Person == b.Person && a.Place == b.Place && a.Role == b.Role && a.ManagedBy == b.ManagedBy
	}
	for _, m := range giving {
		out := model.Withheld{Place: m.Place, Role: m.Role, Code: code, Text: text}
		if !slices.ContainsFunc(w.entitled.Withheld, func(x model.Withheld) bool { return x.Place == m.Place && x.Role == m.Role }) {
			w.entitled.Withheld = append(w.entitled.Withheld, out)
		}
	}
	if w.verdict != take { // of who leaves everything goes, whatever they may have together
		w.findings = append(w.findings, model.Finding{Code: code, Text: text})
	}
	return view.Of(slices.DeleteFunc(slices.Clone(view.Rows()), func(m model.AccessMember) bool {
		return slices.ContainsFunc(giving, func(g model.AccessMember) bool { return same(g, m) })
	}))
}

// stays says of what needs a level whether the person keeps it while it cannot be told whether they have one: what was there when the rule came
// does, and nothing else.
func (w *situation) stays(what string) bool {
	e := &w.entitled
	refused := slices.ContainsFunc(e.was.Withheld, func(x model.Withheld) bool { return x.Place+" "+x.Role == what })
	if !e.unknown || !slices.Contains(e.was.Kept, what) && (w.Identity == nil || e.knew[e.rule] || refused) {
		return false
	}
	if !slices.Contains(e.Kept, what) {
		e.Kept = append(e.Kept, what)
	}
	return true
}

// deny takes the account of a target out of the outcome.
func (w *situation) deny(out *policy.Outcome, target string, code model.Code, text string) {
	i := slices.IndexFunc(out.Grants, func(g policy.Grant) bool { return g.Target == target })
	if i < 0 {
		return
	}
	if w.verdict != take {
		w.findings = append(w.findings, model.Finding{Code: code, Target: target, Rule: out.Grants[i].Rule, Text: text})
	}
	w.entitled.denied[target] = text
	out.Grants = slices.Delete(slices.Clone(out.Grants), i, i+1)
}

// outcome is what the policy says, without what the person must not have.
func (r *Rules) outcome(w *situation, who policy.Person) policy.Outcome {
	who.Access = r.separate(w, r.entitle(w, who))
	out := r.Policy.Evaluate(who)
	for _, need := range r.Certification.Required {
		if need.Thing.Kind == access.KindAccount && w.entitled.level < need.Level && !(w.active(need.Thing.ID) && w.stays(need.Thing.String())) {
			w.deny(&out, need.Thing.ID, model.CodeUncertified, r.Certification.lacks(&w.entitled, need))
		}
	}
	r.separateAccounts(w, &out)
	w.keepApart(out)
	return out
}

// note keeps what was made for the next decision.
func (e *entitled) note(id *model.Identity, separated []string) {
	if e.rule != "" {
		separated = append(separated, e.rule)
	}
	slices.Sort(e.Kept)
	id.Entitlements, id.Separated = "", strings.Join(separated, " ")
	if len(e.Given)+len(e.Withheld)+len(e.Apart)+len(e.Kept) > 0 || e.Level != "" {
		id.Entitlements = Canonical(e.Entitlements)
	}
}
