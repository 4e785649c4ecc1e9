package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jmld/internal/config"
	"jmld/jml"
	"jmld/jml/engine"
	"jmld/model"
)

// previewTimeout bounds the copy of the database and what is played on it.
const previewTimeout = 30 * time.Minute

// What becomes of an account when an organisation ends.
const (
	endsWithIt = "ends" // because the engagement is over
	endsHeld   = "held" // the same, but a brake has it wait for approval
	endsBefore = "ends anyway"
	endsNot    = "kept"
)

type organisationEndJSON struct {
	Schema       string          `json:"schema"`
	Organisation string          `json:"organisation"`
	Ends         string          `json:"ends"`            // the first moment after the engagement
	EndsNow      string          `json:"endsNow"`         // as the configuration says; "" open
	Go           string          `json:"accountsGo"`      // the end and the grace
	Again        string          `json:"again,omitempty"` // when another engagement begins
	Members      int             `json:"members"`         // people of the organisation, also those who have left
	People       []endingPerson  `json:"people"`          // who has an account, or a group or role that ends
	Elsewhere    []elsewhereJSON `json:"elsewhere"`       // whom a source calls the organisation's, and who stay because they count as another one's
	Others       []changeJSON    `json:"others"`          // what it changes for people of other organisations, and accounts that come
	Findings     []changeJSON    `json:"findings"`
	Held         []planJSON      `json:"held"`
	Totals       map[string]int  `json:"totals"` // accounts, by what becomes of them
	Write        writeJSON       `json:"configuration"`
	InForce      bool            `json:"rulesInForce"` // the rules of the file; else a reload brings more than this end
	changes      []model.Change  // of Others
	findings     []model.Change  // of Findings
	held         []model.Plan    // of Held
	zone         *time.Location  // of the days
	is           config.Ending
}

type endingPerson struct {
	Identity    string          `json:"identity"`
	Who         string          `json:"who"`
	UserName    string          `json:"userName"`
	Accounts    []endingAccount `json:"accounts"`
	Memberships []endingMember  `json:"memberships,omitempty"` // that count no more
}

type endingAccount struct {
	Target       string             `json:"target"`
	UserName     string             `json:"userName"`
	Outcome      string             `json:"outcome"`
	State        model.AccountState `json:"state"`        // that it has or waits for
	At           string             `json:"at,omitempty"` // when
	Because      string             `json:"because"`
	Plan         string             `json:"plan,omitempty"`
	DeletedAfter string             `json:"deletedAfter,omitempty"` // it was deactivated
	at           time.Time
	after        time.Duration
	op           model.Op
}

type elsewhereJSON struct {
	Identity     string `json:"identity"`
	Who          string `json:"who"`
	UserName     string `json:"userName"`
	Organisation string `json:"organisation"`
}

type endingMember struct {
	Place string `json:"place"`
	Role  string `json:"role,omitempty"`
	Admin bool   `json:"admin,omitempty"`
}

type writeJSON struct {
	File string   `json:"file"`
	Path string   `json:"path"`
	Was  string   `json:"was,omitempty"`
	Is   string   `json:"is"`
	Then []string `json:"then"`
}

func newOrganisationEnd(a *app) *cobra.Command {
	var on string
	cmd := &cobra.Command{
		Use:   "end NAME [--on DATE]",
		Short: "What the end of an organisation's engagement would do, without doing it",
		Long: "end plays the time up to the end on a copy of the database that is thrown away, with the rules of the configuration and this one date changed:\n" +
			"who ends with it and when, what the guard would hold, and who stays and why. Nothing is written, and no target is asked. Then it prints\n" +
			"the line of the configuration that makes it true: the end of an organisation is a date there, and nowhere else.\n\n" +
			"It exits with 0 when nothing would change, 2 when something would, and 3 when the guard would hold some of it.",
		Example: `  jmld organisation end Partner                      today is the last day
  jmld organisation end Partner --on 2026-12-31
  jmld organisation end Partner -o json | jq '.people[] | select(.accounts[].outcome == "kept") | .who'`,
		Args:              exactly("NAME"),
		ValidArgsFunction: a.completeOrganisation(),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			ctx, cancel := context.WithTimeout(cmd.Context(), previewTimeout)
			defer cancel()
			s, err := a.open(ctx)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			return a.endOrganisation(ctx, s, args[0], on)
		},
	}
	cmd.Flags().StringVar(&on, "on", "", "the last `day`, or the moment, such as 2026-12-31 or 2026-12-31T18:00:00Z (default: today)")
	return cmd
}

func (a *app) endOrganisation(ctx context.Context, s *site, name, on string) error {
	end, err := a.ending(s, name, on)
	if err != nil {
		return err
	}
	doc, err := a.previewEnd(ctx, s, end)
	if err != nil {
		return err
	}
	if a.json() {
		err = a.printJSON(doc)
	} else {
		err = a.printEnd(doc)
	}
	switch {
	case err != nil:
		return err
	case len(doc.Held) > 0:
		return outcome(exitHeld)
	case doc.Totals[endsWithIt]+len(doc.Others) > 0, slices.ContainsFunc(doc.People, func(p endingPerson) bool { return len(p.Memberships) > 0 }):
		return outcome(exitChanges)
	}
	return nil
}

func (a *app) previewEnd(ctx context.Context, s *site, end config.Ending) (*organisationEndJSON, error) {
	name := end.Organisation.Name
	gone := end.Over.Add(end.Rules.Calendar.Grace)
	tried, err := s.engine.Try(ctx, engine.Trial{Rules: end.Rules, Organisation: name, Domains: end.Organisation.Domains, Until: gone})
	if err != nil {
		return nil, err
	}
	doc := &organisationEndJSON{Schema: "jmld.organisation-end/1", Organisation: name, Ends: end.Over.UTC().Format(timeJSON), Go: gone.UTC().Format(timeJSON),
		Members: len(tried.Before), People: []endingPerson{}, Elsewhere: []elsewhereJSON{}, Others: []changeJSON{}, Held: []planJSON{}, Totals: map[string]int{}, is: end,
		zone: end.Rules.Calendar.Zone}
	if !end.WasOver.IsZero() {
		doc.EndsNow = end.WasOver.UTC().Format(timeJSON)
	}
	if !end.Next.IsZero() {
		doc.Again = end.Next.UTC().Format(timeJSON)
	}
	last := map[[2]string]model.Change{} // of what takes an account away
	theirs := map[string]bool{}
	for _, p := range tried.Before {
		theirs[p.Identity.ID] = true
	}
	for _, c := range tried.Changes {
		switch {
		case c.Op == model.OpFinding:
			if theirs[c.IdentityID] {
				doc.findings = append(doc.findings, c)
			}
		case theirs[c.IdentityID] && c.Op.Leaves():
			last[[2]string{c.IdentityID, c.Target}] = c
		default:
			doc.changes = append(doc.changes, c)
		}
	}
	for i, p := range tried.Before {
		if one := endOf(end, p, tried.After[i], last); len(one.Accounts)+len(one.Memberships) > 0 {
			doc.People = append(doc.People, one)
			for _, acct := range one.Accounts {
				doc.Totals[acct.Outcome]++
			}
		}
	}
	for _, p := range tried.Elsewhere {
		doc.Elsewhere = append(doc.Elsewhere, elsewhereJSON{p.Identity.ID, cmp.Or(p.Identity.DisplayName, p.Identity.UserName), p.Identity.UserName, p.Identity.Organisation})
	}
	if doc.changes, err = a.without(ctx, s, end, gone, doc.changes); err != nil {
		return nil, err
	}
	slices.SortStableFunc(doc.People, func(x, y endingPerson) int { return cmp.Compare(model.FoldKey(x.Who), model.FoldKey(y.Who)) })
	doc.Others, doc.Findings = changesJSON(doc.changes), changesJSON(doc.findings)
	for _, p := range tried.Held {
		if doc.waitsIn(p.ID) {
			doc.held, doc.Held = append(doc.held, p), append(doc.Held, planView(p))
		}
	}
	doc.Write = writeJSON{File: s.file, Path: fmt.Sprintf("organisations: %s: engagements: number %d", name, end.Index+1), Is: end.Is.String(),
		Then: []string{"jmld config reload -c " + s.file}}
	if end.Index < len(end.Organisation.Engagements) {
		doc.Write.Was = end.Was.String()
	}
	inForce, err := s.store.RulesInForce(ctx)
	if err != nil {
		return nil, err
	}
	fingerprint, err := s.cfg.Fingerprint()
	doc.InForce = inForce == "" || inForce == fingerprint
	return doc, err
}

// without leaves out what comes in any case: people of other organisations have dates of their own.
func (a *app) without(ctx context.Context, s *site, end config.Ending, until time.Time, changes []model.Change) ([]model.Change, error) {
	if len(changes) == 0 {
		return nil, nil
	}
	rules, err := s.cfg.Rules()
	if err != nil {
		return nil, err
	}
	anyway, err := s.engine.Try(ctx, engine.Trial{Rules: rules, Organisation: end.Organisation.Name, Until: until})
	if err != nil {
		return nil, err
	}
	type what struct {
		identity, target, attrs string
		op                      model.Op
		state                   model.ChangeState
	}
	key := func(c model.Change) what { return what{c.IdentityID, c.Target, c.Attrs, c.Op, c.State} }
	comes := map[what]bool{}
	for _, c := range anyway.Changes {
		comes[key(c)] = true
	}
	return slices.DeleteFunc(changes, func(c model.Change) bool { return comes[key(c)] }), nil
}

// waitsIn says whether anything of it waits in the plan, and not only what comes in any case.
func (d *organisationEndJSON) waitsIn(plan string) bool {
	return slices.ContainsFunc(d.changes, func(c model.Change) bool { return c.PlanID == plan }) ||
		slices.ContainsFunc(d.People, func(p endingPerson) bool {
			return slices.ContainsFunc(p.Accounts, func(acct endingAccount) bool { return acct.Plan == plan })
		})
}

func endOf(end config.Ending, before, after engine.Person, last map[[2]string]model.Change) endingPerson {
	id := before.Identity
	out := endingPerson{Identity: id.ID, Who: cmp.Or(id.DisplayName, id.UserName), UserName: id.UserName, Accounts: []endingAccount{}}
	for _, acct := range before.Accounts {
		if acct.State != model.AccountActive {
			continue
		}
		one := endingAccount{Target: acct.Target, UserName: acct.UserName, Outcome: endsNot, State: acct.State}
		c, goes := last[[2]string{id.ID, acct.Target}]
		if !goes {
			one.Because = whyKept(end, after, acct)
			out.Accounts = append(out.Accounts, one)
			continue
		}
		one.at, one.At, one.op, one.Because, one.Plan = c.At, c.At.UTC().Format(timeJSON), c.Op, because(c), c.PlanID
		var why model.Reason
		var snapshot model.Snapshot
		if json.Unmarshal([]byte(c.Because), &why) == nil && json.Unmarshal([]byte(c.After), &snapshot) == nil {
			one.State = snapshot.State
		}
		switch with := strings.HasPrefix(why.Text, jml.EngagementOver(end.Organisation.Name)); {
		case c.State == model.ChangeHeld:
			one.Outcome = endsHeld
		case with:
			one.Outcome = endsWithIt
		default:
			one.Outcome = endsBefore
		}
		if rule, ok := end.Rules.Policy.RuleOf(acct.Target, why.Rule); ok && c.Op == model.OpDeactivate && rule.DeleteAfter > 0 {
			one.DeletedAfter, one.after = rule.DeleteAfter.String(), rule.DeleteAfter
		}
		out.Accounts = append(out.Accounts, one)
	}
	for _, m := range before.Access {
		counts := func(x model.AccessMember) bool {
			return x.EndedAt == nil && x.Person == m.Person && x.Place == m.Place && x.Role == m.Role
		}
		if m.EndedAt == nil && !slices.ContainsFunc(after.Access, counts) {
			out.Memberships = append(out.Memberships, endingMember{m.Place, m.Role, m.Admin})
		}
	}
	return out
}

// whyKept says why the person still has the account afterwards.
func whyKept(end config.Ending, after engine.Person, acct model.Account) string {
	if after.Identity == nil {
		return "the person is somebody else's by then"
	}
	var found []model.Finding
	var texts []string
	if after.Identity.Findings != "" && json.Unmarshal([]byte(after.Identity.Findings), &found) == nil {
		for _, f := range found {
			if f.Target == "" || f.Target == acct.Target {
				texts = append(texts, fmt.Sprintf("%s (%s)", f.Text, f.Code))
			}
		}
	}
	i := slices.IndexFunc(after.Accounts, func(x model.Account) bool { return x.Target == acct.Target })
	switch {
	case i >= 0 && after.Accounts[i].HeldPlan != "":
		texts = append(texts, "that it ends waits already, in plan "+after.Accounts[i].HeldPlan)
	case len(texts) > 0:
	case after.Identity.Organisation != end.Organisation.Name:
		texts = append(texts, "the person is of "+orElse(after.Identity.Organisation, "no organisation")+" by then")
	case after.Identity.Lifecycle != model.Archived && !end.Next.IsZero():
		texts = append(texts, "another engagement runs then")
	default:
		texts = append(texts, "the person is "+string(after.Identity.Lifecycle)+" then, and nothing takes it away")
	}
	return strings.Join(texts, "; ")
}
