package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"sync/atomic"
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
	var serial atomic.Int64
	next := func() jml.Situation { return people[serial.Add(1)%int64(len(people))] }
	decide := func(context.Context, int) error {
		r.Decide(next())
		return nil
	}
	// The least a program can do with a record: read its attributes and write them again.
	parse := func(context.Context, int) error {
		var m map[string]any
		if err := json.Unmarshal([]byte(next().Records[0].Attrs), &m); err != nil {
			return err
		}
		_, err := json.Marshal(m)
		return err
	}
	for _, at := range []struct {
		name    string
		workers int
	}{{"one by one", 1}, {fmt.Sprintf("bulk, %d CPUs", runtime.NumCPU()), runtime.NumCPU()}} {
		m, err := against(ctx, at.workers, b.round, nil, decide, parse)
		if err != nil {
			return err
		}
		b.add("jml decide a joiner, "+at.name, "decisions/s", m[0], m[1], "reading and writing the record as JSON")
	}
	if r, err = manyRules(); err != nil {
		return err
	}
	m, err := against(ctx, 1, b.round, nil, decide, parse)
	if err != nil {
		return err
	}
	b.add("jml decide a joiner, 20 rules, 10 targets", "decisions/s", m[0], m[1], "reading and writing the record as JSON")
	return accessPart(ctx, b, now)
}

// situation is a new person who comes by SCIM.
func situation(n int64, now time.Time) (jml.Situation, error) {
	var attrs map[string]any
	if err := json.Unmarshal([]byte(newUser(n, titleOf(n))), &attrs); err != nil {
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
