package main

import (
	"context"
	"encoding/json"

	"go.uber.org/zap"

	"jmld/jml/engine"
	"jmld/ldapsync"
	"jmld/model"
)

type onlyJSON struct {
	Schema  string          `json:"schema"`
	Source  string          `json:"source"`
	DN      string          `json:"dn"`
	ID      string          `json:"id,omitempty"`
	Left    string          `json:"leftOut,omitempty"`
	Skipped string          `json:"skipped,omitempty"`
	Active  bool            `json:"active"`
	Record  json.RawMessage `json:"record,omitempty"`
	Changes []changeJSON    `json:"changes"`
}

// onlyOne is the source with a single person in it. It proves nothing, so nobody is taken for absent.
type onlyOne struct {
	engine.Source
	entry model.Entry
}

// Read hands out the one.
func (o onlyOne) Read(_ context.Context, emit func(model.Entry) error) (model.Proof, error) {
	if err := emit(o.entry); err != nil {
		return model.Proof{}, err
	}
	return model.Proof{Users: 1, Conditions: []model.Condition{{Name: "read to the end", Seen: "one person was asked for"}}}, nil
}

// only reads one person and shows what a read would decide. It changes nothing.
func (a *app) only(ctx context.Context, s *site, source, who string) error {
	src, err := directorySource(s.source(source), zap.NewNop())
	if err != nil {
		return err
	}
	found, err := src.Only(ctx, who)
	if err != nil {
		return err
	}
	var changes []model.Change
	held := false
	if found.Left == "" && found.Skipped == "" {
		opts := s.options
		opts.Sources = []engine.ReadSource{{Source: onlyOne{src, found.Entry}}}
		done, err := engine.New(opts).Sync(ctx, source, engine.SyncOptions{Trigger: "demand", Actor: a.operator(""), DryRun: true})
		if err != nil {
			return err
		}
		changes, held = done.Changes, len(done.Held) > 0
	}
	if a.json() {
		err = a.printJSON(onlyJSON{"jmld.sync-only/1", source, found.DN, found.ID, found.Left, found.Skipped, found.Entry.Active,
			object(found.Entry.Attrs), changesJSON(byPerson(changes))})
	} else {
		err = a.printOnly(found, changes)
	}
	switch {
	case err != nil:
		return err
	case held:
		return outcome(exitHeld)
	case len(changes) > 0:
		return outcome(exitChanges)
	}
	return nil
}

func (a *app) printOnly(f ldapsync.Found, changes []model.Change) error {
	a.printf("%s  (%s)\n", line(f.DN), orElse(f.ID, "without an id"))
	switch {
	case f.Skipped != "":
		a.printf("  cannot be used, so that a run skips it: %s\n", line(f.Skipped))
		return nil
	case f.Left != "":
		a.printf("  is out of scope: %s. A complete run takes who is known from it for somebody who left.\n", line(f.Left))
		return nil
	case f.Entry.Active:
		a.printf("  is listed as a person, active\n")
	default:
		a.printf("  is listed as a person, not active\n")
	}
	a.printf("  %s\n", line(f.Entry.Attrs))
	if len(changes) == 0 {
		a.printf("a run would change no account because of it\n")
		return nil
	}
	a.printf("a run would (nothing was changed):\n")
	return a.printChanges(byPerson(changes))
}
