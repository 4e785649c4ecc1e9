package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"jmld/jml/access"
	"jmld/jml/engine"
	"jmld/model"
)

func newAccess(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "access",
		Short: "Groups, roles, and who may do what by them",
		Long: "Groups form a tree. Roles are held by members; the members of a group are members of all groups below it, with the same roles. A group\n" +
			"owns apps, each app one group's, and is associated with namespaces. What is declared in the configuration is changed there; these\n" +
			"commands change the rest. A PLACE is the name of a group, app:NAME or namespace:NAME.",
		Example: `  jmld access group add Builders --parent root --description "Build the apps" --admin ada@example.org --reason "request 7"
  jmld access role set Developer --allow project:edit --allow cicd:build
  jmld access resource add app:CRM
  jmld access link Builders app:CRM                     Builders owns CRM
  jmld access member add Builders bo@example.org --role Developer --reason "request 8"
  jmld access show bo@example.org app:CRM               what may Bo do there, and through what
  jmld access stats -o json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newAccessShow(a), newAccessTeam(a), newAccessStats(a), newAccessGroups(a), newAccessGroup(a), newAccessRoles(a), newAccessRole(a),
		newAccessResources(a), newAccessResource(a), newAccessLink(a), newAccessUnlink(a), newAccessMember(a), newAccessHandOver(a), newAccessExcept(a), newAccessApply(a),
		newAccessRequest(a), newAccessDecide(a, false), newAccessDecide(a, true), newAccessRequests(a),
	)
	return cmd
}

// place reads a PLACE of the command line.
func place(text string) string {
	kind, name, ok := strings.Cut(text, ":")
	if ok && (kind == access.KindApp || kind == access.KindNamespace || kind == access.KindGroup) {
		return access.Place(kind, name)
	}
	return access.Place(access.KindGroup, text)
}

// resourcePlace reads app:NAME or namespace:NAME.
func resourcePlace(text string) (string, string, error) {
	kind, name, _ := strings.Cut(text, ":")
	if kind != access.KindApp && kind != access.KindNamespace || access.ID(name) == "" {
		return "", "", usage(fmt.Errorf("%q: app:NAME or namespace:NAME is expected", line(text)))
	}
	return access.Place(kind, name), strings.TrimSpace(name), nil
}

// edit changes the tree for an operator and says what became of it; a refusal is audited with who or what it is about.
func (a *app) edit(ctx context.Context, s *site, about string, f editFlags, edit func(*access.State, *access.Tree) error) error {
	done, err := s.engine.EditAccess(ctx, engine.AccessEdit{Actor: a.operator(f.by), Reason: strings.TrimSpace(f.why), Manager: model.ManagedByOperator,
		Areas: s.cfg.AccessAreas(), DryRun: f.dryRun, Edit: edit, About: about})
	if err != nil {
		return err
	}
	return a.printEdited(ctx, s, done, f.dryRun)
}

type accessChangeJSON struct {
	Op     string `json:"op"` // "+", "~", "-"
	Kind   string `json:"kind"`
	Object string `json:"object"`
}

type accessEditedJSON struct {
	Schema   string             `json:"schema"`
	Changes  []accessChangeJSON `json:"changes"`
	Affected int                `json:"affected"`
	DryRun   bool               `json:"dryRun,omitempty"`
	Held     string             `json:"held,omitempty"` // why it needs --approve
}

func accessChanges(c access.Changes) []accessChangeJSON {
	out := []accessChangeJSON{}
	out = listEdits(out, "role", c.Roles, func(r model.AccessRole) string { return r.Name })
	out = listEdits(out, "group", c.Groups, func(g model.AccessGroup) string { return g.Name })
	out = listEdits(out, "resource", c.Resources, func(r model.AccessResource) string { return r.Place })
	out = listEdits(out, "link", c.Links, func(l model.AccessLink) string { return l.Place + " with group " + l.Owner })
	return listEdits(out, "member", c.Members, func(m model.AccessMember) string {
		return m.Person + " in " + m.Place + " as " + orElse(strings.Join(held(m, m.Role), ", "), "nothing")
	})
}

func listEdits[T any](out []accessChangeJSON, kind string, e access.Edits[T], name func(T) string) []accessChangeJSON {
	was := map[string]bool{}
	for _, x := range e.Was {
		was[name(x)] = true
	}
	for _, x := range e.Put {
		op := "+"
		if was[name(x)] {
			op = "~"
		}
		out = append(out, accessChangeJSON{op, kind, name(x)})
	}
	for _, x := range e.Drop {
		out = append(out, accessChangeJSON{"-", kind, name(x)})
	}
	return out
}

// held is what a row gives, in words.
func held(m model.AccessMember, role string) []string {
	var out []string
	kind, _ := access.SplitPlace(m.Place)
	switch {
	case m.Admin && kind == access.KindApp:
		out = append(out, "owner")
	case m.Admin:
		out = append(out, "admin")
	}
	if role != "" {
		out = append(out, role)
	}
	return out
}

func (a *app) printEdited(ctx context.Context, s *site, done engine.AccessEdited, dryRun bool) error {
	list := accessChanges(done.Changes)
	if a.json() {
		return a.printJSON(accessEditedJSON{"jmld.access.edit/1", list, done.Affected, dryRun, done.Held})
	}
	if len(list) == 0 {
		a.printf("nothing to do: it is so already\n")
		return nil
	}
	texts := make([]*string, len(list))
	for i := range list {
		texts[i] = &list[i].Object
	}
	if err := s.named(ctx, texts...); err != nil {
		return err
	}
	for _, c := range list {
		a.printf("%s %s %s\n", a.symbol(model.Op(c.Op)), c.Kind, line(c.Object))
	}
	if dryRun {
		a.printf("nothing was written; %s would be looked at again\n", count(done.Affected, "person", "people"))
		if done.Held != "" {
			a.printf("needs --approve: %s\n", line(done.Held))
		}
		return nil
	}
	a.printf("%s looked at again\n", count(done.Affected, "person is", "people are"))
	return nil
}

// editFlags are of every command that changes something.
type editFlags struct {
	by, why string
	dryRun  bool
}

func (f *editFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.by, "by", "", "`name` of the person who asks (default: your account here)")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "check everything and write nothing")
	if cmd.Flags().Lookup("reason") == nil { // what is given has one
		cmd.Flags().StringVar(&f.why, "reason", "", "`why`, for the audit")
	}
}

// grantFlags say why somebody gets something, and for how long.
type grantFlags struct {
	reason, approver, from, until string
}

func (f *grantFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.reason, "reason", "", "`why`: a request, a rule, a decision (required)")
	cmd.Flags().StringVar(&f.approver, "approver", "", "`WHO` approved it: an admin of the group or of one above (default: whoever gives the command)")
}

func (f *grantFlags) addTimes(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.from, "from", "", "`time` from which it counts, such as 2026-05-01 or 2026-05-01T08:00:00Z")
	cmd.Flags().StringVar(&f.until, "until", "", "`time` until which it counts")
}

// row makes what the flags say of a membership.
func (f *grantFlags) row(operator string) (model.AccessMember, error) {
	m := model.AccessMember{Reason: strings.TrimSpace(f.reason), Approver: operator, ManagedBy: model.ManagedByOperator}
	if m.Reason == "" {
		return m, usage(errors.New("--reason is missing: nothing is given without one"))
	}
	var err error
	if m.ValidFrom, err = instant("--from", f.from); err != nil {
		return m, err
	}
	m.ValidTo, err = instant("--until", f.until)
	return m, err
}
