package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"jmld/jml/access"
	"jmld/model"
)

// linear is by how much the time for one may grow with how many there are: it should not, and machines are not quiet.
const linear = 1.3

// accessPart asks a tree of 10,000 groups, 1,000 deep, with 100,000 memberships, what people may do: one of them, the one with the
// longest answer, and everybody. Of everybody it asks a tenth and a third, too: what one costs must not depend on how many there are.
func accessPart(ctx context.Context, b *bench, now time.Time) error {
	const groups, members, people = 10_000, 100_000, 25_000
	parts := []int{10, 3, 1}
	trees := make([]*access.Tree, len(parts))
	for i, part := range parts {
		var err error
		if trees[i], err = accessTree(groups, members/part, people/part); err != nil {
			return err
		}
	}
	tree := trees[len(trees)-1]
	rights := func(tree *access.Tree, i int64) error {
		rows := tree.Rows(fmt.Sprint("p", i))
		if len(tree.Permissions(rows, now)) == 0 || len(tree.Reach(rows, now)) == 0 || len(tree.GroupNames(rows, now)) == 0 {
			return fmt.Errorf("nothing held by p%d", i)
		}
		return nil
	}
	var serial atomic.Int64
	one := func(context.Context, int) error { return rights(tree, serial.Add(1)%people) }
	top := func(context.Context, int) error { return rights(tree, 0) } // a member of the first group, and so of all
	// The least a program can do: look up the rows of the person.
	look := func(context.Context, int) error {
		if len(tree.Rows(fmt.Sprint("p", serial.Add(1)%people))) == 0 {
			return fmt.Errorf("nobody")
		}
		return nil
	}
	m, err := against(ctx, 1, b.round, nil, one, top, look)
	if err != nil {
		return err
	}
	for i, name := range []string{"of one person of 25,000", "of a member of all 10,000 groups"} {
		b.add("effective permissions, groups and resources "+name, "people/s", m[i], m[2], "looking the person up")
		f := &b.figures[len(b.figures)-1]
		f.reach("p50 <= 1 ms", f.P50 <= 1)
	}
	// By turns of a hundredth, so that what else the machine does meets all of them.
	const turns = 100
	all := make([]measured, len(parts))
	for turn := range int64(turns) {
		for k, part := range parts {
			n := int64(people / part)
			began := time.Now()
			for i := n * turn / turns; i < n*(turn+1)/turns; i++ {
				start := time.Now()
				if err := errors.Join(rights(trees[k], i), ctx.Err()); err != nil {
					return err
				}
				all[k].took = append(all[k].took, time.Since(start))
			}
			all[k].over += time.Since(began)
		}
	}
	for k, part := range parts {
		n := len(all[k].took)
		b.add(fmt.Sprintf("effective permissions, groups and resources of all %d, %d memberships", n, members/part), "people/s", all[k], all[0], fmt.Sprintf("%d people", len(all[0].took)))
		if k > 0 {
			b.linear(all[0].rate() / all[k].rate())
		}
	}
	return nil
}

// linear says of the last figure by how much more one costs than one of the smaller number.
func (b *bench) linear(ratio float64) {
	f := &b.figures[len(b.figures)-1]
	f.reach(fmt.Sprintf("time for one <= %g x", linear), ratio <= linear)
	f.Note = strings.TrimPrefix(fmt.Sprintf("%s; %.2f x the time for one", f.Note, ratio), "; ")
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
