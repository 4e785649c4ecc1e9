package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jmld/internal/config"
	"jmld/jml"
	"jmld/model"
)

// Kinds of organisations in lists.
const (
	orgOwn     = "own"
	orgPartner = "partner"
	orgOther   = "other" // of none that the configuration names
)

// organisationJSON is one organisation.
type organisationJSON struct {
	Name         string                  `json:"name"` // "": people with an address of no organisation, or without one
	Kind         string                  `json:"kind"`
	Domains      []string                `json:"domains,omitempty"`
	Engagement   *engagementJSON         `json:"engagement,omitempty"` // that counts now; none: its people are there as long as their sources say
	People       map[model.Lifecycle]int `json:"people"`
	WithAccounts int                     `json:"withAccounts"`
	EndSoon      int                     `json:"endSoon"`
}

// engagementJSON is a period of an organisation.
type engagementJSON struct {
	From    string `json:"from,omitempty"`  // the first moment of it
	Until   string `json:"until,omitempty"` // the first moment after it
	Sponsor string `json:"sponsor,omitempty"`
	Reason  string `json:"reason,omitempty"`
	State   string `json:"state"` // running, ended, to come
}

type organisationsJSON struct {
	Schema        string             `json:"schema"`
	Soon          string             `json:"soon"`
	Organisations []organisationJSON `json:"organisations"`
}

func newOrganisation(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "organisation",
		Short: "Organisations, and what the end of one would do",
		Long:  "Organisations and their engagements are in the configuration, and are changed there.",
		Example: `  jmld organisation list
  jmld organisation end Partner --on 2026-12-31`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newOrganisationList(a), newOrganisationEnd(a))
	return cmd
}

func newOrganisationList(a *app) *cobra.Command {
	var days int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Organisations: domains, until when, who answers for them, how many people",
		Long: "list shows the organisations of the configuration, with the engagement that counts now: the one that runs, else the last one that ended, else\n" +
			"the next to come. PEOPLE are those who have not left, ENDING those of them whose work ends within --soon days, by their own endDate or\n" +
			"with the engagement. People of no organisation are in the row without a name.",
		Example: `  jmld organisation list
  jmld organisation list --soon 90
  jmld organisation list -o json | jq '.organisations[] | select(.endSoon > 0) | .name'`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if days < 0 || days > 36500 {
				return usage(fmt.Errorf("--soon %d: a number of days, 0 to 36500, is expected", days))
			}
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				return a.listOrganisations(ctx, s, a.now().AddDate(0, 0, days))
			})
		},
	}
	cmd.Flags().IntVar(&days, "soon", 30, "how many `days` ahead an end is soon")
	return cmd
}

func (a *app) listOrganisations(ctx context.Context, s *site, soon time.Time) error {
	rules, err := s.cfg.Rules()
	if err != nil {
		return err
	}
	counted, err := s.store.Organisations(ctx)
	if err != nil {
		return err
	}
	ending, err := endingBy(ctx, s, rules, a.now(), soon)
	if err != nil {
		return err
	}
	doc := organisationsJSON{Schema: "jmld.organisations/1", Soon: soon.UTC().Format(timeJSON), Organisations: []organisationJSON{}}
	row := func(o config.Organisation, kind string) {
		out := organisationJSON{Name: o.Name, Kind: kind, Domains: o.Domains, Engagement: engagementView(rules, o.Name, a.now()), People: map[model.Lifecycle]int{},
			EndSoon: ending[o.Name]}
		for _, t := range counted {
			if t.Organisation == o.Name {
				for phase, n := range t.People {
					out.People[phase] += n
				}
				out.WithAccounts += t.WithAccounts
			}
		}
		doc.Organisations = append(doc.Organisations, out)
	}
	for _, o := range s.cfg.Organisations {
		kind := orgPartner
		if o.Own {
			kind = orgOwn
		}
		row(o, kind)
	}
	for _, t := range counted {
		if !slices.ContainsFunc(doc.Organisations, func(o organisationJSON) bool { return o.Name == t.Organisation }) {
			row(config.Organisation{Name: t.Organisation}, orgOther)
		}
	}
	if a.json() {
		return a.printJSON(doc)
	}
	if len(doc.Organisations) == 0 {
		a.printf("the configuration names no organisation, and there is nobody\n")
		return nil
	}
	t := newTable(a.stdout)
	t.row("NAME", "KIND", "DOMAINS", "FROM", "UNTIL", "SPONSOR", "PEOPLE", "WITH ACCOUNTS", "ENDING")
	for _, o := range doc.Organisations {
		e := orEmpty(o.Engagement)
		until := orElse(e.Until, "open")
		if e.State == "ended" {
			until += " (over)"
		}
		present := 0
		for phase, n := range o.People {
			if phase != model.Archived {
				present += n
			}
		}
		t.row(orElse(line(o.Name), "(none)"), o.Kind, orElse(line(strings.Join(o.Domains, ", ")), "-"), orElse(e.From, "open"), until, orElse(line(e.Sponsor), "-"),
			strconv.Itoa(present), strconv.Itoa(o.WithAccounts), strconv.Itoa(o.EndSoon))
	}
	return t.flush()
}

func orEmpty(e *engagementJSON) engagementJSON {
	if e == nil {
		return engagementJSON{}
	}
	return *e
}

func engagementView(rules *jml.Rules, organisation string, now time.Time) *engagementJSON {
	e, ok := rules.Calendar.Engagement(organisation, now)
	if !ok {
		return nil
	}
	out := &engagementJSON{Sponsor: e.Sponsor, Reason: e.Reason, State: "running"}
	if !e.From.IsZero() {
		out.From = e.From.UTC().Format(timeJSON)
	}
	if !e.Until.IsZero() {
		out.Until = e.Until.UTC().Format(timeJSON)
	}
	switch {
	case now.Before(e.From):
		out.State = "to come"
	case !e.Until.IsZero() && !now.Before(e.Until):
		out.State = "ended"
	}
	return out
}

// endingBy counts, by organisation, the people who are there and whose work ends before the time.
func endingBy(ctx context.Context, s *site, rules *jml.Rules, now, soon time.Time) (map[string]int, error) {
	out := map[string]int{}
	for q := (model.PeopleQuery{DueBy: &soon, Limit: 1000}); ; q.Offset += q.Limit { // an end is a date at which somebody is looked at again
		people, err := s.store.People(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, p := range people {
			if end := rules.End(p, now); p.Lifecycle != model.Archived && !end.IsZero() && end.Before(soon) {
				out[p.Organisation]++
			}
		}
		if len(people) < q.Limit {
			return out, nil
		}
	}
}

// completeOrganisation offers the organisations of others.
func (a *app) completeOrganisation() cobra.CompletionFunc {
	return a.completeConfigured(func(cfg *config.Config) []string {
		var names []string
		for _, o := range cfg.Organisations {
			if !o.Own {
				names = append(names, o.Name)
			}
		}
		return names
	})
}

// ending is the trial configuration in which the organisation ends.
func (a *app) ending(s *site, name, last string) (config.Ending, error) {
	e, err := s.cfg.EndOrganisation(name, last, a.now())
	switch {
	case errors.Is(err, model.ErrNotFound):
		return e, notFound("there is no organisation %q in %s: `jmld organisation list` lists them", line(name), s.file)
	case errors.Is(err, model.ErrInvalid):
		return e, usage(err)
	}
	return e, err
}
