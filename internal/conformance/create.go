package conformance

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

func createChecks() []check {
	return []check{
		must("create-status", "7644 §3.3", "R57", write, "a create is answered with 201",
			func(ctx context.Context, p *probe) error {
				a, _, err := p.post(ctx, request{path: "/Users"}, p.userDoc())
				if err != nil {
					return err
				}
				return a.is(http.StatusCreated)
			}),
		must("create-location", "7644 §3.3", "R57", write, "the answer to a create names the new resource in Location",
			func(ctx context.Context, p *probe) error {
				u, err := p.person(ctx)
				if err != nil {
					return err
				}
				if u.answer.header.Get("Location") == "" {
					return wrong("a header Location", "%s, without one", u.answer.brief())
				}
				return nil
			}),
		must("create-location-absolute", "7644 §3.3", "R57", write, "Location is a full URI that ends with the id", locationAbsolute),
		must("create-location-equal", "7643 §3.1", "R28", write, "Location is meta.location",
			func(ctx context.Context, p *probe) error {
				u, err := p.person(ctx)
				if err != nil {
					return err
				}
				header, meta := u.answer.header.Get("Location"), at(u.answer.doc, "meta", "location")
				if header == "" || meta == nil {
					return skip("one of them is not there")
				}
				return same("meta.location", meta, any(header))
			}),
		must("create-representation", "7644 §3.3", "R57", write, "the answer to a create is the resource: schemas, id, meta, and what was sent",
			func(ctx context.Context, p *probe) error {
				u, err := p.person(ctx)
				if err != nil {
					return err
				}
				for _, k := range []string{"schemas", "id", "meta", "userName"} {
					if empty(u.answer.doc[k]) {
						return wrong("a representation with "+k, "%s, without it", u.answer.brief())
					}
				}
				return same("userName", u.answer.doc["userName"], u.doc["userName"])
			}),
		must("create-meta", "7643 §3.1", "R27 R18", write, "meta has resourceType, created, lastModified and location", createMeta),
		should("create-meta-times", "7643 §3.1", "R30", write, "a resource that was never changed was last modified when it was created",
			func(ctx context.Context, p *probe) error {
				u, err := p.person(ctx)
				if err != nil {
					return err
				}
				return same("meta.lastModified", at(u.answer.doc, "meta", "lastModified"), at(u.answer.doc, "meta", "created"))
			}),
		must("create-roundtrip", "7644 §3.3, §3.8", "R10 R45 R49 R50", write, "what was sent is kept as it was sent, in any script", roundTrip),
		must("create-readonly", "7644 §3.3", "R58 R25 R34 R51", write, "id, meta and groups in a create are ignored",
			func(ctx context.Context, p *probe) error {
				own := p.nobody()
				u, err := p.newUser(ctx, func(d map[string]any) {
					d["id"] = own
					d["meta"] = map[string]any{"resourceType": "Robot", "created": "2001-01-01T00:00:00Z"}
					d["groups"] = []any{map[string]any{"value": own}}
				})
				if err != nil {
					return err
				}
				doc, err := p.read(ctx, u)
				if err != nil {
					return err
				}
				if doc["id"] == own {
					return wrong("an id that the server made", "the client's")
				}
				if created, _ := at(doc, "meta", "created").(string); strings.HasPrefix(created, "2001-") {
					return wrong("meta.created of the server", "the client's")
				}
				return unassigned("groups", doc["groups"])
			}),
		must("create-minimal", "7644 §3.3", "R60", write, "userName alone is enough for a user",
			func(ctx context.Context, p *probe) error {
				a, _, err := p.post(ctx, request{path: "/Users"}, map[string]any{"schemas": []any{urnUser}, "userName": p.name()})
				if err != nil {
					return err
				}
				return a.is(200, 201)
			}),
		must("create-duplicate", "7644 §3.3", "R59 R40", write, "a userName that is taken is 409",
			func(ctx context.Context, p *probe) error { return p.duplicate(ctx, strings.Clone, "") }),
		must("create-duplicate-type", "7644 §3.3", "R59 R134", write, "that 409 has scimType uniqueness: clients look for the resource only then",
			func(ctx context.Context, p *probe) error { return p.duplicate(ctx, strings.Clone, "uniqueness") }),
		must("create-duplicate-case", "7643 §4.1.1", "R40 R41 R44", write, "a userName that is taken but for upper and lower case is 409",
			func(ctx context.Context, p *probe) error { return p.duplicate(ctx, strings.ToUpper, "") }),
		must("create-inactive", "7643 §4.1.1", "R47", write, "a user created with active false is not active",
			func(ctx context.Context, p *probe) error {
				u, err := p.newUser(ctx, func(d map[string]any) { d["active"] = false })
				if err != nil {
					return err
				}
				return p.off(ctx, u)
			}),
		must("create-password-hidden", "7643 §9.2, §4.1.1", "R8 R36 R38", write, "a password is in no answer, whatever is asked for", passwordHidden),
		must("create-extension", "7643 §3.3, §4.3", "R31 R55", write|enterprise, "an extension stands under its URN, which is also in schemas",
			func(ctx context.Context, p *probe) error {
				u, err := p.newUser(ctx, func(d map[string]any) {
					d["schemas"] = []any{urnUser, urnEnterprise}
					d[urnEnterprise] = map[string]any{"department": "Optics", "employeeNumber": "E-" + p.nobody()}
				})
				if err != nil {
					return err
				}
				doc, err := p.read(ctx, u)
				if err != nil {
					return err
				}
				list, _ := doc["schemas"].([]any)
				if !slices.Contains(list, any(urnEnterprise)) {
					return wrong("schemas has "+urnEnterprise, "schemas is %s", show(list))
				}
				return same("department", at(doc, urnEnterprise, "department"), any("Optics"))
			}),
	}
}

func locationAbsolute(ctx context.Context, p *probe) error {
	u, err := p.person(ctx)
	if err != nil {
		return err
	}
	where := u.answer.header.Get("Location")
	if where == "" {
		return skip("there is no Location")
	}
	loc, err := url.Parse(where)
	if err != nil || !loc.IsAbs() || loc.Host == "" || !strings.HasSuffix(where, u.path()) {
		return wrong("a full URI that ends with "+u.path(), "%s", where)
	}
	return nil
}

func createMeta(ctx context.Context, p *probe) error {
	u, err := p.person(ctx)
	if err != nil {
		return err
	}
	doc, err := p.read(ctx, u)
	if err != nil {
		return err
	}
	for _, k := range []string{"created", "lastModified"} {
		s, _ := at(doc, "meta", k).(string)
		if _, err := time.Parse(time.RFC3339Nano, s); err != nil {
			return wrong("meta."+k+" is a date and time with its zone", "it is %s", show(at(doc, "meta", k)))
		}
	}
	where, _ := at(doc, "meta", "location").(string)
	if !strings.HasSuffix(where, u.path()) {
		return wrong("meta.location ends with "+u.path(), "it is %s", show(at(doc, "meta", "location")))
	}
	return same("meta.resourceType", at(doc, "meta", "resourceType"), any("User"))
}

func roundTrip(ctx context.Context, p *probe) error {
	u, err := p.newUser(ctx, func(d map[string]any) {
		d["displayName"] = `Åsa "Zoë" O'Brien-Ünal 山田 #1 & <co>`
		d["title"] = "Head of R&D / 100 %"
		d["name"] = map[string]any{"givenName": "Åsa", "familyName": "O'Brien-Ünal", "formatted": "Dr. Åsa O'Brien-Ünal"}
		d["phoneNumbers"] = []any{map[string]any{"value": "+49 (0)30 123-456", "type": "work"}}
		d["emails"] = []any{map[string]any{"value": strings.ToUpper(p.run[9:]) + "@Example.ORG", "type": "work", "primary": true}}
	})
	if err != nil {
		return err
	}
	doc, err := p.read(ctx, u)
	if err != nil {
		return err
	}
	for _, path := range [][]string{{"userName"}, {"externalId"}, {"displayName"}, {"title"}, {"name", "givenName"}, {"name", "familyName"}} {
		if err := same(strings.Join(path, "."), at(doc, path...), at(u.doc, path...)); err != nil {
			return err
		}
	}
	for _, attr := range []string{"emails", "phoneNumbers"} {
		if err := same(attr+".value", texts(doc, attr, "value"), texts(u.doc, attr, "value")); err != nil {
			return err
		}
	}
	return nil
}

// duplicate creates a user twice.
func (p *probe) duplicate(ctx context.Context, change func(string) string, keyword string) error {
	u, err := p.newUser(ctx)
	if err != nil {
		return err
	}
	again := p.userDoc(func(d map[string]any) { d["userName"] = change(u.name) })
	a, _, err := p.post(ctx, request{path: "/Users"}, again)
	if err != nil {
		return err
	}
	if keyword == "" {
		return a.is(http.StatusConflict)
	}
	if a.status != http.StatusConflict {
		return skip("the answer was not 409")
	}
	return same("scimType", a.doc["scimType"], any(keyword))
}

func passwordHidden(ctx context.Context, p *probe) error {
	secret := p.password()
	u, err := p.newUser(ctx, func(d map[string]any) { d["password"] = secret })
	if err != nil {
		return err
	}
	answers := []*answer{u.answer}
	for _, path := range []string{u.path(), u.path() + "?attributes=password", query("/Users", "filter", "userName eq "+quoted(u.name), "attributes", "userName,password")} {
		a, err := p.get(ctx, path)
		if err != nil {
			return err
		}
		answers = append(answers, a)
	}
	for _, a := range answers {
		if strings.Contains(string(a.text), secret) || a.doc["password"] != nil {
			return wrong("no password", "%s, with it", a.brief())
		}
	}
	return nil
}

// off wants a user that is not active. That the server does not show such users is another check's business.
func (p *probe) off(ctx context.Context, u *resource) error {
	a, err := p.get(ctx, u.path())
	if err != nil {
		return err
	}
	if a.status == http.StatusNotFound {
		return skip("the server does not show who is not active")
	}
	if err := a.found(); err != nil {
		return err
	}
	return same("active", a.doc["active"], false)
}

// read reads a resource of ours back.
func (p *probe) read(ctx context.Context, r *resource) (map[string]any, error) {
	a, err := p.get(ctx, r.path())
	if err != nil {
		return nil, err
	}
	return a.doc, a.found()
}
