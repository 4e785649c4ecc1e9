package conformance

import (
	"context"
	"net/http"
)

func createInputChecks() []check {
	return []check{
		must("create-required", "7643 §4.1.1, §7", "R33 R44", write, "a user without userName is 400",
			func(ctx context.Context, p *probe) error {
				a, _, err := p.post(ctx, request{path: "/Users"}, map[string]any{"schemas": []any{urnUser}, "displayName": p.run})
				if err != nil {
					return err
				}
				return a.refused("invalidValue")
			}),
		must("create-malformed", "7644 §3.12", "R134", write, "a body that is not JSON is 400",
			func(ctx context.Context, p *probe) error {
				a, err := p.do(ctx, request{method: "POST", path: "/Users", body: []byte(`{"schemas":["` + urnUser + `"],"userName":`)})
				if err != nil {
					return err
				}
				return a.refused("invalidSyntax")
			}),
		must("create-array", "7644 §3.3", "R134", write, "a body that is not an object is 400",
			func(ctx context.Context, p *probe) error {
				a, err := p.do(ctx, request{method: "POST", path: "/Users", body: []byte(`[]`)})
				if err != nil {
					return err
				}
				return a.refused("invalidSyntax")
			}),
		must("create-wrong-type", "7643 §2.3", "R17", write, "a value of the wrong type is 400",
			func(ctx context.Context, p *probe) error {
				a, _, err := p.post(ctx, request{path: "/Users"}, p.userDoc(func(d map[string]any) { d["active"] = map[string]any{"on": 1} }))
				if err != nil {
					return err
				}
				return a.refused("invalidValue")
			}),
		should("create-media-type", "7644 §3.1", "R12 R135", write, "a body of another media type is 415",
			func(ctx context.Context, p *probe) error {
				a, _, err := p.post(ctx, request{path: "/Users", media: "application/xml", body: []byte("<user/>")}, nil)
				if err != nil {
					return err
				}
				return a.is(http.StatusUnsupportedMediaType)
			}),
		should("create-json", "7644 §3.1", "R12", write, "a body of type application/json is taken (Okta)",
			func(ctx context.Context, p *probe) error { return p.taken(ctx, request{media: mediaJSON}) }),
		should("create-charset", "7644 §3.8", "R10 R12", write, "a body of type application/scim+json; charset=utf-8 is taken (Okta, Entra)",
			func(ctx context.Context, p *probe) error {
				return p.taken(ctx, request{media: mediaSCIM + "; charset=utf-8"})
			}),
		must("create-null", "7643 §2.5", "R16", write, "null and [] mean unassigned, and what is unassigned is not returned",
			func(ctx context.Context, p *probe) error {
				u, err := p.newUser(ctx, func(d map[string]any) {
					d["title"], d["nickName"], d["phoneNumbers"] = nil, nil, []any{}
				})
				if err != nil {
					return err
				}
				doc, err := p.read(ctx, u)
				if err != nil {
					return err
				}
				return firstOf(unassigned("title", doc["title"]), unassigned("phoneNumbers", doc["phoneNumbers"]))
			}),
		must("create-attribute-case", "7643 §2.1", "R14", write, "attribute names are taken in any case, and answered as in the schema",
			func(ctx context.Context, p *probe) error {
				name := p.name()
				u, err := p.needed(ctx, "/Users", map[string]any{"schemas": []any{urnUser}, "USERNAME": name, "DisplayName": "Ute Brandt"})
				if err != nil {
					return mild(wrong("the user is made", "%v", err))
				}
				doc, err := p.read(ctx, u)
				if err != nil {
					return err
				}
				return firstOf(same("userName", doc["userName"], any(name)), same("displayName", doc["displayName"], any("Ute Brandt")))
			}),
		must("create-primaries", "7643 §2.4", "R21", write, "at most one value is primary: two are refused or made one",
			func(ctx context.Context, p *probe) error {
				a, u, err := p.post(ctx, request{path: "/Users"}, p.userDoc(func(d map[string]any) {
					for _, e := range elements(d, "emails") {
						e["primary"] = true
					}
				}))
				if err != nil {
					return err
				}
				if u == nil {
					return a.refused("invalidValue")
				}
				doc, err := p.read(ctx, u)
				if err != nil {
					return err
				}
				return onePrimary(doc)
			}),
	}
}

func onePrimary(doc map[string]any) error {
	n := 0
	for _, e := range elements(doc, "emails") {
		if e["primary"] == true {
			n++
		}
	}
	if n > 1 {
		return wrong("at most one primary value", "%d of emails", n)
	}
	return nil
}

func (p *probe) taken(ctx context.Context, r request) error {
	r.path = "/Users"
	a, _, err := p.post(ctx, r, p.userDoc())
	if err != nil {
		return err
	}
	return a.is(200, 201)
}
