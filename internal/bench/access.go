package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"jmld/jml/access"
	"jmld/model"
)

// accessPart asks a tree of 10,000 groups, 1,000 deep, with 100,000 memberships, what people may do.
func accessPart(ctx context.Context, b *bench, now time.Time) error {
	const groups, depth, members, people = 10_000, 1_000, 100_000, 25_000
	s := access.State{Roles: []model.AccessRole{{ID: "developer", Name: "Developer", Permissions: `{"cicd":["build"],"project":["edit"]}`},
		{ID: "operator", Name: "Operator", Permissions: `{"cluster":["deploy"]}`}}}
	for i := range groups {
		parent := model.AccessRoot
		switch {
		case i > 0 && i < depth:
			parent = fmt.Sprint("g", i-1)
		case i >= depth:
			parent = fmt.Sprint("g", i/2)
		}
		name := fmt.Sprint("g", i)
		s.Groups = append(s.Groups, model.AccessGroup{ID: name, Name: name, Description: "a group", Parent: parent})
		s.Resources = append(s.Resources, model.AccessResource{Place: "app:" + name, Name: name})
		s.Links = append(s.Links, model.AccessLink{Place: "app:" + name, Owner: name, Exclusive: true})
	}
	for i := range members {
		s.Members = append(s.Members, model.AccessMember{Person: fmt.Sprint("p", i%people), Place: fmt.Sprint("group:g", i*31%groups), Role: s.Roles[i%2].ID})
	}
	tree, err := access.New(s)
	if err != nil {
		return err
	}
	var serial atomic.Int64
	next := func() []model.AccessMember { return tree.Rows(fmt.Sprint("p", serial.Add(1)%people)) }
	rights := func(context.Context, int) error {
		rows := next()
		if len(tree.Permissions(rows, now)) == 0 || len(tree.Reach(rows, now)) == 0 || len(tree.GroupNames(rows, now)) == 0 {
			return fmt.Errorf("nothing held by %s", rows[0].Person)
		}
		return nil
	}
	// The least a program can do: look up the rows of the person.
	look := func(context.Context, int) error {
		if len(next()) == 0 {
			return fmt.Errorf("nobody")
		}
		return nil
	}
	m, err := against(ctx, 1, b.round, nil, rights, look)
	if err != nil {
		return err
	}
	b.add("effective permissions, groups and resources of one person of 25,000", "people/s", m[0], m[1], "looking the person up")
	return nil
}
