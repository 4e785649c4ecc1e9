package jml

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"jmld/model"
)

// Divide splits an update: what the marks name waits in the plan, and rest is the step without it. rest.Account is what has to be
// stored in any case, with a note of what waits; rest.Change.Attrs is empty when nothing but that is left. Without a plan what is
// split off is left out.
func (s Step) Divide(waits []string, plan string) (rest Step, later model.Change) {
	before, after := flat(Decode(s.Before.Desired)), flat(Decode(s.Account.Desired))
	held := Waits(s.Account)
	was, is := map[string]any{}, map[string]any{}
	for _, m := range waits {
		name, _ := splitMark(m)
		if v, ok := after[name]; ok {
			is[name] = v
		}
		if plan != "" {
			held[name] = model.HeldAttr{Plan: plan, To: after[name]}
		}
		delete(after, name)
		if v, ok := before[name]; ok {
			was[name], after[name] = v, v
		}
	}
	later = s.Change
	later.Attrs = strings.Join(waits, " ")
	later.Before = Canonical(model.Snapshot{State: s.Before.State, Attributes: deep(was)})
	later.After = Canonical(model.Snapshot{State: s.Account.State, Attributes: deep(is)})

	rest = s
	rest.Change.Attrs = strings.Join(slices.DeleteFunc(strings.Fields(s.Change.Attrs), func(m string) bool { return slices.Contains(waits, m) }), " ")
	if rest.Change.Attrs == "" {
		rest.Account = *s.Before
	} else {
		attrs := deep(after)
		rest.Account.Desired = Canonical(attrs)
		rest.Account.UserName, _ = attrs["userName"].(string)
		rest.Change.After = snapshot(rest.Account)
	}
	rest.Account.HeldAttrs = heldText(held)
	return rest, later
}

// Part is the change restricted to some of its marks.
func Part(c model.Change, of []string) model.Change {
	var before, after model.Snapshot
	_ = json.Unmarshal([]byte(c.Before), &before) // ours
	_ = json.Unmarshal([]byte(c.After), &after)
	was, is := map[string]any{}, map[string]any{}
	for _, m := range of {
		name, _ := splitMark(m)
		if v, ok := flat(before.Attributes)[name]; ok {
			was[name] = v
		}
		if v, ok := flat(after.Attributes)[name]; ok {
			is[name] = v
		}
	}
	before.Attributes, after.Attributes = deep(was), deep(is)
	c.Attrs, c.Before, c.After = strings.Join(of, " "), Canonical(before), Canonical(after)
	return c
}

// Waits reads what of the account's attributes waits.
func Waits(a model.Account) map[string]model.HeldAttr {
	out := map[string]model.HeldAttr{}
	if a.HeldAttrs != "" {
		_ = json.Unmarshal([]byte(a.HeldAttrs), &out) // ours
	}
	return out
}

// Freed is the account without what waits in the plan.
func Freed(a model.Account, plan string) model.Account {
	if a.HeldPlan == plan {
		a.HeldPlan = ""
	}
	if a.HeldAttrs != "" {
		held := Waits(a)
		maps.DeleteFunc(held, func(_ string, w model.HeldAttr) bool { return w.Plan == plan })
		a.HeldAttrs = heldText(held)
	}
	return a
}

// Rehold is the account with what the marks name waiting in another plan; no marks: its state.
func Rehold(a model.Account, attrs []string, plan string) model.Account {
	if len(attrs) == 0 {
		a.HeldPlan = plan
		return a
	}
	held := Waits(a)
	for _, m := range attrs {
		name, _ := splitMark(m)
		if w, ok := held[name]; ok {
			w.Plan = plan
			held[name] = w
		}
	}
	a.HeldAttrs = heldText(held)
	return a
}

func heldText(held map[string]model.HeldAttr) string {
	if len(held) == 0 {
		return ""
	}
	return Canonical(held)
}

// keepHeld puts the present values of what still waits into what is wanted. What is wanted otherwise than when it began to wait, or no
// more, waits no longer: its plan is settled.
func keepHeld(acct *model.Account, wanted map[string]any) (attrs map[string]any, settled []string) {
	if acct.HeldAttrs == "" {
		return wanted, nil
	}
	held := Waits(*acct)
	now, want := flat(Decode(acct.Desired)), flat(wanted)
	over := map[string]bool{}
	for name, w := range held {
		if v, ok := want[name]; !same(v, w.To) || ok != (w.To != nil) {
			over[w.Plan] = true
		}
	}
	for name, w := range held {
		if over[w.Plan] {
			delete(held, name)
			continue
		}
		delete(want, name)
		if v, ok := now[name]; ok {
			want[name] = v
		}
	}
	acct.HeldAttrs = heldText(held)
	return deep(want), slices.Sorted(maps.Keys(over))
}

// plansOf lists the plans in which attributes of the account wait.
func plansOf(a model.Account) []string {
	over := map[string]bool{}
	for _, w := range Waits(a) {
		over[w.Plan] = true
	}
	return slices.Sorted(maps.Keys(over))
}

// HeldIn lists the plans in which something of the account waits.
func HeldIn(a model.Account) []string {
	plans := plansOf(a)
	if a.HeldPlan != "" && !slices.Contains(plans, a.HeldPlan) {
		plans = append([]string{a.HeldPlan}, plans...)
	}
	return plans
}

// flat names the attributes of extensions with their URN, so that each can be held alone.
func flat(attrs map[string]any) map[string]any {
	out := make(map[string]any, len(attrs))
	for name, v := range attrs {
		ext, ok := v.(map[string]any)
		switch {
		case !strings.HasPrefix(name, "urn:"):
			out[name] = v
			continue
		case !ok || len(ext) == 0:
			out[name+":"] = v
			continue
		}
		for sub, sv := range ext {
			out[name+":"+sub] = sv
		}
	}
	return out
}

// deep is the opposite of flat.
func deep(attrs map[string]any) map[string]any {
	out := map[string]any{}
	for name, v := range attrs {
		if whole, ok := strings.CutSuffix(name, ":"); ok {
			out[whole] = v
			continue
		}
		put(out, name, v)
	}
	return out
}

func same(a, b any) bool {
	if x, ok := a.(string); ok { // nearly everything is
		y, ok := b.(string)
		return ok && x == y
	}
	return reflect.DeepEqual(a, b)
}
