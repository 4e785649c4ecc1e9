package conformance

import (
	"context"
	"net/http"
)

func patchRuleChecks() []check {
	need := write | patch
	return []check{
		must("patch-sequence", "7644 §3.5.2", "R103", need, "operations happen one after the other, and later ones see what earlier ones did",
			after(titled("Third"), op("replace", "title", "First"), op("remove", "title", nil), op("add", "title", "Third"))),
		must("patch-atomic", "7644 §3.5.2", "R102", need, "all operations happen or none: when one fails, those before it are undone", patchAtomic),
		must("patch-no-path", "7644 §3.5.2.2", "R111 R134", need, "remove without a path is 400 noTarget",
			p400("noTarget", op("remove", "", nil))),
		must("patch-no-target", "7644 §3.5.2.3", "R119 R134", need, "replace of values that a filter does not find is 400 noTarget",
			p400("noTarget", op("replace", `emails[value sw "nobody-"].display`, "x"))),
		must("patch-invalid-path", "7644 §3.5.2, §3.12", "R101 R134", need, "a path that is not well-formed is 400 invalidPath",
			p400("invalidPath", op("replace", `emails[type eq "work"`, "x"))),
		must("patch-invalid-value", "7643 §2.3", "R17 R104", need, "a value of the wrong type is 400",
			p400("invalidValue", op("replace", "active", map[string]any{"on": 1}))),
		must("patch-readonly", "7644 §3.5.2", "R104 R113 R34", need, "id cannot be changed: 400 mutability",
			p400("mutability", op("replace", "id", "another"))),
		must("patch-readonly-remove", "7644 §3.5.2.2", "R113", need, "a read-only attribute cannot be removed: 400 mutability",
			p400("mutability", op("remove", "meta", nil))),
		must("patch-required", "7644 §3.5.2.2", "R113 R104", need, "a required attribute cannot be removed: 400",
			func(ctx context.Context, p *probe) error {
				u, err := p.newUser(ctx)
				if err != nil {
					return err
				}
				a, err := p.patch(ctx, u, op("remove", "userName", nil))
				if err != nil {
					return err
				}
				return a.refused("")
			}),
		must("patch-unknown-op", "7644 §3.5.2", "R100", need, "an op that is none of add, replace and remove is 400",
			p400("invalidSyntax", op("move", "title", "x"))),
		must("patch-no-operations", "7644 §3.5.2", "R99", need, "a PATCH without Operations is 400",
			func(ctx context.Context, p *probe) error {
				u, err := p.newUser(ctx)
				if err != nil {
					return err
				}
				a, err := p.do(ctx, request{method: "PATCH", path: u.path(), body: map[string]any{"schemas": []any{urnPatch}}})
				if err != nil {
					return err
				}
				return a.refused("invalidSyntax")
			}),
		should("patch-no-value", "7644 §3.5.2.1", "R110", need, "add without a value is 400", p400("invalidValue", op("add", "title", nil))),
		must("patch-primary", "7644 §3.5.2", "R105 R21", need, "a new primary value takes primary from the others",
			after(func(doc map[string]any) error {
				if element(doc, "emails", "type", "home")["primary"] != true {
					return wrong("the home address is primary", "it is not")
				}
				return onePrimary(doc)
			}, op("replace", `emails[type eq "home"].primary`, true))),
		must("patch-unknown", "7644 §3.12", "R121 R135", need, "PATCH of an id that does not exist is 404",
			func(ctx context.Context, p *probe) error {
				a, err := p.do(ctx, request{method: "PATCH", path: "/Users/" + p.nobody(), body: patchOp(op("replace", "title", "x"))})
				if err != nil {
					return err
				}
				return a.is(http.StatusNotFound)
			}),
		must("patch-conflict", "7644 §3.5.2, §3.12", "R40 R135", need, "PATCH to a userName that is taken is 409",
			func(ctx context.Context, p *probe) error {
				first, err := p.person(ctx)
				if err != nil {
					return err
				}
				u, err := p.newUser(ctx)
				if err != nil {
					return err
				}
				a, err := p.patch(ctx, u, op("replace", "userName", first.name))
				if err != nil {
					return err
				}
				return a.is(http.StatusConflict)
			}),
		must("patch-unchanged", "7644 §3.5.2.1", "R109 R30", need, "a PATCH that changes nothing leaves meta.lastModified and the version",
			func(ctx context.Context, p *probe) error {
				u, err := p.newUser(ctx)
				if err != nil {
					return err
				}
				before, err := p.patched(ctx, u, op("replace", "title", "Lead"))
				if err != nil {
					return err
				}
				now, err := p.patched(ctx, u, op("add", "title", "Lead"))
				if err != nil {
					return err
				}
				return firstOf(same("meta.lastModified", at(now, "meta", "lastModified"), at(before, "meta", "lastModified")),
					same("meta.version", at(now, "meta", "version"), at(before, "meta", "version")))
			}),
		must("patch-password-hidden", "7643 §9.2", "R8 R36", need, "a password that is set by PATCH is in no answer",
			func(ctx context.Context, p *probe) error {
				u, err := p.newUser(ctx)
				if err != nil {
					return err
				}
				a, err := p.patch(ctx, u, op("replace", "password", p.password()))
				if err != nil {
					return err
				}
				b, err := p.get(ctx, u.path())
				if err != nil {
					return err
				}
				for _, x := range []*answer{a, b} {
					if x.doc["password"] != nil {
						return wrong("no password", "%s, with one", x.brief())
					}
				}
				return nil
			}),
	}
}

// patchAtomic lets a PATCH fail in its second operation, in ways that show early and late.
func patchAtomic(ctx context.Context, p *probe) error {
	failed := false
	for _, bad := range []map[string]any{
		op("replace", `emails[value sw "nobody-"].display`, "x"), op("replace", "active", map[string]any{"on": 1}), op("remove", "", nil),
	} {
		u, err := p.newUser(ctx)
		if err != nil {
			return err
		}
		a, err := p.patch(ctx, u, op("replace", "title", "Half done"), bad)
		if err != nil {
			return err
		}
		if a.ok() {
			continue // that it does not fail is another check's business
		}
		failed = true
		doc, err := p.read(ctx, u)
		if err != nil {
			return err
		}
		if err := same("title", doc["title"], any("Engineer")); err != nil {
			return err
		}
	}
	if !failed {
		return skip("the server takes every operation that should have failed")
	}
	return nil
}

// p400 makes a check of: a new user, and a PATCH that has to be refused and must not have changed anything.
func p400(keyword string, ops ...map[string]any) func(context.Context, *probe) error {
	return func(ctx context.Context, p *probe) error {
		u, err := p.newUser(ctx)
		if err != nil {
			return err
		}
		a, err := p.patch(ctx, u, ops...)
		if err != nil {
			return err
		}
		return a.refused(keyword)
	}
}

// dialectChecks are about what identity providers send although no RFC has it.
func dialectChecks() []check {
	need := write | patch
	off := func(ops ...map[string]any) func(context.Context, *probe) error {
		return func(ctx context.Context, p *probe) error {
			u, err := p.newUser(ctx)
			if err != nil {
				return err
			}
			return p.deactivate(ctx, u, ops...)
		}
	}
	lead := titled("Lead")
	return []check{
		interop("dialect-op-case", "7644 §3.5.2", "R100", need, `op is read in any case: "Replace" (Entra)`, after(lead, op("Replace", "title", "Lead"))),
		interop("dialect-false", "7643 §2.3.2", "R17 R47", need, `"False" is read as false (Entra)`, off(op("Replace", "active", "False"))),
		interop("dialect-false-array", "7643 §2.3.2", "R17 R47", need, `["false"] is read as false (Keycloak)`, off(op("replace", "active", []any{"false"}))),
		interop("dialect-pathless-active", "7644 §3.5.2.3", "R115 R47", need, "a replace without a path deactivates (Okta)", off(op("replace", "", map[string]any{"active": false}))),
		interop("dialect-dotted-keys", "7644 §3.5.2.3", "R115", need, `"name.givenName" as a key without a path (Entra)`,
			after(func(doc map[string]any) error {
				return firstOf(same("name.givenName", at(doc, "name", "givenName"), any("Adele")), same("name.familyName", at(doc, "name", "familyName"), any("Kern")))
			}, op("replace", "", map[string]any{"name.givenName": "Adele"}))),
		interop("dialect-urn-keys", "7644 §3.5.2.3", "R115", need|enterprise, "an extension attribute with its URN as a key without a path (Entra)",
			after(func(doc map[string]any) error {
				return same("department", at(doc, urnEnterprise, "department"), any("Optics"))
			}, op("replace", "", map[string]any{urnEnterprise + ":department": "Optics"}))),
		interop("dialect-create-by-filter", "7644 §3.5.2.3", "R119", need, `replace of emails[type eq "other"].value makes the value when there is none (Entra)`,
			after(func(doc map[string]any) error {
				return same("the other address", element(doc, "emails", "type", "other")["value"], any("other@example.org"))
			}, op("replace", `emails[type eq "other"].value`, "other@example.org"))),
		interop("dialect-null-path", "7644 §3.5.2", "R101", need, "path null is no path (authentik)",
			after(lead, map[string]any{"op": "replace", "path": nil, "value": map[string]any{"title": "Lead"}})),
		interop("dialect-unknown-path", "7644 §3.5.2", "R120", need, "an operation on an attribute that nobody knows does not keep the deactivation beside it from happening (Entra)",
			off(op("Replace", "urn:ietf:params:scim:schemas:extension:Unknown:2.0:User:colour", "red"), op("Replace", "active", false))),
		interop("dialect-manager", "7643 §4.3", "R55 R56", need|enterprise, "the manager as a bare id (Entra)",
			func(ctx context.Context, p *probe) error {
				boss, err := p.person(ctx)
				if err != nil {
					return err
				}
				u, err := p.newUser(ctx)
				if err != nil {
					return err
				}
				doc, err := p.patched(ctx, u, op("Add", urnEnterprise+":manager", boss.id))
				if err != nil {
					return err
				}
				return same("manager.value", at(doc, urnEnterprise, "manager", "value"), any(boss.id))
			}),
		interop("dialect-create-string", "7643 §2.3.2", "R17 R47", write, `a create with "active": "False" makes somebody who is not active (OneLogin)`,
			func(ctx context.Context, p *probe) error {
				u, err := p.interopUser(ctx, func(d map[string]any) { d["active"] = "False" })
				if err != nil {
					return err
				}
				return p.off(ctx, u)
			}),
		interop("dialect-create-unknown", "7643 §3.3", "R13 R24", write, "attributes and schemas that nobody knows do not keep a user from being made (Entra)",
			func(ctx context.Context, p *probe) error {
				_, err := p.interopUser(ctx, func(d map[string]any) {
					d["schemas"] = []any{urnUser, "urn:ietf:params:scim:schemas:extension:Unknown:2.0:User"}
					d["frobnicate"] = "x"
				})
				return err
			}),
		interop("dialect-put-groups", "7644 §3.5.1", "R94", write, "a PUT with everything that was read is taken (Okta)",
			func(ctx context.Context, p *probe) error {
				u, err := p.newUser(ctx)
				if err != nil {
					return err
				}
				doc, err := p.read(ctx, u)
				if err != nil {
					return err
				}
				doc["groups"], doc["title"] = []any{}, "Lead"
				a, err := p.put(ctx, u, doc)
				if err != nil {
					return err
				}
				if !a.ok() {
					return a.is(200)
				}
				if doc, err = p.read(ctx, u); err != nil {
					return err
				}
				return lead(doc)
			}),
	}
}

// interopUser creates a user in a way that need not work.
func (p *probe) interopUser(ctx context.Context, change func(map[string]any)) (*resource, error) {
	a, u, err := p.post(ctx, request{path: "/Users"}, p.userDoc(change))
	if err != nil {
		return nil, err
	}
	if u == nil {
		return nil, wrong("status 201", "%s", a.brief())
	}
	return u, nil
}
