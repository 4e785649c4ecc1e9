package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"jmld/jml"
	"jmld/model"
)

// mergeNames has the user names of who goes follow: where the account moves, and where none is left behind that has them. The note of who had
// which is for a split.
func (e *Engine) mergeNames(ctx context.Context, c *Commit, pair Pair) error {
	all, err := e.o.Store.Names(ctx, []string{pair.Into.Identity.ID, pair.From.Identity.ID})
	if err != nil || len(all) == 0 {
		return err
	}
	var note model.MergedNames
	for _, n := range all {
		key := [2]string{n.Target, n.Name}
		if n.IdentityID == pair.Into.Identity.ID {
			note.Kept = append(note.Kept, key)
			continue
		}
		left := func(a model.Account) bool { return a.Target == n.Target && !vacant(a) }
		if slices.Contains(pair.Moves, n.Target) || !slices.ContainsFunc(pair.From.Accounts, left) {
			note.Moved = append(note.Moved, key)
			c.MoveNames = append(c.MoveNames, NameMove{AccountName: n, To: pair.Into.Identity.ID})
		}
	}
	c.Merges[0].Names = jml.Canonical(note)
	return nil
}

// splitNames gives them back. What was given since goes with the account; an account that stays keeps the name it has.
func (e *Engine) splitNames(ctx context.Context, c *Commit, person Person, m model.Merge, moves []string) error {
	var note model.MergedNames
	if m.Names != "" { // none were known, or nobody noted whose they were: they all go with the account
		if err := json.Unmarshal([]byte(m.Names), &note); err != nil {
			return fmt.Errorf("merge of identity %s: names: %w", m.IdentityID, err)
		}
	}
	all, err := e.o.Store.Names(ctx, []string{person.Identity.ID})
	if err != nil {
		return err
	}
	for _, n := range all {
		key := [2]string{n.Target, n.Name}
		has := slices.ContainsFunc(person.Accounts, func(a model.Account) bool {
			return a.Target == n.Target && !vacant(a) && jml.KeyOfName(a.Target, a.UserName).Name == n.Name
		})
		goes := slices.Contains(note.Moved, key) && !has
		if slices.Contains(moves, n.Target) {
			goes = has || !slices.Contains(note.Kept, key)
		}
		if goes {
			c.MoveNames = append(c.MoveNames, NameMove{AccountName: n, To: m.IdentityID})
		}
	}
	return nil
}
