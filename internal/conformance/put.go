package conformance

import (
	"context"
	"maps"
	"net/http"
)

func putChecks() []check {
	return []check{
		must("put-answer", "7644 §3.5.1", "R92 R97", write, "PUT is answered with 200 and the resource",
			func(ctx context.Context, p *probe) error {
				u, err := p.newUser(ctx)
				if err != nil {
					return err
				}
				a, err := p.put(ctx, u, with(u.doc, "displayName", "Ada Lind"))
				if err != nil {
					return err
				}
				if err := a.found(); err != nil {
					return err
				}
				return firstOf(same("id", a.doc["id"], any(u.id)), same("displayName", a.doc["displayName"], any("Ada Lind")))
			}),
		must("put-replace", "7644 §3.5.1", "R93", write, "PUT replaces: what it names is changed, what it does not name is gone",
			func(ctx context.Context, p *probe) error {
				doc, err := p.replaced(ctx, func(d map[string]any) {
					delete(d, "title")
					d["displayName"] = "Ada Lind"
					d["emails"] = []any{map[string]any{"value": "new." + p.name(), "type": "work", "primary": true}}
				})
				if err != nil {
					return err
				}
				return firstOf(same("displayName", doc["displayName"], any("Ada Lind")), unassigned("title, which the PUT did not name,", doc["title"]),
					same("the number of emails", len(elements(doc, "emails")), 1))
			}),
		must("put-active", "7643 §4.1.1, RFC 7644 §3.5.1", "R47 R93", write, "PUT with active false deactivates",
			func(ctx context.Context, p *probe) error {
				u, err := p.newUser(ctx)
				if err != nil {
					return err
				}
				a, err := p.put(ctx, u, with(u.doc, "active", false))
				if err != nil {
					return err
				}
				if err := a.is(200, 204); err != nil {
					return err
				}
				return p.off(ctx, u)
			}),
		must("put-readonly", "7644 §3.5.1", "R94 R34", write, "id, meta and groups in a PUT are ignored",
			func(ctx context.Context, p *probe) error {
				var id string
				doc, err := p.replaced(ctx, func(d map[string]any) {
					d["groups"] = []any{map[string]any{"value": p.nobody()}}
					d["meta"] = map[string]any{"created": "2001-01-01T00:00:00Z", "resourceType": "Robot"}
				})
				if err != nil {
					return err
				}
				id, _ = doc["id"].(string)
				if id == "" || at(doc, "meta", "created") == "2001-01-01T00:00:00Z" {
					return wrong("id and meta of the server", "those of the request")
				}
				return unassigned("groups", doc["groups"])
			}),
		must("put-unknown", "7644 §3.5.1", "R92", write, "PUT does not create: an id that does not exist is 404",
			func(ctx context.Context, p *probe) error {
				id := p.nobody()
				doc := p.userDoc()
				a, err := p.do(ctx, request{method: "PUT", path: "/Users/" + id, body: doc})
				if err != nil {
					return err
				}
				if a.ok() {
					name, _ := doc["userName"].(string)
					p.adopt(ctx, &resource{endpoint: "/Users", key: "userName", name: name, answer: a})
				}
				return a.is(http.StatusNotFound)
			}),
		must("put-required", "7644 §3.5.1, RFC 7643 §7", "R96 R33", write, "PUT without userName is 400, and changes nothing",
			func(ctx context.Context, p *probe) error {
				u, err := p.newUser(ctx)
				if err != nil {
					return err
				}
				d := with(u.doc, "displayName", "Ada Lind")
				delete(d, "userName")
				a, err := p.put(ctx, u, d)
				if err != nil {
					return err
				}
				if err := a.refused("invalidValue"); err != nil {
					return err
				}
				doc, err := p.read(ctx, u)
				if err != nil {
					return err
				}
				return same("displayName", doc["displayName"], any("Ada Kern"))
			}),
		must("put-conflict", "7644 §3.5.1", "R98 R40", write, "PUT with a userName that is taken is 409",
			func(ctx context.Context, p *probe) error {
				first, err := p.newUser(ctx)
				if err != nil {
					return err
				}
				u, err := p.newUser(ctx)
				if err != nil {
					return err
				}
				a, err := p.put(ctx, u, with(u.doc, "userName", first.name))
				if err != nil {
					return err
				}
				return a.is(http.StatusConflict)
			}),
		interop("put-without-active", "7644 §3.5.1", "R93", write, "PUT without active does not bring back who is not active (Okta and OneLogin leave it out)",
			func(ctx context.Context, p *probe) error {
				u, err := p.newUser(ctx, func(d map[string]any) { d["active"] = false })
				if err != nil {
					return err
				}
				if doc, err := p.read(ctx, u); err != nil || doc["active"] != false {
					return skip("no user could be made that is not active")
				}
				d := with(u.doc, "displayName", "Ada Lind")
				delete(d, "active")
				a, err := p.put(ctx, u, d)
				if err != nil {
					return err
				}
				if !a.ok() {
					return a.is(200)
				}
				doc, err := p.read(ctx, u)
				if err != nil {
					return err
				}
				return same("active", doc["active"], false)
			}),
	}
}

// with is a copy with one more attribute.
func with(doc map[string]any, key string, value any) map[string]any {
	d := maps.Clone(doc)
	d[key] = value
	return d
}

func (p *probe) put(ctx context.Context, r *resource, doc map[string]any) (*answer, error) {
	return p.do(ctx, request{method: "PUT", path: r.path(), body: doc})
}

// replaced makes a user, replaces it and reads it back.
func (p *probe) replaced(ctx context.Context, change func(map[string]any)) (map[string]any, error) {
	u, err := p.newUser(ctx)
	if err != nil {
		return nil, err
	}
	d := maps.Clone(u.doc)
	change(d)
	a, err := p.put(ctx, u, d)
	if err != nil {
		return nil, err
	}
	if err := a.is(200, 204); err != nil {
		return nil, err
	}
	return p.read(ctx, u)
}
