package jml

import (
	"slices"

	"jmld/jml/access"
	"jmld/jml/policy"
	"jmld/model"
)

// What comes in the place of something waits until what went with it is gone, and for nothing else. What that is, is noted when it ends:
//
//	an account of the person                            waits until
//	the decision takes it away or changes it            the guard lets go of it, and the target has done it
//	its rules cannot be evaluated any more              they can, and then as above
//	it would be there by what comes as well             it is not waited for: it is changed then
//	it stays because it is protected, or the last of    it is not waited for: nothing that ends takes it away
//	the administrators, or its name is taken
//	its rules could not be evaluated before, either     it is not waited for, nor for its target: what ends
//	it waits for its target or is in the dead letter,   has no part in it
//	and neither goes nor changes
//
// An account in a target that is no longer configured is not waited for: nothing becomes of it.

// ends says whether something is given no more that a rule keeps apart from something else.
func (c *course) ends() bool {
	return slices.ContainsFunc(c.w.apart, func(a apart) bool { return len(a.goes) > 0 })
}

// exchanges are the targets in which the person has an account that goes with what ends, and would be there by what comes.
func (c *course) exchanges(after course) (targets []string) {
	for _, a := range c.w.Accounts {
		if a.State == model.AccountActive && !c.grants(a.Target) && after.grants(a.Target) {
			targets = append(targets, a.Target)
		}
	}
	return targets
}

func (c *course) grants(target string) bool {
	return slices.ContainsFunc(c.out.Grants, func(g policy.Grant) bool { return g.Target == target })
}

// left says whether nothing is left of what went with what ends, and notes what is. Until then nothing comes in its place: the guard may hold
// the loss, the target may not have heard of it, or it is a mistake, by which what was there first would be second.
func (c *course) left(r *Rules) bool {
	w := &c.w
	if w.Identity == nil || w.Identity.Suspect != "" || w.verdict != give || len(c.Asks) > 0 { // nothing was taken away yet
		return false
	}
	var with []string
	for _, a := range w.apart {
		if len(a.goes) == 0 {
			continue
		}
		noted := w.entitled.was.Apart[access.ID(a.Name)].With
		if len(noted) == 0 {
			noted = c.touched()
		}
		with = append(with, noted...)
	}
	slices.Sort(with)
	with = slices.DeleteFunc(slices.Compact(with), func(target string) bool { return !slices.Contains(r.Targets, target) || c.letGo(target) })
	if len(with) == 0 {
		return true
	}
	for _, a := range w.apart {
		if name := access.ID(a.Name); len(a.goes) > 0 {
			note := w.entitled.Apart[name]
			note.With = with
			w.entitled.Apart[name] = note
		}
	}
	w.entitled.note(&c.Identity, r.separated())
	return false
}

// touched are the targets whose accounts the decision takes away or changes, or of which it cannot tell any more.
func (c *course) touched() (targets []string) {
	for _, s := range c.Steps {
		if s.Change.Op.Leaves() || s.Change.Op == model.OpUpdate {
			targets = append(targets, s.Change.Target)
		}
	}
	was := findingsOf(c.w.Identity)
	for _, a := range c.w.Accounts {
		switch {
		case a.State != model.AccountActive:
		case a.HeldPlan != "": // it waits already, and goes for one reason more
			targets = append(targets, a.Target)
		case c.unknown(a.Target):
			if !slices.ContainsFunc(was, func(f model.Finding) bool {
				return f.Code == model.CodePolicyRule && (f.Target == a.Target || f.Target == "")
			}) {
				targets = append(targets, a.Target)
			}
		}
	}
	return targets
}

// letGo says whether the guard and the target let go of what an account had by what ends.
func (c *course) letGo(target string) bool {
	i := slices.IndexFunc(c.w.Accounts, func(a model.Account) bool { return a.Target == target })
	if i < 0 {
		return true
	}
	a := c.w.Accounts[i]
	goes := slices.ContainsFunc(c.Steps, func(s Step) bool {
		return s.Change.Target == target && (s.Change.Op.Leaves() || s.Change.Op == model.OpUpdate)
	})
	switch {
	case goes || a.Waits() || c.unknown(target):
		return false
	case a.AppliedState != model.AccountActive:
		return true
	}
	return a.State == model.AccountActive && a.AppliedRev == a.DesiredRev
}

func (c *course) unknown(target string) bool {
	return slices.ContainsFunc(c.out.Findings, func(f policy.Finding) bool { return f.Target == target || f.Target == "" })
}
