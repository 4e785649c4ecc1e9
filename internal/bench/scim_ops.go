package main

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
)

// doer does what is measured: over HTTP against the daemon, by hand against the database, by hand behind net/http.
type doer func(ctx context.Context, o *scimOp, n, turn int64) error

// scimOp is one kind of request. n is a number of a person, turn which time it is that one's turn.
type scimOp struct {
	name   string
	target float64 // of the floor
	write  bool
	half   int64 // of the people, the part that it changes
	ours   func(ctx context.Context, c *client, n, turn int64) error
	floor  func(ctx context.Context, f byHand, n, turn int64) (string, error)
	next   *atomic.Int64 // of those that do not exist yet
	pair   bool          // whoever is changed is changed back at once
}

const (
	writeTarget = 0.6
	readTarget  = 0.5
)

const getByID = "get by id"

func scimOps(next *atomic.Int64, group int64) []*scimOp {
	return []*scimOp{
		{
			name: "create", target: writeTarget, write: true, next: next,
			ours: func(ctx context.Context, c *client, n, _ int64) error {
				return c.do(ctx, http.MethodPost, "/Users", newUser(n, titleOf(n)), http.StatusCreated, nil)
			},
			floor: func(ctx context.Context, f byHand, n, _ int64) (string, error) { return "", f.create(ctx, n) },
		},
		{
			name: "PATCH active", target: writeTarget, write: true,
			ours: func(ctx context.Context, c *client, n, turn int64) error {
				return c.do(ctx, http.MethodPatch, "/Users/"+recordID(n), patchOf(fmt.Sprintf(`{"op":"Replace","path":"active","value":%t}`, turn%2 == 1)), http.StatusOK, nil)
			},
			floor: func(ctx context.Context, f byHand, n, turn int64) (string, error) {
				ch := change{op: "!", title: titleOf(n)}
				if turn%2 == 1 {
					ch.op, ch.active = "^", true
				}
				return f.alter(ctx, "scim.patch", recordID(n), ch)
			},
		},
		{
			name: "PUT", target: writeTarget, write: true, half: 1,
			ours: func(ctx context.Context, c *client, n, turn int64) error {
				return c.do(ctx, http.MethodPut, "/Users/"+recordID(n), newUser(n, titleOf(n+turn+1)), http.StatusOK, nil)
			},
			floor: func(ctx context.Context, f byHand, n, turn int64) (string, error) {
				return f.alter(ctx, "scim.replace", recordID(n), change{op: "~", active: true, title: titleOf(n + turn + 1)})
			},
		},
		{
			name: getByID, target: readTarget,
			ours: func(ctx context.Context, c *client, n, _ int64) error {
				return c.do(ctx, http.MethodGet, "/Users/"+recordID(n), "", http.StatusOK, nil)
			},
			floor: func(ctx context.Context, f byHand, n, _ int64) (string, error) { return f.get(ctx, recordID(n)) },
		},
		{
			name: "lookup by userName", target: readTarget,
			ours: func(ctx context.Context, c *client, n, _ int64) error {
				return c.one(ctx, fmt.Sprintf(`userName eq "person%d@example.org"`, n))
			},
			floor: func(ctx context.Context, f byHand, n, _ int64) (string, error) { return f.name(ctx, n) },
		},
		{
			name: "lookup by work email", target: readTarget,
			ours: func(ctx context.Context, c *client, n, _ int64) error {
				return c.one(ctx, fmt.Sprintf(`emails[type eq "work"].value eq "person%d@example.org"`, n))
			},
			floor: func(ctx context.Context, f byHand, n, _ int64) (string, error) { return f.email(ctx, n) },
		},
		{
			name: "page of 100", target: readTarget,
			ours: func(ctx context.Context, c *client, _, _ int64) error {
				return c.do(ctx, http.MethodGet, "/Users?count=100", "", http.StatusOK, nil)
			},
			floor: func(ctx context.Context, f byHand, _, _ int64) (string, error) { return "", f.page(ctx) },
		},
		memberOp(group),
	}
}

const memberName = "PATCH one member of %d"

// memberOp adds one member to a group of that size, and takes it out again the next time. A client has a group of its own.
func memberOp(size int64) *scimOp {
	member := func(n, turn int64) (group, id string, add bool) {
		return groupID(size, (n-1)%groupsOfASize), recordID(n), turn%2 == 0
	}
	return &scimOp{
		name: fmt.Sprintf(memberName, size), target: writeTarget, write: true, pair: true,
		ours: func(ctx context.Context, c *client, n, turn int64) error {
			group, id, add := member(n, turn)
			operation := fmt.Sprintf(`{"op":"Remove","path":"members[value eq \"%s\"]"}`, id)
			if add {
				operation = fmt.Sprintf(`{"op":"Add","path":"members","value":[{"value":"%s"}]}`, id)
			}
			return c.do(ctx, http.MethodPatch, "/Groups/"+group, patchOf(operation), anySuccess, nil)
		},
		floor: func(ctx context.Context, f byHand, n, turn int64) (string, error) {
			group, id, add := member(n, turn)
			return "", f.member(ctx, group, id, add)
		},
	}
}

// sides of a comparison.
const (
	sideOurs = iota
	sideBare
	sideHTTP
	sides
)

// turns counts, for one kind of request, which one each client of each side is at.
type turns [sides][mostClients]int64

// request lets clients do o by d. Who is changed is changed by one client of one side only; who is read comes in no order that a
// cache would like.
func (o *scimOp) request(d doer, side int, people int64, at *turns) request {
	return func(ctx context.Context, client int) error {
		k := at[side][client]
		at[side][client]++
		switch {
		case o.next != nil:
			return d(ctx, o, o.next.Add(1), 0)
		case !o.write:
			return d(ctx, o, 1+(k*7919+int64(client)*104_729)%people, 0)
		}
		each := max(1, people/2/(sides*mostClients))
		turn := k / each
		if o.pair {
			k, turn = k/2, k%2
		}
		n := o.half*people/2 + ((k%each)*sides+int64(side))*mostClients + int64(client)
		return d(ctx, o, n+1, turn)
	}
}
