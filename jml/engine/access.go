package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"jmld/jml"
	"jmld/jml/access"
	"jmld/model"
)

// AccessEdit is a change of groups, roles, resources or memberships that somebody wants.
type AccessEdit struct {
	Actor   string   // "operator ada", "configuration"
	Reason  string   // why, for the audit; what is given has a reason of its own
	Manager string   // whose objects may be changed: model.ManagedBy…
	Areas   []string // in which roles may have permissions; nil: those they have
	DryRun  bool     // check everything, write nothing
	// Brake holds an edit by which more people would lose something than the guard lets go at once, or nothing would be left of what
	// Manager manages: a file may be mistaken.
	Brake bool
	// Withhold lets an edit bring together what a rule keeps apart: it is withheld then, with a finding.
	Withhold bool
	// Rules is a fingerprint that is adopted in the transaction of the change; "": none is. Without a change nothing is written.
	Rules string
	// Edit makes the state that is wanted. It may be called again when somebody else came first. Its error ends the edit.
	Edit func(s *access.State, t *access.Tree) error
	// With is shown what passed every check, to add to it or to leave it out. It may be called again, after Edit; nil: nobody looks.
	With func(c *AccessChange)
	// Around makes it an edit of one person's memberships: the state is them, and who else administers where they do. nil: it is everything.
	Around *Around
	// About is who or what a refusal is audited with, unless it is a dry run; "": it is not.
	About string
}

// AccessEdited is what became of it.
type AccessEdited struct {
	Changes  access.Changes
	Affected int    // people who are reviewed
	Held     string // why it was not done, of a dry run
}

// Tree is the stored tree of groups with its state.
func (e *Engine) Tree(ctx context.Context) (*access.Tree, access.State, error) {
	s, err := e.o.Store.Access(ctx)
	if err != nil {
		return nil, s, fmt.Errorf("groups and roles: %w", err)
	}
	t, err := access.New(s)
	return t, s, err
}

// EditAccess changes the tree. Everything is checked before anything is written: what results must hold together, and what is managed
// by others stays as it is. Whoever is affected is reviewed at once; the review finds the same truth as this transaction made.
func (e *Engine) EditAccess(ctx context.Context, edit AccessEdit) (AccessEdited, error) {
	var out AccessEdited
	err := e.again(ctx, func() error {
		tree, before, err := e.around(ctx, edit.Around)
		if err != nil {
			return err
		}
		after := before
		after.Roles, after.Groups, after.Resources = slices.Clone(before.Roles), slices.Clone(before.Groups), slices.Clone(before.Resources)
		after.Links, after.Members = slices.Clone(before.Links), slices.Clone(before.Members)
		if err := edit.Edit(&after, tree); err != nil {
			return err
		}
		c, err := e.accessChange(edit, before, after)
		if err != nil {
			return err
		}
		if edit.With != nil {
			edit.With(c)
		}
		out = AccessEdited{Changes: c.Changes, Affected: len(c.Affected)}
		if edit.Brake {
			if out.Held, err = e.brakeAccess(edit, before, after, c); err != nil {
				return err
			}
			if out.Held != "" && !edit.DryRun {
				return model.Errorf(model.CodeAccessHeld, "%s", out.Held)
			}
		}
		if edit.DryRun || c.Changes.Count() == 0 && c.Request == nil {
			return nil
		}
		return e.o.Store.ChangeAccess(ctx, c)
	})
	if err != nil {
		return AccessEdited{}, e.refusedAccess(ctx, edit, err)
	}
	if !edit.DryRun && out.Changes.Count() > 0 {
		e.log.Info("groups and roles changed", zap.String(model.FieldActor, edit.Actor), zap.Int(model.FieldCount, out.Changes.Count()))
		e.wake.ring("")
	}
	return out, nil
}

// around is the tree with its state, or what there is around a person.
func (e *Engine) around(ctx context.Context, a *Around) (*access.Tree, access.State, error) {
	if a == nil {
		return e.Tree(ctx)
	}
	s, err := e.o.Store.AccessAround(ctx, *a)
	if err != nil {
		return nil, s, fmt.Errorf("memberships: %w", err)
	}
	s.People = map[string]string{}
	for _, name := range a.Names {
		s.People[name] = a.Person
	}
	return nil, s, nil
}

func (e *Engine) accessChange(edit AccessEdit, before, after access.State) (*AccessChange, error) {
	c := &AccessChange{Expect: before.Revision, Changes: access.Diff(before, after), ReviewAt: atOnce(), Rules: edit.Rules}
	if foreign := c.Changes.Foreign(edit.Manager); len(foreign) > 0 {
		return nil, model.Errorf(model.CodeAccessForeign, "%s", some(foreign))
	}
	areas := edit.Areas
	if areas == nil {
		var err error
		if areas, err = storedAreas(before.Roles); err != nil {
			return nil, err
		}
	}
	if c.Changes.Count() == 0 {
		return c, nil
	}
	if bad := fresh(before, after, areas); len(bad) > 0 {
		texts := make([]string, len(bad))
		for i, p := range bad {
			texts[i] = p.Text
		}
		return nil, model.Errorf(model.CodeAccessRefused, "%s", some(texts))
	}
	c.Affected = access.Affected(before, after, c.Changes)
	c.Places, c.Roles = access.Touched(before, after, c.Changes)
	if edit.Manager == model.ManagedByOperator && !edit.Withhold { // what the configuration brings together with what there was is withheld instead
		if err := e.keptApart(before, after, c); err != nil {
			return nil, err
		}
	}
	now := e.now()
	audit := func(action, subject string, detail any) {
		if edit.Reason != "" {
			row := jml.Decode(jml.Canonical(detail))
			row["Why"] = edit.Reason
			detail = row
		}
		c.Audit = append(c.Audit, model.AuditEntry{ID: model.NewID(now), At: now, Actor: edit.Actor, Action: "access." + action,
			Subject: subject, Detail: jml.Canonical(detail)})
	}
	auditRows(audit, "role", c.Changes.Roles, func(r model.AccessRole) string { return "role:" + r.ID })
	auditRows(audit, "group", c.Changes.Groups, func(g model.AccessGroup) string { return "group:" + g.ID })
	auditRows(audit, "resource", c.Changes.Resources, func(r model.AccessResource) string { return r.Place })
	auditRows(audit, "link", c.Changes.Links, func(l model.AccessLink) string { return l.Place })
	auditRows(audit, "member", c.Changes.Members, func(m model.AccessMember) string { return m.Person })
	return c, nil
}

// refusedAccess notes that somebody tried what they may not, or what would not hold together.
func (e *Engine) refusedAccess(ctx context.Context, edit AccessEdit, err error) error {
	code := model.CodeOf(err)
	switch code {
	case model.CodeAccessRefused, model.CodeAccessForeign, model.CodeAccessDenied, model.CodeAccessHeld, model.CodeAccessRequest, model.CodeSeparated:
	default:
		return err
	}
	if edit.About == "" || edit.DryRun {
		return err
	}
	now := e.now()
	entry := model.AuditEntry{ID: model.NewID(now), At: now, Actor: edit.Actor, Action: "access.refused", Subject: edit.About,
		Detail: jml.Canonical(map[string]string{"code": string(code), "text": err.Error()})}
	return errors.Join(err, e.o.Store.AddAudit(ctx, entry))
}

// brakeAccess says why a person has to let the edit go, "": nobody has.
func (e *Engine) brakeAccess(edit AccessEdit, before, after access.State, c *AccessChange) (string, error) {
	losing, err := access.Losing(before, after, c.Affected, e.now())
	if err != nil || len(losing) == 0 {
		return "", err
	}
	people := map[string]bool{}
	for _, m := range before.Members {
		people[m.Person] = true
	}
	limit := jml.Limit{Count: e.policy().Guard.Count, Share: e.policy().Guard.Share}
	switch {
	case after.Managed(edit.Manager) == 0:
		return fmt.Sprintf("nothing is declared any more, and %d of %d people would lose what they hold by it", len(losing), len(people)), nil
	case len(losing) > limit.Most(len(people)):
		return fmt.Sprintf("%d of %d people would lose something they hold; the limit is %d", len(losing), len(people), limit.Most(len(people))), nil
	}
	return "", nil
}

// fresh are the problems that a change makes. Those that were there before it did not: two rows turn out to be one person's when
// records are joined, and nobody may be kept from changing the rest, or the daemon from starting, by that.
func fresh(before, after access.State, areas []string) []access.Problem {
	check := func(s access.State) []access.Problem { // of two rows it is always the same one that is too much
		s.Members = slices.SortedFunc(slices.Values(s.Members), func(a, b model.AccessMember) int {
			return strings.Compare(access.MemberKey(a), access.MemberKey(b))
		})
		return access.Check(s, areas)
	}
	bad := check(after)
	if len(bad) == 0 {
		return nil
	}
	known := check(before)
	return slices.DeleteFunc(bad, func(p access.Problem) bool { return slices.Contains(known, p) })
}

// auditRows says of each row what it became, or what it was.
func auditRows[T any](audit func(action, subject string, detail any), what string, edits access.Edits[T], subject func(T) string) {
	for _, x := range edits.Put {
		audit(what+".set", subject(x), x)
	}
	for _, x := range edits.Drop {
		audit(what+".remove", subject(x), x)
	}
}

// byRight says which roles a decision gave by right, and which ended, for the audit, and what is to be stored of it, by the revision of the
// tree that it was decided by. What is not readable gave nothing: the decision says so.
func byRight(was, is *model.Identity, frame int64, cause jml.Cause, now time.Time) ([]model.AuditEntry, *GivenWrite) {
	before := ""
	if was != nil {
		before = was.Entitlements
	}
	if before == is.Entitlements {
		return nil, nil
	}
	type right struct{ Rule, Place, Role string }
	rights := func(text string) (out []right, all []model.Birthright) {
		var e model.Entitlements
		if text == "" || json.Unmarshal([]byte(text), &e) != nil {
			return nil, nil
		}
		for _, b := range e.Given {
			out = append(out, right{b.Rule, b.Place, b.Role})
		}
		return out, e.Given
	}
	had, _ := rights(before)
	has, given := rights(is.Entitlements)
	var out []model.AuditEntry
	note := func(action string, list []right) {
		for _, r := range list {
			out = append(out, entryFor("access.right."+action, cause.Source, is.ID, "rule "+r.Rule, now,
				map[string]any{"place": r.Place, "role": r.Role, "rule": r.Rule, "because": cause.Text}))
		}
	}
	note("set", without(has, had))
	more := len(out) > 0
	note("remove", without(had, has))
	if len(out) == 0 {
		return nil, nil
	}
	return out, &GivenWrite{Rows: given, More: more, Frame: frame}
}

// some is a list that is not longer than anybody reads.
func some(list []string) string {
	const most = 20
	if more := len(list) - most; more > 0 {
		list = append(slices.Clone(list[:most]), fmt.Sprintf("and %d more", more))
	}
	return strings.Join(list, "\n")
}
