package conformance

import (
	"context"
	"net/http"
	"strings"
)

func readChecks() []check {
	return []check{
		must("read-by-id", "7644 §3.4.1", "R63", write, "a resource can be read by its id",
			func(ctx context.Context, p *probe) error {
				u, err := p.person(ctx)
				if err != nil {
					return err
				}
				doc, err := p.read(ctx, u)
				if err != nil {
					return err
				}
				return firstOf(same("id", doc["id"], any(u.id)), same("userName", doc["userName"], any(u.name)))
			}),
		must("read-media-type", "7644 §3.1, §8.1", "R11", write, "a resource is answered as application/scim+json",
			func(ctx context.Context, p *probe) error {
				u, err := p.person(ctx)
				if err != nil {
					return err
				}
				a, err := p.get(ctx, u.path())
				if err != nil {
					return err
				}
				return same("the media type", a.media(), mediaSCIM)
			}),
		must("read-schemas", "7643 §3", "R24", write, "schemas names the base schema and every extension that is there, each once", readSchemas),
		must("read-version", "7643 §3.1", "R29 R138", write, "the header ETag is meta.version",
			func(ctx context.Context, p *probe) error {
				u, err := p.person(ctx)
				if err != nil {
					return err
				}
				a, err := p.get(ctx, u.path())
				if err != nil {
					return err
				}
				tag, version := a.header.Get("ETag"), at(a.doc, "meta", "version")
				if tag == "" || version == nil {
					return skip("one of them is not there")
				}
				return same("meta.version", version, any(tag))
			}),
		must("read-location", "7643 §3.1", "R28", write, "meta.location stays what it was at the create, and is Content-Location",
			func(ctx context.Context, p *probe) error {
				u, err := p.person(ctx)
				if err != nil {
					return err
				}
				a, err := p.get(ctx, u.path())
				if err != nil {
					return err
				}
				where := at(a.doc, "meta", "location")
				if where == nil {
					return skip("there is no meta.location")
				}
				if given := a.header.Get("Content-Location"); given != "" {
					if err := same("Content-Location", any(given), where); err != nil {
						return err
					}
				}
				if before := at(u.answer.doc, "meta", "location"); before != nil {
					return same("meta.location", where, before)
				}
				return nil
			}),
		must("read-unknown", "7644 §3.4.1", "R63 R135", nothing, "an id that does not exist is 404",
			func(ctx context.Context, p *probe) error { return p.missing(ctx, "/Users/"+p.nobody()) }),
		must("error-body", "7644 §3.12", "R133", nothing, "an error has a JSON body with the schema of errors",
			func(ctx context.Context, p *probe) error {
				return p.anError(ctx, func(a *answer) error {
					if a.doc == nil {
						return wrong("a JSON object", "%s", a.brief())
					}
					return lists(a, urnError)
				})
			}),
		must("error-status", "7644 §3.12", "R133", nothing, "status in an error is a string, and the status of the answer",
			func(ctx context.Context, p *probe) error {
				return p.anError(ctx, func(a *answer) error {
					if a.doc == nil {
						return skip("the error has no JSON body")
					}
					return same("status", a.doc["status"], any("404"))
				})
			}),
		must("error-media-type", "7644 §3.12, §8.1", "R133 R11", nothing, "an error is application/scim+json",
			func(ctx context.Context, p *probe) error {
				return p.anError(ctx, func(a *answer) error { return same("the media type of a 404", a.media(), mediaSCIM) })
			}),
		must("unknown-parameter", "7644 §3.1", "R13", write, "query parameters that nobody knows do no harm, not even without a value (Entra)",
			func(ctx context.Context, p *probe) error {
				u, err := p.person(ctx)
				if err != nil {
					return err
				}
				for _, path := range []string{u.path() + "?frobnicate=1&aadOptscim062020", "/Users?count=1&aadOptscim062020"} {
					a, err := p.get(ctx, path)
					if err != nil {
						return err
					}
					if err := a.found(); err != nil {
						return err
					}
				}
				return nil
			}),
		interop("no-redirect", "7644 §3.12", "R135", nothing, "a slash too many is not answered with a redirect, which turns POST into GET",
			func(ctx context.Context, p *probe) error {
				for _, path := range []string{"/Users/?count=1", "//Users?count=1"} {
					a, err := p.get(ctx, path)
					if err != nil {
						return err
					}
					if a.status >= 300 && a.status < 400 {
						return wrong("no redirect", "%s", a.brief())
					}
				}
				return nil
			}),
		should("me", "7644 §3.11", "R132", nothing, "/Me is 501, a redirect to the resource, or the resource with its Location",
			func(ctx context.Context, p *probe) error {
				a, err := p.get(ctx, "/Me")
				if err != nil {
					return err
				}
				if a.status == http.StatusOK && a.header.Get("Location") == "" && a.header.Get("Content-Location") == "" {
					return wrong("a header Location", "%s, without one", a.brief())
				}
				return a.is(200, 307, 308, 501)
			}),
	}
}

func readSchemas(ctx context.Context, p *probe) error {
	u, err := p.person(ctx)
	if err != nil {
		return err
	}
	doc, err := p.read(ctx, u)
	if err != nil {
		return err
	}
	list, _ := doc["schemas"].([]any)
	seen := map[string]bool{}
	for _, e := range list {
		s, _ := e.(string)
		if s == "" || seen[strings.ToLower(s)] {
			return wrong("schemas has each URN once", "schemas is %s", show(list))
		}
		seen[strings.ToLower(s)] = true
	}
	if !seen[strings.ToLower(urnUser)] {
		return wrong("schemas has "+urnUser, "schemas is %s", show(list))
	}
	for k := range doc {
		if strings.HasPrefix(strings.ToLower(k), "urn:") && !seen[strings.ToLower(k)] {
			return wrong("schemas has "+k, "schemas is %s", show(list))
		}
	}
	return nil
}

// anError provokes a 404. That it is one is another check's business.
func (p *probe) anError(ctx context.Context, next func(*answer) error) error {
	a, err := p.get(ctx, "/Users/"+p.nobody())
	if err != nil {
		return err
	}
	if a.status != http.StatusNotFound {
		return skip("the answer was not 404")
	}
	return next(a)
}
