package engine

import (
	"context"
	"fmt"
	"slices"

	"jmld/model"
)

// countAdministrators tells of each person who administers a target how many others do. People who are decided about together do not
// count on each other: they may all leave. Nearly nobody administers anything, and then it costs nothing.
func (e *Engine) countAdministrators(ctx context.Context, people []Person) error {
	here := map[string]bool{}
	targets := map[string][]model.Account{}
	for _, p := range people {
		for _, a := range p.Accounts {
			if a.Administrator {
				here[a.IdentityID], targets[a.Target] = true, nil
			}
		}
	}
	for target := range targets {
		all, err := e.o.Store.Administrators(ctx, target)
		if err != nil {
			return fmt.Errorf("administrators of target %s: %w", target, err)
		}
		targets[target] = all
	}
	for i, p := range people {
		for _, a := range p.Accounts {
			if !a.Administrator {
				continue
			}
			if people[i].Administrators == nil {
				people[i].Administrators = map[string]int{}
			}
			for _, other := range targets[a.Target] {
				if remains(other) && !here[other.IdentityID] {
					people[i].Administrators[a.Target]++
				}
			}
		}
	}
	return nil
}

// crowd counts, for each target, those who administer it of people who are decided about together.
type crowd map[string]int

func administering(people []Person) crowd {
	c := crowd{}
	for _, p := range people {
		for _, a := range p.Accounts {
			if remains(a) {
				c[a.Target]++
			}
		}
	}
	return c
}

// hides says whether the person may stay only because others stand beside them: looked at alone, they may go.
func (c crowd) hides(p Person) bool {
	return slices.ContainsFunc(p.Accounts, func(a model.Account) bool {
		return remains(a) && p.Administrators[a.Target] == 0 && c[a.Target] > 1
	})
}

// remains says whether somebody who administers the target, as it was told, should go on doing so.
func remains(a model.Account) bool { return a.Administrator && a.State == model.AccountActive }

// demotes says whether the account, which should have administered its target, should not any more.
func demotes(before, after model.Account) bool { return remains(before) && !remains(after) }

// permitted is the last look before a target is told: whatever decided, what is protected is not taken away. A person is looked up
// only where something is.
func (e *Engine) permitted(ctx context.Context, a model.Account) error {
	rules := e.rules()
	var id model.Identity
	others := false
	if a.State != model.AccountActive || a.AppliedAdministrator && !a.Administrator {
		people, err := e.o.Store.Load(ctx, []Subject{{Identity: a.IdentityID}})
		if err != nil {
			return err
		}
		if people[0].Identity != nil {
			id = *people[0].Identity
		}
		if a.Administrator || a.AppliedAdministrator {
			if others, err = e.othersStay(ctx, a); err != nil {
				return err
			}
		}
	}
	if err := rules.Forbids(id, a, others); err != nil {
		return Permanent(err)
	}
	return nil
}

// othersStay says whether somebody else administers the target. Of several who should all go, the one with the smallest id stays: each
// sees that alone, without waiting for the others.
func (e *Engine) othersStay(ctx context.Context, a model.Account) (bool, error) {
	all, err := e.o.Store.Administrators(ctx, a.Target)
	if err != nil {
		return false, err
	}
	for _, other := range all {
		if other.IdentityID != a.IdentityID && (remains(other) || other.IdentityID < a.IdentityID) {
			return true, nil
		}
	}
	return false, nil
}
