package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"time"

	"jmld/jml"
	"jmld/model"
)

// jmlPart measures decisions: no database, no network.
func jmlPart(ctx context.Context, b *bench) error {
	r, err := rules()
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	people := make([]jml.Situation, 2000)
	for i := range people {
		if people[i], err = situation(int64(i), now); err != nil {
			return err
		}
		if d := r.Decide(people[i]); len(d.Steps) != 1 || d.Steps[0].Change.Op != model.OpCreate {
			return fmt.Errorf("person %d: %d steps, want one account to be created", i, len(d.Steps))
		}
	}
	decide := func(_ context.Context, _ int, n int64) error {
		r.Decide(people[n%int64(len(people))])
		return nil
	}
	// The least a program can do with a record: read its attributes and write them again.
	parse := func(_ context.Context, _ int, n int64) error {
		var m map[string]any
		if err := json.Unmarshal([]byte(people[n%int64(len(people))].Records[0].Attrs), &m); err != nil {
			return err
		}
		_, err := json.Marshal(m)
		return err
	}
	for _, at := range []struct {
		name    string
		workers int
	}{{"one by one", 1}, {fmt.Sprintf("bulk, %d CPUs", runtime.NumCPU()), runtime.NumCPU()}} {
		got, err := drive(ctx, at.workers, b.round, decide)
		if err != nil {
			return err
		}
		base, err := drive(ctx, at.workers, b.round, parse)
		if err != nil {
			return err
		}
		b.figures = append(b.figures, figure{
			Name: "jml decide a joiner, " + at.name, Value: got.rate, Unit: "decisions/s", Floor: base.rate,
			FloorName: "reading and writing the record as JSON", Ratio: got.rate / base.rate, P50: got.p50, P99: got.p99, FloorP99: base.p99,
		})
		b.say("%s: %.0f decisions/s", at.name, got.rate)
	}
	return nil
}

// situation is a new person who comes by SCIM.
func situation(n int64, now time.Time) (jml.Situation, error) {
	var attrs map[string]any
	if err := json.Unmarshal([]byte(newUser(n)), &attrs); err != nil {
		return jml.Situation{}, err
	}
	delete(attrs, "schemas")
	name := fmt.Sprintf("person%d@example.org", n)
	id := model.NewID(now)
	rec := model.Record{
		Source: pushed, ID: model.NewID(now), Kind: model.KindUser, UserName: name, UserNameKey: name, Active: true, UniqueKey: name,
		IdentityID: id, Link: model.Linked, Attrs: jml.Canonical(attrs), Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	return jml.Situation{Now: now, ID: id, Records: []model.Record{rec}, Cause: jml.Cause{Source: pushed, Record: rec.ID, Text: "created by entra"}}, nil
}
