package conformance

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
)

func attributesChecks() []check {
	return []check{
		must("attributes", "7644 §3.9", "R88", write, "attributes=userName answers that and the minimum",
			func(ctx context.Context, p *probe) error { return p.onlyUserName(ctx, false, "attributes", "userName") }),
		must("attributes-list", "7644 §3.4.2.5", "R88", write, "attributes works in lists",
			func(ctx context.Context, p *probe) error { return p.onlyUserName(ctx, true, "attributes", "userName") }),
		must("attributes-urn", "7644 §3.10", "R88", write, "attributes takes names with their URN",
			func(ctx context.Context, p *probe) error {
				return p.onlyUserName(ctx, false, "attributes", urnUser+":userName")
			}),
		must("attributes-case", "7643 §2.1", "R88 R14", write, "attributes takes names in any case",
			func(ctx context.Context, p *probe) error { return p.onlyUserName(ctx, false, "attributes", "USERNAME") }),
		must("attributes-sub", "7644 §3.9, §3.10", "R88", write, "attributes=name.givenName answers that part alone",
			func(ctx context.Context, p *probe) error {
				doc, err := p.view(ctx, false, "attributes", "name.givenName")
				if err != nil {
					return err
				}
				return firstOf(same("name.givenName", at(doc, "name", "givenName"), any("Ada")),
					unassigned("name.familyName, which was not asked for,", at(doc, "name", "familyName")),
					unassigned("displayName, which was not asked for,", doc["displayName"]))
			}),
		must("attributes-always", "7643 §7", "R37 R88", write, "id is answered whatever was asked for",
			func(ctx context.Context, p *probe) error {
				doc, err := p.view(ctx, false, "attributes", "displayName")
				if err != nil {
					return err
				}
				return same("id", doc["id"], any(p.one.id))
			}),
		must("excluded", "7644 §3.9", "R89", write, "excludedAttributes=displayName leaves that out and nothing else",
			func(ctx context.Context, p *probe) error { return p.allBut(ctx, false) }),
		must("excluded-list", "7644 §3.4.2.5", "R89", write, "excludedAttributes works in lists",
			func(ctx context.Context, p *probe) error { return p.allBut(ctx, true) }),
		must("excluded-always", "7643 §7", "R37 R89", write, "id cannot be left out",
			func(ctx context.Context, p *probe) error {
				doc, err := p.view(ctx, false, "excludedAttributes", "id,schemas")
				if err != nil {
					return err
				}
				return same("id", doc["id"], any(p.one.id))
			}),
		must("attributes-each", "7644 §3.9", "R39 R88 R89", write, "every attribute that a user has can be asked for and left out", attributesEach),
		should("attributes-both", "7644 §3.9", "R90", write, "attributes and excludedAttributes together are 400",
			func(ctx context.Context, p *probe) error {
				u, err := p.person(ctx)
				if err != nil {
					return err
				}
				a, err := p.get(ctx, query(u.path(), "attributes", "userName", "excludedAttributes", "title"))
				if err != nil {
					return err
				}
				return a.is(http.StatusBadRequest)
			}),
		interop("attributes-unknown", "7644 §3.9", "R88", write, "a name that nobody knows among attributes does no harm",
			func(ctx context.Context, p *probe) error {
				return p.onlyUserName(ctx, false, "attributes", "userName,frobnicate")
			}),
		must("attributes-create", "7644 §3.9", "R62", write, "attributes works for the answer to a create",
			func(ctx context.Context, p *probe) error {
				a, u, err := p.post(ctx, request{path: "/Users?attributes=userName"}, p.userDoc())
				if err != nil {
					return err
				}
				if u == nil {
					return a.is(http.StatusCreated)
				}
				return firstOf(same("userName", a.doc["userName"], any(u.name)), unassigned("displayName, which was not asked for,", a.doc["displayName"]))
			}),
		must("attributes-patch", "7644 §3.5.2, §3.9", "R107", write|patch, "a PATCH with attributes is answered with 200 and what was asked for",
			func(ctx context.Context, p *probe) error {
				u, err := p.newUser(ctx)
				if err != nil {
					return err
				}
				a, err := p.do(ctx, request{method: "PATCH", path: u.path() + "?attributes=title", body: patchOp(op("replace", "title", "Lead"))})
				if err != nil {
					return err
				}
				if err := a.found(); err != nil {
					return err
				}
				return firstOf(same("title", a.doc["title"], any("Lead")), unassigned("displayName, which was not asked for,", a.doc["displayName"]))
			}),
	}
}

// view reads the person in part: by id, or as the only one of a list.
func (p *probe) view(ctx context.Context, list bool, pairs ...string) (map[string]any, error) {
	u, err := p.person(ctx)
	if err != nil {
		return nil, err
	}
	if !list {
		a, err := p.get(ctx, query(u.path(), pairs...))
		if err != nil {
			return nil, err
		}
		return a.doc, a.found()
	}
	if !p.server.filter {
		return nil, skip("the server does not announce filters")
	}
	a, err := p.get(ctx, query("/Users", append(pairs, "filter", "userName eq "+quoted(u.name))...))
	if err != nil {
		return nil, err
	}
	all, err := a.list()
	if err != nil {
		return nil, err
	}
	for _, doc := range all {
		if doc["id"] == u.id {
			return doc, nil
		}
	}
	return nil, skip("the user was not found by a filter on userName")
}

func (p *probe) onlyUserName(ctx context.Context, list bool, pairs ...string) error {
	doc, err := p.view(ctx, list, pairs...)
	if err != nil {
		return err
	}
	if err := same("userName", doc["userName"], any(p.one.name)); err != nil {
		return err
	}
	for _, k := range []string{"displayName", "name", "title", "emails"} {
		if err := unassigned(k+", which was not asked for,", doc[k]); err != nil {
			return err
		}
	}
	return nil
}

func (p *probe) allBut(ctx context.Context, list bool) error {
	doc, err := p.view(ctx, list, "excludedAttributes", "displayName")
	if err != nil {
		return err
	}
	return firstOf(unassigned("displayName, which was excluded,", doc["displayName"]),
		same("userName", doc["userName"], any(p.one.name)), same("title", doc["title"], any("Engineer")))
}

// attributesEach asks for each attribute of the person alone, and for all but it.
func attributesEach(ctx context.Context, p *probe) error {
	u, err := p.person(ctx)
	if err != nil {
		return err
	}
	whole, err := p.read(ctx, u)
	if err != nil {
		return err
	}
	free := map[string]bool{"userName": true, "externalId": true, "displayName": true, "title": true, "active": true, "name": true, "emails": true}
	for _, a := range p.server.attributes(urnUser) {
		if a.returned != "default" { // a server may always return what it likes, when it says so
			delete(free, a.name)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(free)) {
		if empty(whole[k]) {
			continue
		}
		doc, err := p.view(ctx, false, "attributes", k)
		if err != nil {
			return err
		}
		if empty(doc[k]) {
			return wrong(k+" for attributes="+k, "it is not there")
		}
		for _, other := range slices.Sorted(maps.Keys(free)) {
			if other != k && !empty(doc[other]) {
				return wrong("nothing but "+k+" for attributes="+k, "%s", other)
			}
		}
		if doc, err = p.view(ctx, false, "excludedAttributes", strings.ToLower(k)); err != nil {
			return err
		}
		if !empty(doc[k]) {
			return wrong("no "+k+" for excludedAttributes="+k, "it is there")
		}
	}
	return nil
}
