package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"jmld/jml/access"
	"jmld/jml/engine"
	"jmld/model"
)

type recordJSON struct {
	Source  string          `json:"source"`
	ID      string          `json:"id"`
	Active  bool            `json:"active"`
	Link    model.Link      `json:"link"`
	Absent  string          `json:"absentSince,omitempty"`
	Missing string          `json:"missingSince,omitempty"`
	Runs    int             `json:"missingRuns,omitempty"`
	Attrs   json.RawMessage `json:"attributes"`
	Version int64           `json:"version"`
	Updated string          `json:"updated"`
}

type personJSON struct {
	Schema       string           `json:"schema"`
	ID           string           `json:"id"`
	UserName     string           `json:"userName"`
	DisplayName  string           `json:"displayName"`
	Email        string           `json:"email,omitempty"`
	Lifecycle    model.Lifecycle  `json:"lifecycle"`
	Categories   []string         `json:"categories"`
	Organisation string           `json:"organisation,omitempty"`
	External     bool             `json:"external"`
	Attributes   json.RawMessage  `json:"attributes"`
	Provenance   json.RawMessage  `json:"provenance"`
	Findings     json.RawMessage  `json:"findings,omitempty"`
	Keys         []keyJSON        `json:"keys"`
	Groups       []membershipJSON `json:"groups"`
	Records      []recordJSON     `json:"records"`
	Roles        []roleJSON       `json:"roles"`  // given by people and by rules, each for itself
	Rights       []grantJSON      `json:"rights"` // what follows from roles, in each place, direct and inherited
	Accounts     []accountJSON    `json:"accounts"`
	Changes      []changeJSON     `json:"changes"`
	Fusion       []fusedJSON      `json:"fusion"`
	Manager      *managerJSON     `json:"manager,omitempty"`
	MergedInto   string           `json:"mergedInto,omitempty"`
	Merged       []string         `json:"merged,omitempty"`
}

type keyJSON struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type membershipJSON struct {
	Source string `json:"source"`
	Name   string `json:"name"`
	Direct bool   `json:"direct"`
}

func newPerson(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "person WHO",
		Short: "One person: records, identity, accounts, and why",
		Long:  "WHO is a name, a user name, an e-mail address, an employee number, or an id.",
		Example: `  jmld person ada@example.org
  jmld person "Ada Kern"
  jmld person 10042 -o json | jq .accounts`,
		Args: exactly("WHO"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				who, err := findPerson(ctx, s, args[0])
				if err != nil {
					return err
				}
				return a.showPerson(ctx, s, who.ID)
			})
		},
	}
}

// findPerson finds the one person meant. A whole name, user name, address or id beats a part of one, however many have that.
func findPerson(ctx context.Context, s *site, who string) (model.Identity, error) {
	const several = 20
	found, err := s.store.People(ctx, model.PeopleQuery{Search: who, Limit: several + 1})
	if err != nil {
		return model.Identity{}, err
	}
	if len(found) == 0 {
		return model.Identity{}, notFound("nobody is found by %q", line(who))
	}
	if len(found) == 1 {
		return found[0], nil
	}
	all, err := s.store.People(ctx, model.PeopleQuery{Search: who, Whole: true, Limit: maxRows})
	if err != nil {
		return model.Identity{}, err
	}
	exact := slices.DeleteFunc(slices.Clone(all), func(p model.Identity) bool {
		return !known(p, who) && model.FoldKey(who) != model.FoldKey(p.DisplayName)
	})
	if len(exact) == 0 { // an employee number, or the id of a record
		exact = all
	}
	switch {
	case len(exact) == 1:
		return exact[0], nil
	case len(exact) > 1:
		found = exact
	}
	var b strings.Builder
	for i, p := range found {
		if i == several {
			b.WriteString("\n  …")
			break
		}
		fmt.Fprintf(&b, "\n  %s  %s  %s", p.ID, line(p.UserName), line(p.DisplayName))
	}
	return model.Identity{}, notFound("%q is found in several people; which one is meant?%s", line(who), b.String())
}

// known says whether the text is what one person alone is called by: the id, the user name or the address.
func known(p model.Identity, text string) bool {
	key := model.FoldKey(text)
	return key == p.ID || key == model.FoldKey(p.UserName) || key == model.FoldKey(p.Email)
}

// personChanges is how many of a person's last changes are shown.
const personChanges = 20

func (a *app) showPerson(ctx context.Context, s *site, id string) error {
	people, err := s.store.Load(ctx, []engine.Subject{{Identity: id}})
	if err != nil {
		return err
	}
	if len(people) != 1 || people[0].Identity == nil {
		return notFound("nobody is found by %q", id)
	}
	changes, err := s.store.Changes(ctx, model.ChangeQuery{IdentityID: id, Merged: true, Limit: personChanges})
	if err != nil {
		return err
	}
	merges, err := s.store.Merges(ctx, id)
	if err != nil {
		return err
	}
	roles, err := rolesOf(people[0].Identity, people[0].Access)
	if err != nil {
		return err
	}
	rights, err := s.rightsOf(ctx, people[0], a.now())
	if err != nil {
		return err
	}
	boss, err := s.managerOf(ctx, people[0])
	if err != nil {
		return err
	}
	if a.json() {
		v := personView(people[0], changes)
		v.Manager, v.MergedInto, v.Roles = boss, mergedInto(merges, id), roles
		v.Rights = []grantJSON{}
		for _, g := range rights {
			v.Rights = append(v.Rights, grantView(g, ""))
		}
		for _, m := range merges {
			if m.IntoID == id {
				v.Merged = append(v.Merged, m.IdentityID)
			}
		}
		return a.printJSON(v)
	}
	if into := mergedInto(merges, id); into != "" {
		a.printf("merged into %s; see jmld person %s\n", into, into)
	}
	if err := s.named(ctx, approvers(roles)...); err != nil {
		return err
	}
	return a.printPerson(s, people[0], changes, boss, roles, rights)
}

func personView(p engine.Person, changes []model.Change) personJSON {
	i := p.Identity
	v := personJSON{
		Schema: "jmld.person/1", ID: i.ID, UserName: i.UserName, DisplayName: i.DisplayName, Email: i.Email, Lifecycle: i.Lifecycle,
		Categories: categories(i), Organisation: i.Organisation, External: i.External, Attributes: object(i.Attrs),
		Provenance: object(i.Provenance), Findings: object(i.Findings), Keys: []keyJSON{}, Groups: []membershipJSON{}, Records: []recordJSON{}, Accounts: []accountJSON{},
		Changes: changesJSON(changes), Fusion: fusionOf(p),
	}
	for _, k := range p.Keys {
		v.Keys = append(v.Keys, keyJSON{k.Name, k.Value})
	}
	for _, g := range p.Groups {
		v.Groups = append(v.Groups, membershipJSON{g.Source, g.DisplayName, g.Direct})
	}
	for _, r := range p.Records {
		rec := recordJSON{
			Source: r.Source, ID: r.ID, Active: r.Active, Link: r.Link, Attrs: object(r.Attrs), Version: r.Version,
			Updated: r.UpdatedAt.UTC().Format(timeJSON),
		}
		if r.MissingSince != nil {
			rec.Missing, rec.Runs = r.MissingSince.UTC().Format(timeJSON), r.MissingRuns
		}
		if r.AbsentSince != nil {
			rec.Absent = r.AbsentSince.UTC().Format(timeJSON)
		}
		v.Records = append(v.Records, rec)
	}
	for _, acc := range p.Accounts {
		v.Accounts = append(v.Accounts, accountView(acc))
	}
	return v
}

// missingRuns says how far the record is from counting as absent.
func (s *site) missingRuns(r model.Record) string {
	for _, src := range s.cfg.Sources {
		if src.Name == r.Source && src.LDAP != nil {
			rule := src.LDAP.Absence
			return fmt.Sprintf(", not found by %s; gone after %d and %s", count(r.MissingRuns, "complete read"), rule.Runs, rule.After)
		}
	}
	return fmt.Sprintf(", not found by %s", count(r.MissingRuns, "complete read"))
}

func categories(i *model.Identity) []string {
	if i.Categories == "" {
		return []string{}
	}
	return strings.Split(i.Categories, ",")
}

func (a *app) printPerson(s *site, p engine.Person, changes []model.Change, boss *managerJSON, roles []roleJSON, rights []access.Grant) error {
	i := p.Identity
	a.printf("%s  (%s)\n", line(i.DisplayName), i.Lifecycle)
	a.printf("  user name     %s\n", line(i.UserName))
	a.printf("  e-mail        %s\n", line(i.Email))
	a.printf("  categories    %s\n", orElse(strings.Join(categories(i), ", "), "none"))
	where := "internal"
	if i.External {
		where = "external"
	}
	a.printf("  organisation  %s (%s)\n", orElse(line(i.Organisation), "unknown"), where)
	if boss != nil {
		a.printf("  manager       %s\n", boss.line())
	}
	a.printf("  id            %s\n", i.ID)

	a.printf("\nRecords\n")
	t := newTable(a.stdout)
	for _, r := range p.Records {
		state := "inactive"
		if r.Active {
			state = "active"
		}
		if r.AbsentSince != nil {
			state = "absent since " + at(*r.AbsentSince)
		} else if r.MissingSince != nil {
			state += ", missing since " + at(*r.MissingSince) + s.missingRuns(r)
		}
		t.indented(r.Source, r.UserName, state, r.ID, at(r.UpdatedAt))
	}
	if err := t.flush(); err != nil {
		return err
	}
	if err := a.printAttributes(p); err != nil {
		return err
	}
	if len(p.Groups) > 0 {
		a.printf("\nGroups\n")
		for _, g := range p.Groups {
			how := ""
			if !g.Direct {
				how = " (through another group)"
			}
			a.printf("  %s: %s%s\n", g.Source, line(g.DisplayName), how)
		}
	}
	if err := a.printRoles(roles); err != nil {
		return err
	}
	if err := a.printInherited(rights); err != nil {
		return err
	}
	if err := a.printAccounts(p.Accounts); err != nil {
		return err
	}
	if err := a.printFindings(i); err != nil {
		return err
	}
	if len(changes) > 0 {
		a.printf("\nLast changes, newest first\n")
	}
	return a.printHistory(changes)
}

// printFindings lists what could not be decided.
func (a *app) printFindings(i *model.Identity) error {
	if i.Findings == "" {
		return nil
	}
	var findings []model.Finding
	if err := json.Unmarshal([]byte(i.Findings), &findings); err != nil {
		return fmt.Errorf("identity %s: findings: %w", i.ID, err)
	}
	a.printf("\nFindings (what there is was kept)\n")
	for _, f := range findings {
		a.printf("  ? %s %s %s: %s\n    %s\n", f.Code, f.Target, f.Rule, line(f.Text), f.Code.Advice())
	}
	return nil
}

func (a *app) printAccounts(accounts []model.Account) error {
	a.printf("\nAccounts\n")
	if len(accounts) == 0 {
		a.printf("  none\n")
		return nil
	}
	t := newTable(a.stdout)
	for _, acc := range accounts {
		var why model.Reason
		if acc.Because != "" {
			if err := json.Unmarshal([]byte(acc.Because), &why); err != nil {
				return fmt.Errorf("account %s in %s: reason: %w", acc.IdentityID, acc.Target, err)
			}
		}
		t.indented(acc.Target, string(acc.Class), acc.UserName, string(acc.State), progress(acc), why.Text)
	}
	if err := t.flush(); err != nil {
		return err
	}
	a.printProblems(accounts)
	return nil
}
