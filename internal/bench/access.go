package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"jmld/jml/access"
	"jmld/model"
)

// accessPart asks a tree of 10,000 groups, 1,000 deep, with 100,000 memberships, what people may do: one of them, and everybody, with half
// the tree as the floor of that.
func accessPart(ctx context.Context, b *bench, now time.Time) error {
	const groups, members, people = 10_000, 100_000, 25_000
	tree, err := accessTree(groups, members, people)
	if err != nil {
		return err
	}
	half, err := accessTree(groups/2, members/2, people/2)
	if err != nil {
		return err
	}
	rights := func(tree *access.Tree, i int64) error {
		rows := tree.Rows(fmt.Sprint("p", i))
		if len(tree.Permissions(rows, now)) == 0 || len(tree.Reach(rows, now)) == 0 || len(tree.GroupNames(rows, now)) == 0 {
			return fmt.Errorf("nothing held by p%d", i)
		}
		return nil
	}
	var serial atomic.Int64
	one := func(context.Context, int) error { return rights(tree, serial.Add(1)%people) }
	// The least a program can do: look up the rows of the person.
	look := func(context.Context, int) error {
		if len(tree.Rows(fmt.Sprint("p", serial.Add(1)%people))) == 0 {
			return fmt.Errorf("nobody")
		}
		return nil
	}
	m, err := against(ctx, 1, b.round, nil, one, look)
	if err != nil {
		return err
	}
	b.add("effective permissions, groups and resources of one person of 25,000", "people/s", m[0], m[1], "looking the person up")
	everybody := func(tree *access.Tree, n int64) (measured, error) {
		all, began := measured{}, time.Now()
		for i := range n {
			start := time.Now()
			if err := errors.Join(rights(tree, i), ctx.Err()); err != nil {
				return all, err
			}
			all.took = append(all.took, time.Since(start))
		}
		all.over = time.Since(began)
		return all, nil
	}
	whole, err := everybody(tree, people)
	if err != nil {
		return err
	}
	part, err := everybody(half, people/2)
	if err != nil {
		return err
	}
	b.add("effective permissions, groups and resources of all 25,000", "people/s", whole, part, "half the groups, memberships and people")
	return nil
}

// accessTree is a line of a thousand groups with all others in the branches below it.
func accessTree(groups, members, people int) (*access.Tree, error) {
	const depth = 1_000
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
	return access.New(s)
}
