package conformance

import (
	"context"
	"net/http"
)

func deleteChecks() []check {
	return []check{
		must("delete-status", "7644 §3.6", "R121", write, "DELETE is answered with 204 and no body",
			func(ctx context.Context, p *probe) error {
				u, err := p.newUser(ctx)
				if err != nil {
					return err
				}
				a, err := p.do(ctx, request{method: "DELETE", path: u.path()})
				if err != nil {
					return err
				}
				if err := a.is(http.StatusNoContent); err != nil {
					return err
				}
				if len(a.text) > 0 {
					return wrong("no body", "%d bytes", len(a.text))
				}
				return nil
			}),
		must("delete-read", "7644 §3.6", "R121", write, "what was deleted is 404",
			func(ctx context.Context, p *probe) error { return p.ghost(ctx, request{method: "GET"}) }),
		must("delete-put", "7644 §3.6", "R121", write, "PUT of what was deleted is 404",
			func(ctx context.Context, p *probe) error {
				return p.ghost(ctx, request{method: "PUT", body: p.userDoc()})
			}),
		must("delete-patch", "7644 §3.6", "R121", write|patch, "PATCH of what was deleted is 404",
			func(ctx context.Context, p *probe) error {
				return p.ghost(ctx, request{method: "PATCH", body: patchOp(op("replace", "title", "x"))})
			}),
		must("delete-again", "7644 §3.6", "R121", write, "DELETE of what was deleted is 404",
			func(ctx context.Context, p *probe) error { return p.ghost(ctx, request{method: "DELETE"}) }),
		must("delete-unknown", "7644 §3.6", "R121 R135", write, "DELETE of an id that does not exist is 404",
			func(ctx context.Context, p *probe) error {
				a, err := p.do(ctx, request{method: "DELETE", path: "/Users/" + p.nobody()})
				if err != nil {
					return err
				}
				return a.is(http.StatusNotFound)
			}),
		must("delete-query", "7644 §3.6", "R121", write|filter, "what was deleted is found by no query",
			func(ctx context.Context, p *probe) error {
				u, err := p.deleted(ctx)
				if err != nil {
					return err
				}
				a, err := p.get(ctx, query("/Users", "filter", "userName eq "+quoted(u.name)))
				if err != nil {
					return err
				}
				for _, doc := range elements(a.doc, "Resources") {
					if doc["id"] == u.id {
						return wrong("a list without it", "it is there")
					}
				}
				return nil
			}),
		must("delete-frees-name", "7644 §3.6", "R122", write, "the userName of what was deleted is free",
			func(ctx context.Context, p *probe) error {
				a, _, _, err := p.again(ctx)
				if err != nil {
					return err
				}
				return a.is(200, 201)
			}),
		must("delete-new-id", "7643 §3.1", "R25", write, "an id is never used again: who is created again has a new one",
			func(ctx context.Context, p *probe) error {
				_, before, now, err := p.again(ctx)
				switch {
				case err != nil:
					return err
				case now == nil:
					return skip("the user could not be created again")
				case now.id == before.id:
					return wrong("a new id", "the old one")
				}
				return nil
			}),
		must("inactive-read", "7643 §4.1.1", "R47", write, "who is not active can still be read",
			func(ctx context.Context, p *probe) error {
				u, err := p.inactive(ctx)
				if err != nil {
					return err
				}
				_, err = p.read(ctx, u)
				return err
			}),
		must("inactive-found", "7643 §4.1.1", "R47", write|filter, "who is not active is still found, or clients create them a second time",
			func(ctx context.Context, p *probe) error {
				u, err := p.inactive(ctx)
				if err != nil {
					return err
				}
				a, err := p.get(ctx, query("/Users", "filter", "userName eq "+quoted(u.name)))
				if err != nil {
					return err
				}
				list, err := a.list()
				if err != nil {
					return err
				}
				for _, doc := range list {
					if doc["id"] == u.id {
						return nil
					}
				}
				return wrong("the user in the list", "a list of %d without them", len(list))
			}),
	}
}

// remove deletes; that it works is another check's business.
func (p *probe) remove(ctx context.Context, u *resource) error {
	a, err := p.do(ctx, request{method: "DELETE", path: u.path()})
	if err != nil {
		return err
	}
	if !a.ok() {
		return skip("DELETE did not work: %s", a.brief())
	}
	return nil
}

// deleted is a user that was made and deleted.
func (p *probe) deleted(ctx context.Context) (*resource, error) {
	u, err := p.newUser(ctx)
	if err != nil {
		return nil, err
	}
	return u, p.remove(ctx, u)
}

// ghost does something to a user that was deleted.
func (p *probe) ghost(ctx context.Context, r request) error {
	u, err := p.deleted(ctx)
	if err != nil {
		return err
	}
	r.path = u.path()
	a, err := p.do(ctx, r)
	if err != nil {
		return err
	}
	return a.is(http.StatusNotFound)
}

// again deletes a user and creates it once more.
func (p *probe) again(ctx context.Context) (a *answer, before, now *resource, err error) {
	if before, err = p.deleted(ctx); err != nil {
		return nil, nil, nil, err
	}
	a, now, err = p.post(ctx, request{path: "/Users"}, before.doc)
	return a, before, now, err
}

// inactive is a user that was deactivated: by PATCH, or by PUT where there is none.
func (p *probe) inactive(ctx context.Context) (*resource, error) {
	u, err := p.newUser(ctx)
	if err != nil {
		return nil, err
	}
	var a *answer
	if p.server.patch {
		a, err = p.patch(ctx, u, op("replace", "active", false))
	} else {
		a, err = p.put(ctx, u, with(u.doc, "active", false))
	}
	if err != nil {
		return nil, err
	}
	if !a.ok() {
		return nil, skip("nobody can be deactivated: %s", a.brief())
	}
	return u, nil
}
