package conformance

import (
	"context"
	"crypto/rand"
	"net/http"
)

func authChecks() []check {
	return []check{
		must("auth-missing", "7644 §2, RFC 9110 §15.5.2", "R3", token, "a request without credentials is 401",
			func(ctx context.Context, p *probe) error { return p.stranger(ctx, request{anonymous: true}, nil) }),
		must("auth-wrong", "7644 §2, RFC 6750 §3.1", "R3 R5", token, "a request with a wrong token is 401",
			func(ctx context.Context, p *probe) error {
				return p.stranger(ctx, request{token: "wrong-" + rand.Text()}, nil)
			}),
		must("auth-wrong-write", "7644 §2", "R3", token|write, "a create with a wrong token is 401 and makes nothing",
			func(ctx context.Context, p *probe) error {
				a, made, err := p.post(ctx, request{path: "/Users", token: "wrong-" + rand.Text()}, p.userDoc())
				if err != nil {
					return err
				}
				if made != nil {
					return wrong("status 401", "%s, and the user is there", a.brief())
				}
				return a.is(http.StatusUnauthorized)
			}),
		must("auth-challenge", "7644 §2, RFC 9110 §11.6.1", "R3", token, "401 says in WWW-Authenticate how to authenticate",
			func(ctx context.Context, p *probe) error {
				return p.stranger(ctx, request{anonymous: true}, func(a *answer) error {
					if a.header.Get("WWW-Authenticate") == "" {
						return wrong("a header WWW-Authenticate", "%s, without one", a.brief())
					}
					return nil
				})
			}),
		must("auth-error-body", "7644 §3.12", "R3 R133", token, "401 has a SCIM Error body",
			func(ctx context.Context, p *probe) error {
				return p.stranger(ctx, request{token: "wrong-" + rand.Text()}, func(a *answer) error { return lists(a, urnError) })
			}),
		should("auth-announced", "7643 §5", "R2", nothing, "the configuration names the ways to authenticate",
			func(_ context.Context, p *probe) error {
				if present(p.server.config) != nil {
					return skip("there is no configuration")
				}
				schemes := elements(p.server.config.doc, "authenticationSchemes")
				if len(schemes) == 0 {
					return wrong("at least one of authenticationSchemes", "none")
				}
				for _, s := range schemes {
					for _, k := range []string{"type", "name", "description"} {
						if empty(s[k]) {
							return wrong("each of authenticationSchemes has "+k, "one has none")
						}
					}
				}
				return nil
			}),
	}
}

// stranger asks as somebody who must not get in. With next, that the server lets them in is another check's business.
func (p *probe) stranger(ctx context.Context, r request, next func(*answer) error) error {
	r.method, r.path = "GET", "/Users?count=1"
	a, err := p.do(ctx, r)
	if err != nil {
		return err
	}
	err = a.is(http.StatusUnauthorized)
	switch {
	case next == nil:
		return err
	case err != nil:
		return skip("the answer was not 401")
	}
	return next(a)
}
