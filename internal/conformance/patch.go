package conformance

import (
	"context"
	"slices"
)

// op is one operation of a PATCH. Without a path it is about the resource; a nil value is left out.
func op(verb, path string, value any) map[string]any {
	o := map[string]any{"op": verb}
	if path != "" {
		o["path"] = path
	}
	if value != nil {
		o["value"] = value
	}
	return o
}

func patchOp(ops ...map[string]any) map[string]any {
	list := []any{}
	for _, o := range ops {
		list = append(list, o)
	}
	return map[string]any{"schemas": []any{urnPatch}, "Operations": list}
}

func (p *probe) patch(ctx context.Context, r *resource, ops ...map[string]any) (*answer, error) {
	return p.do(ctx, request{method: "PATCH", path: r.path(), body: patchOp(ops...)})
}

// patched sends a PATCH that has to work and reads the resource back.
func (p *probe) patched(ctx context.Context, r *resource, ops ...map[string]any) (map[string]any, error) {
	a, err := p.patch(ctx, r, ops...)
	if err != nil {
		return nil, err
	}
	if err := a.is(200, 204); err != nil {
		return nil, err
	}
	return p.read(ctx, r)
}

// after makes a check of: a new user, a PATCH, and what the user must be then.
func after(test func(doc map[string]any) error, ops ...map[string]any) func(context.Context, *probe) error {
	return func(ctx context.Context, p *probe) error {
		u, err := p.newUser(ctx)
		if err != nil {
			return err
		}
		doc, err := p.patched(ctx, u, ops...)
		if err != nil {
			return err
		}
		return test(doc)
	}
}

func titled(want string) func(map[string]any) error {
	return func(doc map[string]any) error { return same("title", doc["title"], any(want)) }
}

func patchAddChecks() []check {
	need := write | patch
	nick := func(doc map[string]any) error {
		return firstOf(same("nickName", doc["nickName"], any("Addie")), same("title", doc["title"], any("Engineer")))
	}
	extra := map[string]any{"value": "extra@example.org", "type": "other"}
	return []check{
		must("patch-answer", "7644 §3.5.2", "R107", need, "PATCH is answered with 200 and the resource, or with 204",
			func(ctx context.Context, p *probe) error {
				u, err := p.newUser(ctx)
				if err != nil {
					return err
				}
				a, err := p.patch(ctx, u, op("replace", "title", "Lead"))
				if err != nil {
					return err
				}
				if a.status == 204 {
					return nil
				}
				if err := a.found(); err != nil {
					return err
				}
				return same("id", a.doc["id"], any(u.id))
			}),
		must("patch-add", "7644 §3.5.2.1", "R108", need, "add sets an attribute that was not there", after(nick, op("add", "nickName", "Addie"))),
		must("patch-add-pathless", "7644 §3.5.2.1", "R108", need, "add without a path sets the attributes of its value", after(nick, op("add", "", map[string]any{"nickName": "Addie"}))),
		must("patch-add-present", "7644 §3.5.2.1", "R108", need, "add to an attribute with one value replaces it", after(titled("Lead"), op("add", "title", "Lead"))),
		must("patch-add-sub", "7644 §3.5.2.1", "R108", need, "add sets a sub-attribute and leaves the others",
			after(func(doc map[string]any) error {
				return firstOf(same("name.middleName", at(doc, "name", "middleName"), any("Mae")), same("name.givenName", at(doc, "name", "givenName"), any("Ada")))
			}, op("add", "name.middleName", "Mae"))),
		must("patch-add-complex", "7644 §3.5.2.1", "R108", need, "add to a complex attribute adds sub-attributes and leaves the others",
			after(func(doc map[string]any) error {
				return firstOf(same("name.middleName", at(doc, "name", "middleName"), any("Mae")), same("name.givenName", at(doc, "name", "givenName"), any("Ada")))
			}, op("add", "name", map[string]any{"middleName": "Mae"}))),
		must("patch-add-multi", "7644 §3.5.2.1", "R108", need, "add to a multi-valued attribute keeps what is there",
			after(func(doc map[string]any) error {
				if element(doc, "emails", "value", "extra@example.org") == nil {
					return wrong("emails with the new value", "%s", show(texts(doc, "emails", "value")))
				}
				return same("the number of emails", len(elements(doc, "emails")), 3)
			}, op("add", "emails", []any{extra}))),
		must("patch-add-again", "7644 §3.5.2.1", "R109 R22", need, "add of a value that is there does not double it",
			after(func(doc map[string]any) error { return same("the number of emails", len(elements(doc, "emails")), 3) },
				op("add", "emails", []any{extra}), op("add", "emails", []any{extra}))),
		must("patch-extension", "7644 §3.5.2, RFC 7643 §3.3", "R106 R31", need|enterprise, "an extension attribute can be added and removed; schemas follows", patchExtension),
		must("patch-each", "7644 §3.5.2", "R108 R112 R116", need, "every simple text attribute can be replaced and removed", patchEach),
	}
}

func patchExtension(ctx context.Context, p *probe) error {
	u, err := p.newUser(ctx)
	if err != nil {
		return err
	}
	has := func(doc map[string]any) bool {
		list, _ := doc["schemas"].([]any)
		return slices.Contains(list, any(urnEnterprise))
	}
	doc, err := p.patched(ctx, u, op("add", urnEnterprise+":department", "Optics"))
	if err != nil {
		return err
	}
	if err := same("department", at(doc, urnEnterprise, "department"), any("Optics")); err != nil {
		return err
	}
	if !has(doc) {
		return wrong("schemas has "+urnEnterprise, "schemas is %s", show(doc["schemas"]))
	}
	if doc, err = p.patched(ctx, u, op("remove", urnEnterprise+":department", nil)); err != nil {
		return err
	}
	return unassigned("department", at(doc, urnEnterprise, "department"))
}

// patchEach goes over the attributes that the server shows, or the usual ones where it shows none. All are tried on one
// user.
func patchEach(ctx context.Context, p *probe) error {
	u, err := p.newUser(ctx)
	if err != nil {
		return err
	}
	list := slices.Concat(p.server.attributes(urnUser), p.server.attributes(urnEnterprise))
	if len(list) == 0 {
		list = defaultAttributes()
	}
	values := map[string]string{"preferredLanguage": "en", "locale": "en-GB", "timezone": "Europe/Berlin"}
	for _, a := range list {
		if a.kind != "string" || a.multi || a.canonical || a.mutability != "readWrite" || a.returned != "default" && a.returned != "always" ||
			a.uniqueness != "none" || a.name == "userName" || a.name == "externalId" || a.name == "id" {
			continue
		}
		path, where := a.name, []string{a.name}
		if a.schema != urnUser {
			path, where = a.schema+":"+a.name, []string{a.schema, a.name}
		}
		value := orElse(values[a.name], "Value of "+a.name)
		doc, err := p.patched(ctx, u, op("replace", path, value))
		if err != nil {
			return about(path, err)
		}
		if err := same(path, at(doc, where...), any(value)); err != nil {
			return err
		}
		if doc, err = p.patched(ctx, u, op("remove", path, nil)); err != nil {
			return about(path, err)
		}
		if err := unassigned(path, at(doc, where...)); err != nil {
			return err
		}
	}
	return nil
}

// about says which attribute a failure is about.
func about(path string, err error) error {
	if f, ok := err.(failure); ok { //nolint:errorlint // made here, never wrapped
		f.expected += " for " + path
		return f
	}
	return err
}

func patchReplaceChecks() []check {
	need := write | patch
	return []check{
		must("patch-replace", "7644 §3.5.2.3", "R116", need, "replace changes an attribute", after(titled("Lead"), op("replace", "title", "Lead"))),
		must("patch-replace-absent", "7644 §3.5.2.3", "R116", need, "replace of what is not there adds it",
			after(func(doc map[string]any) error { return same("nickName", doc["nickName"], any("Addie")) }, op("replace", "nickName", "Addie"))),
		must("patch-replace-pathless", "7644 §3.5.2.3", "R115", need, "replace without a path changes the attributes of its value and no other",
			after(func(doc map[string]any) error {
				return firstOf(same("title", doc["title"], any("Lead")), same("displayName", doc["displayName"], any("Ada Kern")))
			}, op("replace", "", map[string]any{"title": "Lead"}))),
		must("patch-replace-sub", "7644 §3.5.2.3", "R116", need, "replace of a sub-attribute leaves the others",
			after(func(doc map[string]any) error {
				return firstOf(same("name.familyName", at(doc, "name", "familyName"), any("Lind")), same("name.givenName", at(doc, "name", "givenName"), any("Ada")))
			}, op("replace", "name.familyName", "Lind"))),
		must("patch-replace-complex", "7644 §3.5.2.3", "R117", need, "replace of a complex attribute leaves the sub-attributes it does not name",
			after(func(doc map[string]any) error {
				return firstOf(same("name.familyName", at(doc, "name", "familyName"), any("Lind")), same("name.givenName", at(doc, "name", "givenName"), any("Ada")))
			}, op("replace", "name", map[string]any{"familyName": "Lind"}))),
		must("patch-replace-multi", "7644 §3.5.2.3", "R116", need, "replace of a multi-valued attribute replaces all its values",
			after(func(doc map[string]any) error {
				return same("emails.value", texts(doc, "emails", "value"), []string{"only@example.org"})
			}, op("replace", "emails", []any{map[string]any{"value": "only@example.org", "type": "work"}}))),
		must("patch-replace-filter", "7644 §3.5.2.3", "R118", need, `replace of emails[type eq "home"].value changes that value's`,
			after(func(doc map[string]any) error {
				if work := element(doc, "emails", "type", "work"); work == nil || work["value"] == "moved@example.org" {
					return wrong("the work address as it was", "%s", show(work))
				}
				return firstOf(same("the home address", element(doc, "emails", "type", "home")["value"], any("moved@example.org")),
					same("the number of emails", len(elements(doc, "emails")), 2))
			}, op("replace", `emails[type eq "home"].value`, "moved@example.org"))),
		must("patch-replace-filter-whole", "7644 §3.5.2.3", "R118", need, `replace of emails[type eq "home"] changes the whole value`,
			after(func(doc map[string]any) error {
				return firstOf(same("the home address", element(doc, "emails", "type", "home")["value"], any("moved@example.org")),
					same("the number of emails", len(elements(doc, "emails")), 2))
			}, op("replace", `emails[type eq "home"]`, map[string]any{"type": "home", "value": "moved@example.org"}))),
		must("patch-urn", "7644 §3.10", "R82 R101", need, "a path can begin with the URN of the schema", after(titled("Lead"), op("replace", urnUser+":title", "Lead"))),
		must("patch-active", "7643 §4.1.1", "R47 R116", need, "active can be set to false, and to true again", patchActive),
	}
}

func patchActive(ctx context.Context, p *probe) error {
	u, err := p.newUser(ctx)
	if err != nil {
		return err
	}
	if err := p.deactivate(ctx, u, op("replace", "active", false)); err != nil {
		return err
	}
	doc, err := p.patched(ctx, u, op("replace", "active", true))
	if err != nil {
		return err
	}
	return same("active", doc["active"], true)
}

// deactivate sends a PATCH that has to deactivate.
func (p *probe) deactivate(ctx context.Context, u *resource, ops ...map[string]any) error {
	a, err := p.patch(ctx, u, ops...)
	if err != nil {
		return err
	}
	if err := a.is(200, 204); err != nil {
		return err
	}
	return p.off(ctx, u)
}

func patchRemoveChecks() []check {
	need := write | patch
	return []check{
		must("patch-remove", "7644 §3.5.2.2", "R112", need, "remove takes an attribute away",
			after(func(doc map[string]any) error {
				return firstOf(unassigned("title", doc["title"]), same("displayName", doc["displayName"], any("Ada Kern")))
			}, op("remove", "title", nil))),
		must("patch-remove-sub", "7644 §3.5.2.2", "R112", need, "remove of a sub-attribute leaves the others",
			after(func(doc map[string]any) error {
				return firstOf(unassigned("name.givenName", at(doc, "name", "givenName")), same("name.familyName", at(doc, "name", "familyName"), any("Kern")))
			}, op("remove", "name.givenName", nil))),
		must("patch-remove-multi", "7644 §3.5.2.2", "R112", need, "remove of a multi-valued attribute takes all its values",
			after(func(doc map[string]any) error { return unassigned("emails", doc["emails"]) }, op("remove", "emails", nil))),
		must("patch-remove-filter", "7644 §3.5.2.2", "R112", need, `remove of emails[type eq "home"] takes that value and no other`,
			after(func(doc map[string]any) error {
				return same("emails.type", texts(doc, "emails", "type"), []string{"work"})
			},
				op("remove", `emails[type eq "home"]`, nil))),
		must("patch-remove-filter-sub", "7644 §3.5.2.2", "R112", need, `remove of emails[type eq "work"].primary takes that part of that value`,
			after(func(doc map[string]any) error {
				if element(doc, "emails", "type", "work")["primary"] == true {
					return wrong("no primary value", "the work address is")
				}
				return same("the number of emails", len(elements(doc, "emails")), 2)
			}, op("remove", `emails[type eq "work"].primary`, nil))),
		should("patch-remove-nothing", "7644 §3.5.2.2", "R112", need, "remove that selects nothing changes nothing (and never writes)",
			func(ctx context.Context, p *probe) error {
				u, err := p.newUser(ctx)
				if err != nil {
					return err
				}
				a, err := p.patch(ctx, u, op("remove", `emails[value eq "nobody@example.org"]`, nil))
				if err != nil {
					return err
				}
				if err := a.is(200, 204, 400); err != nil {
					return err
				}
				doc, err := p.read(ctx, u)
				if err != nil {
					return err
				}
				return same("emails.value", texts(doc, "emails", "value"), texts(u.doc, "emails", "value"))
			}),
	}
}
