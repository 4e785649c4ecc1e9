package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"jmld/model"
)

type dialectJSON struct {
	Source  string            `json:"source"`
	Dialect string            `json:"dialect"`
	Seen    dialectSeenJSON   `json:"seen"`
	Notes   []dialectNoteJSON `json:"readDifferently"`
}

type dialectSeenJSON struct {
	Requests int    `json:"requests"`
	First    string `json:"first"`
	Last     string `json:"last"`
	Request  string `json:"lastRequest"`
	Record   string `json:"lastRecord,omitempty"`
}

type dialectNoteJSON struct {
	Note string          `json:"note"`
	Seen dialectSeenJSON `json:"seen"`
}

type dialectsJSON struct {
	Schema   string        `json:"schema"`
	Dialects []dialectJSON `json:"dialects"`
}

func newSCIMDialect(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "dialect [SOURCE]",
		Short: "How clients speak SCIM, and what was read differently from how it was written",
		Long: "Lists for each source which dialects its requests were in, reads included, and each thing that was read differently, with the last\n" +
			"request it was seen in: the daemon's log and the audit have that request under its id. Counts are stored every few seconds.",
		Example: `  jmld scim dialect entra
  jmld scim dialect -o json | jq '.dialects[] | {source, dialect}'`,
		Args:              atMost(1),
		ValidArgsFunction: a.completeSource(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				source := ""
				if len(args) == 1 {
					source = args[0]
					switch {
					case !s.hasSource(source):
						return notFound("there is no source %q in %s (%s)", line(source), s.file, s.sourceNames())
					case s.isRead(source):
						return usage(fmt.Errorf("source %s is a directory that is read; only sources pushed over SCIM speak its dialects", source))
					}
				}
				uses, err := s.store.Dialects(ctx, source)
				if err != nil {
					return err
				}
				return a.printDialects(uses)
			})
		},
	}
}

func (a *app) printDialects(uses []model.DialectUse) error {
	if a.json() {
		return a.printJSON(dialectsView(uses))
	}
	if len(uses) == 0 {
		a.printf("no request was seen yet\n")
		return nil
	}
	t := newTable(a.stdout)
	t.row("SOURCE", "DIALECT", "READ DIFFERENTLY", "REQUESTS", "FIRST", "LAST", "LAST REQUEST")
	for _, u := range uses {
		t.row(u.Source, u.Dialect, u.Note, fmt.Sprint(u.Requests), at(u.FirstAt), at(u.LastAt), u.RequestID)
	}
	return t.flush()
}

// dialectsView puts the notes of each dialect, which come after it, into it.
func dialectsView(uses []model.DialectUse) dialectsJSON {
	doc := dialectsJSON{Schema: "jmld.dialects/1", Dialects: []dialectJSON{}}
	for _, u := range uses {
		seen := dialectSeenJSON{Requests: u.Requests, First: u.FirstAt.UTC().Format(timeJSON), Last: u.LastAt.UTC().Format(timeJSON),
			Request: u.RequestID, Record: u.RecordID}
		n := len(doc.Dialects)
		if n == 0 || doc.Dialects[n-1].Source != u.Source || doc.Dialects[n-1].Dialect != u.Dialect {
			doc.Dialects = append(doc.Dialects, dialectJSON{Source: u.Source, Dialect: u.Dialect, Notes: []dialectNoteJSON{}})
			n++
		}
		if u.Note == "" {
			doc.Dialects[n-1].Seen = seen
			continue
		}
		doc.Dialects[n-1].Notes = append(doc.Dialects[n-1].Notes, dialectNoteJSON{u.Note, seen})
	}
	return doc
}
