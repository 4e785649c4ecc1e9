package jml

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"jmld/jml/access"
	"jmld/jml/policy"
	"jmld/model"
)

// Separation says what nobody may have together: of its things, each person has one, without an exception. What was there first
// stays; of what comes at once, what the rule names first.
//
//	is there             comes         what happens
//	one                  another       it is withheld; a finding
//	two, before the rule               both stay, and are a finding; with Remove, the first named stays
//	one, an exception    another       both, until the exception ends; then what came second is withheld
//	two, before the rule, an exception both, until it ends; then the first named stays
//	one that is given no more    another       what comes is withheld until all that went with the first is gone: see course
type Separation struct {
	Name   string
	Things []access.Thing
	Remove bool // also what was there when the rule came
}

// id names the rule in its present form.
func (s Separation) id() string { return formOf(access.ID(s.Name), s.Things) }

// formOf is another text whenever a rule says something else.
func formOf(rule, says any) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\n%v", rule, says)
	return fmt.Sprintf("%016x", h.Sum64())
}

// Place is where exceptions from the rule are.
func (s Separation) Place() string { return access.Place(access.KindException, s.Name) }

// Excepted is the end of an exception that counts at the time; nil: there is none.
func (s Separation) Excepted(rows []model.AccessMember, now time.Time) *time.Time {
	for _, m := range rows {
		if m.Place == s.Place() && access.Holds(m, now) {
			return m.ValidTo
		}
	}
	return nil
}

func (r *Rules) separated() []string {
	out := make([]string, len(r.Separation))
	for i, s := range r.Separation {
		out[i] = s.id()
	}
	return out
}

// apart is one rule's view of a person.
type apart struct {
	Separation
	has    []string
	until  *time.Time // of an exception
	is     []string   // what there is now, allowed or not
	goes   []string   // of has: given no more, but what went with it is still there
	before bool       // the rule is new, and what is there was there before it
}

// separate withholds what a rule keeps apart from what was there first. What another rule withholds keeps nothing apart from anything,
// whatever the order of the rules: they are asked again until they agree.
func (r *Rules) separate(w *situation, view *access.View) *access.View {
	findings, withheld := len(w.findings), len(w.entitled.Withheld)
	refused := make([][]string, len(r.Separation))
	for tries := len(r.Separation) + 1; ; tries-- {
		if tries == 0 { // they go round in a circle: one after the other, and what one withholds is not there for the next
			refused = make([][]string, len(r.Separation))
		}
		w.findings, w.entitled.Withheld, w.apart = w.findings[:findings:findings], w.entitled.Withheld[:withheld:withheld], nil
		out, next := r.separateOnce(w, view, refused)
		if tries == 0 || slices.EqualFunc(refused, next, slices.Equal) {
			return out
		}
		refused = next
	}
}

// separateOnce asks each rule, about what no other one refused before; it says what each refuses.
func (r *Rules) separateOnce(w *situation, view *access.View, refused [][]string) (_ *access.View, next [][]string) {
	for i, s := range r.Separation {
		a := apart{Separation: s, until: s.Excepted(w.Access.Rows(), w.Now)}
		was := w.entitled.was.Apart[access.ID(s.Name)]
		for _, t := range s.Things {
			elsewhere := false
			for j, list := range refused {
				elsewhere = elsewhere || j != i && slices.Contains(list, t.String())
			}
			switch {
			case len(view.Giving(t)) > 0 && !elsewhere || t.Kind == access.KindAccount && w.active(t.ID):
				a.is = append(a.is, t.String())
			case t.Kind != access.KindAccount && slices.Contains(was.Has, t.String()) && !w.released && w.verdict != take:
				a.is, a.goes = append(a.is, t.String()), append(a.goes, t.String())
			}
		}
		a.before = w.Identity != nil && !w.entitled.knew[s.id()]
		for _, t := range a.is {
			if a.before && !w.entitled.withheld(t) || slices.Contains(was.Has, t) {
				a.has = append(a.has, t)
			}
		}
		if len(a.has) == 0 && len(a.is) > 0 {
			a.has = a.is[:1]
		}
		if stays := a.staying(a.is); was.Until != "" && len(a.staying(a.has)) == 0 && len(stays) > 0 { // it was there by an exception
			a.has = stays[:1]
		}
		if a.until != nil || a.before && s.Remove {
			slices.SortStableFunc(a.has, func(x, y string) int { return a.leaving(x) - a.leaving(y) })
			a.has = a.has[:min(len(a.has), 1)]
		}
		var refuses []string
		for _, t := range s.Things {
			if a.until == nil && len(a.has) > 0 && !slices.Contains(a.has, t.String()) {
				if t.Kind != access.KindAccount { // that goes when its target says so
					refuses = append(refuses, t.String())
				}
				view = w.withhold(view, t, model.CodeSeparated, a.refuses(t.String()))
			}
		}
		w.apart, next = append(w.apart, a), append(next, refuses)
	}
	return view, next
}

// withheld says whether the last decision kept the thing from the person, by whatever rule: a rule may have another name by now.
func (e *entitled) withheld(thing string) bool {
	for _, a := range e.was.Apart {
		if slices.Contains(a.Not, thing) {
			return true
		}
	}
	return false
}

// separateAccounts refuses the accounts that a rule keeps apart from what is there.
func (r *Rules) separateAccounts(w *situation, out *policy.Outcome) {
	for i := range w.apart {
		a := &w.apart[i]
		for _, t := range a.Things {
			granted := slices.ContainsFunc(out.Grants, func(g policy.Grant) bool { return g.Target == t.ID })
			switch text := t.String(); {
			case t.Kind != access.KindAccount || !granted || slices.Contains(a.has, text):
			case len(a.has) == 0:
				a.has = []string{text}
			case a.until == nil:
				w.deny(out, t.ID, model.CodeSeparated, a.refuses(text))
				a.is = append(a.is, text)
			}
		}
	}
}

// keepApart notes what each rule made of the person, and what has been there since before it. Of who leaves it stays noted: they may be back
// tomorrow, or have left by mistake.
func (w *situation) keepApart(out policy.Outcome) {
	if e := &w.entitled; w.verdict == take {
		e.Apart, e.Kept = e.was.Apart, e.was.Kept
		return
	}
	for _, a := range w.apart {
		a.is = slices.Compact(slices.Sorted(slices.Values(a.is)))
		if len(a.is) > len(a.has) && a.until == nil && slices.ContainsFunc(a.has, func(t string) bool { return a.leaving(t) > 0 || w.goes(t, out) }) {
			w.soon(w.Now, w.Now.Add(separationRecheck))
		}
		if stays := a.staying(a.has); len(stays) > 1 {
			w.found(model.CodeSeparated, "has %s, which rule %s keeps apart; it was there before the rule, and stays", strings.Join(stays, " and "), a.Name)
		}
		note := model.Apart{Has: a.has}
		for _, t := range a.is {
			if a.until == nil && !slices.Contains(a.has, t) {
				note.Not = append(note.Not, t)
			}
		}
		if a.until != nil {
			note.Until = a.until.UTC().Format(time.RFC3339)
		}
		if len(a.has) > 0 {
			if w.entitled.Apart == nil {
				w.entitled.Apart = map[string]model.Apart{}
			}
			w.entitled.Apart[access.ID(a.Name)] = note
		}
	}
}

func (a *apart) refuses(thing string) string {
	has := strings.Join(a.has, " and ")
	if len(a.staying(a.has)) == 0 {
		has += ", which ends, until all that went with it is gone"
	}
	return fmt.Sprintf("has %s, and may not have %s as well (rule %s)", has, thing, a.Name)
}

// leaving is 1 for what is given no more.
func (a *apart) leaving(thing string) int {
	if slices.Contains(a.goes, thing) {
		return 1
	}
	return 0
}

func (a *apart) staying(things []string) (out []string) {
	for _, t := range things {
		if a.leaving(t) == 0 {
			out = append(out, t)
		}
	}
	return out
}

// separationRecheck is how often somebody is looked at who gets something when something else is gone that goes: that may wait for
// approval, or for the target.
const separationRecheck = 15 * time.Minute

// active says whether the person has an active account in the target, or had when it was looked at last.
func (w *situation) active(target string) bool {
	return slices.ContainsFunc(w.Accounts, func(acct model.Account) bool {
		return acct.Target == target && (acct.State == model.AccountActive || acct.AppliedState == model.AccountActive)
	})
}

// goes says whether the thing is an account that nothing gives any more.
func (w *situation) goes(thing string, out policy.Outcome) bool {
	target, ok := strings.CutPrefix(thing, access.KindAccount+":")
	return ok && !slices.ContainsFunc(out.Grants, func(g policy.Grant) bool { return g.Target == target })
}

// Together are the things of a rule, in its order, that the rows give at the time.
func (s Separation) Together(t *access.Tree, rows []model.AccessMember, now time.Time) []string {
	var out []string
	for _, thing := range s.Things {
		if len(t.Giving(rows, thing, now)) > 0 {
			out = append(out, thing.String())
		}
	}
	return out
}
