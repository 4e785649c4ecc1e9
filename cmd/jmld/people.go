package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jmld/jml"
	"jmld/jml/engine"
	"jmld/model"
)

// peopleRowJSON is one person of an overview.
type peopleRowJSON struct {
	ID            string          `json:"id"`
	UserName      string          `json:"userName"`
	DisplayName   string          `json:"displayName"`
	Domain        string          `json:"domain,omitempty"` // of the e-mail address
	Organisation  string          `json:"organisation,omitempty"`
	External      bool            `json:"external"`
	Lifecycle     model.Lifecycle `json:"lifecycle"`
	Categories    []string        `json:"categories"`
	WorkerType    string          `json:"workerType,omitempty"`
	Certification string          `json:"certification,omitempty"`
	Sponsor       string          `json:"sponsor,omitempty"`
	Start         string          `json:"startDate,omitempty"`
	End           string          `json:"endDate,omitempty"`       // their own
	Engagement    string          `json:"engagementEnd,omitempty"` // of the organisation: the first moment after it
	Accounts      []string        `json:"accounts"`                // targets in which they should have an active one
}

type peopleJSON struct {
	Schema string          `json:"schema"`
	People []peopleRowJSON `json:"people"`
}

func newPeople(a *app) *cobra.Command {
	var q model.PeopleQuery
	var lifecycle string
	cmd := &cobra.Command{
		Use:   "people [TEXT]",
		Short: "Everybody, or some of them: where from, who answers for them, until when, what they have",
		Long:  "TEXT is a part of a name, a user name or an e-mail address, or exactly an employee number or an id.",
		Example: `  jmld people --external                       who of other organisations has what, and until when
  jmld people --organisation Partner -o json
  jmld people --lifecycle established          who has not started yet`,
		Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if q.Limit < 1 || q.Limit > maxRows {
				return usage(errLimit(q.Limit))
			}
			if len(args) == 1 {
				q.Search = args[0]
			}
			q.Lifecycle = model.Lifecycle(lifecycle)
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error { return a.listPeople(ctx, s, q) })
		},
	}
	f := cmd.Flags()
	f.BoolVar(&q.External, "external", false, "only people of other organisations, or of unknown ones")
	f.StringVar(&q.Organisation, "organisation", "", "only of this `organisation`")
	f.StringVar(&lifecycle, "lifecycle", "", "only in this `phase`: established, active, suspended or archived")
	must(cmd.RegisterFlagCompletionFunc("lifecycle", cobra.FixedCompletions([]string{"established", "active", "suspended", "archived"},
		cobra.ShellCompDirectiveNoFileComp)))
	f.IntVar(&q.Limit, "limit", 100, "at most this many rows")
	return cmd
}

func (a *app) listPeople(ctx context.Context, s *site, q model.PeopleQuery) error {
	found, err := s.store.People(ctx, q)
	if err != nil {
		return err
	}
	subjects := make([]engine.Subject, len(found))
	for i, p := range found {
		subjects[i].Identity = p.ID
	}
	loaded, err := s.store.Load(ctx, subjects)
	if err != nil {
		return err
	}
	rules, err := s.cfg.Rules()
	if err != nil {
		return err
	}
	doc := peopleJSON{Schema: "jmld.people/1", People: []peopleRowJSON{}}
	for i, p := range found {
		doc.People = append(doc.People, peopleRow(rules, p, loaded[i].Accounts, a.now()))
	}
	if a.json() {
		return a.printJSON(doc)
	}
	if len(doc.People) == 0 {
		a.printf("nobody\n")
		return nil
	}
	t := newTable(a.stdout)
	t.row("NAME", "USER NAME", "FROM", "LIFECYCLE", "CERTIFICATION", "SPONSOR", "END", "ACCOUNTS")
	for _, p := range doc.People {
		from := orElse(p.Domain, "no address")
		if p.Organisation != "" {
			from = p.Organisation + ", " + from
		}
		end := p.End
		if p.Engagement != "" {
			end = strings.TrimPrefix(end+", engagement until "+p.Engagement, ", ")
		}
		t.row(line(p.DisplayName), line(p.UserName), line(from), string(p.Lifecycle), orElse(line(p.Certification), "none"), orElse(line(p.Sponsor), "nobody"),
			orElse(line(end), "open"), orElse(strings.Join(p.Accounts, ", "), "none"))
	}
	return t.flush()
}

func peopleRow(rules *jml.Rules, p model.Identity, accounts []model.Account, now time.Time) peopleRowJSON {
	ext, _ := jml.Decode(p.Attrs)[jml.LifecycleUser].(map[string]any)
	text := func(name string) string { s, _ := ext[name].(string); return s }
	_, domain, _ := strings.Cut(p.Email, "@")
	row := peopleRowJSON{ID: p.ID, UserName: p.UserName, DisplayName: p.DisplayName, Domain: strings.ToLower(domain), Organisation: p.Organisation,
		External: p.External, Lifecycle: p.Lifecycle, Categories: categories(&p), WorkerType: text("workerType"),
		Certification: text("certification"), Sponsor: text("sponsor"), Start: text("startDate"), End: text("endDate"), Accounts: []string{}}
	if e, ok := rules.Calendar.Engagement(p.Organisation, now); ok {
		if row.Sponsor == "" {
			row.Sponsor = e.Sponsor
		}
		if !e.Until.IsZero() {
			row.Engagement = e.Until.UTC().Format(timeJSON)
		}
	}
	for _, acc := range accounts {
		if acc.State == model.AccountActive {
			row.Accounts = append(row.Accounts, acc.Target)
		}
	}
	return row
}
