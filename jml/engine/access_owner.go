package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"jmld/jml/access"
	"jmld/model"
)

// hasLeft says whether what made somebody leave has passed the guard: no account is active. As long as their departure waits for
// approval, nothing of theirs is given away; nobody would give it back.
func hasLeft(p Person) bool {
	return p.Identity.Suspect == "" && !slices.ContainsFunc(p.Accounts, func(a model.Account) bool {
		return a.Origin != model.OriginProtected && (a.State == model.AccountActive || a.HeldPlan != "")
	})
}

// handOver gives the apps of somebody who leaves to those who administer the group that owns them, or the nearest one above. It
// says whether anything was handed over; what cannot be stays, and is a finding of the person.
func (e *Engine) handOver(ctx context.Context, p Person, apps []string) (bool, error) {
	tree, _, err := e.Tree(ctx)
	if err != nil {
		return false, err
	}
	handed := false
	for _, app := range apps {
		to, err := e.successor(ctx, tree, app, p.Identity.ID)
		if err != nil {
			return handed, err
		}
		if to == nil {
			continue
		}
		_, err = e.EditAccess(ctx, AccessEdit{Actor: "hand-over", Manager: model.ManagedByOperator, Edit: func(s *access.State, t *access.Tree) error {
			for _, m := range t.At(app) {
				if m.Admin && m.Person == p.Identity.ID { // still theirs
					s.HandOver(app, model.AccessMember{Person: to.Person, Role: m.Role, Approver: to.Approver, ManagedBy: model.ManagedByOperator,
						Reason: fmt.Sprintf("the owner left; administers %s", t.Name(to.Place))})
					return nil
				}
			}
			return nil
		}})
		switch code := model.CodeOf(err); {
		case err == nil:
			handed = true
			e.log.Info("app handed over", zap.String(model.FieldIdentity, p.Identity.ID), zap.String("app", app))
		case code == model.CodeAccessForeign, code == model.CodeAccessRefused, code == model.CodeSeparated: // declared in the configuration, or not theirs to have
			e.log.Warn("app of somebody who left not handed over", zap.String(model.FieldIdentity, p.Identity.ID), zap.String("app", app), zap.Error(err))
		default:
			return handed, err
		}
	}
	return handed, nil
}

// successor is the row of an active admin of the app's group, or of the nearest one above that has any; nil: nobody.
func (e *Engine) successor(ctx context.Context, t *access.Tree, app, leaver string) (*model.AccessMember, error) {
	const most = 20 // admins are looked at
	rows := t.Successors(app, leaver)
	for _, m := range rows[:min(len(rows), most)] {
		people, err := e.o.Store.Load(ctx, []Subject{{Identity: m.Person}})
		if err != nil {
			return nil, err
		}
		if id := people[0].Identity; id != nil && id.Lifecycle == model.Active {
			return &m, nil
		}
	}
	return nil, nil //nolint:nilnil // nobody is no mistake
}

// settleMemberships ends what somebody who left was given, gives it back to who is back, or drops it. What is declared in the configuration is
// given back in any case. It says whether anything changed; a group without any other admin keeps the one it has. What a rule keeps apart from what
// the person was given since is withheld by the next decision.
func (e *Engine) settleMemberships(ctx context.Context, p Person, step access.Step, now time.Time) (bool, error) {
	theirs, owner := map[string]bool{}, false
	around := &Around{Person: p.Identity.ID, Names: []string{p.Identity.ID}}
	for _, k := range p.Keys {
		around.Names = append(around.Names, k.Name+":"+k.Value)
	}
	for _, m := range p.Access {
		theirs[access.MemberKey(m)] = true
		around.Names = append(around.Names, m.Person)
		if owner = owner || owns(m); m.Admin {
			around.Places = append(around.Places, m.Place)
		}
	}
	around.Names, around.Places = uniq(around.Names), uniq(around.Places)
	if owner { // as long as the app is theirs they belong to the group that owns it: the tree knows which
		around = nil
	}
	done, err := e.EditAccess(ctx, AccessEdit{Actor: "lifecycle", Manager: model.ManagedByOperator, Withhold: true, Around: around, Edit: func(s *access.State, _ *access.Tree) error {
		var members []model.AccessMember
		for _, m := range s.Members {
			if around != nil && owns(m) && slices.Contains(around.Names, m.Person) {
				return model.Errorf(model.CodeAccessRefused, "the person was given %s just now", m.Place)
			}
			if theirs[access.MemberKey(m)] {
				var left bool
				if m, left = access.Turn(m, step, s.AdminBeside(m), now); !left {
					continue
				}
			}
			members = append(members, m)
		}
		s.Members = members
		return nil
	}})
	switch code := model.CodeOf(err); {
	case code == model.CodeAccessRefused: // what rests on it is to be mended first
		e.log.Warn("memberships not settled", zap.String(model.FieldIdentity, p.Identity.ID), zap.Error(err))
		return false, nil
	case err != nil:
		return false, err
	}
	return done.Changes.Count() > 0, nil
}

// owns says whether the row is that of an app's owner.
func owns(m model.AccessMember) bool {
	kind, _ := access.SplitPlace(m.Place)
	return kind == access.KindApp && m.Admin
}

// storedAreas are those that stored roles have permissions in, with the usual ones.
func storedAreas(roles []model.AccessRole) ([]string, error) {
	areas := access.Areas()
	for _, r := range roles {
		list, err := access.Permissions(r)
		if err != nil {
			return nil, err
		}
		for _, p := range list {
			if !slices.Contains(areas, p.Area) {
				areas = append(areas, p.Area)
			}
		}
	}
	return areas, nil
}
