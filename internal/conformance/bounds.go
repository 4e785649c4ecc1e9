package conformance

import (
	"bytes"
	"context"
	"strings"
)

func boundsChecks() []check {
	return []check{
		must("bounds-deep-json", "7644 §3.12", "R135", write, "JSON that is 100,000 levels deep is refused, and the server lives",
			func(ctx context.Context, p *probe) error {
				var b bytes.Buffer
				name := p.name()
				p.unsure = append(p.unsure, &resource{endpoint: "/Users", key: "userName", name: name})
				b.WriteString(`{"schemas":["` + urnUser + `"],"userName":` + quoted(name) + `,"name":`)
				b.WriteString(strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000) + "}")
				return p.survives(ctx, request{method: "POST", path: "/Users", body: b.Bytes()}, true)
			}),
		must("bounds-large-body", "7644 §3.12", "R135", write, "a body of 20 MB is refused or taken, and the server lives",
			func(ctx context.Context, p *probe) error {
				doc := p.userDoc(func(d map[string]any) { d["title"] = strings.Repeat("x", 20<<20) })
				_, _, err := p.post(ctx, request{path: "/Users"}, doc)
				if err != nil && ctx.Err() != nil {
					return err
				}
				// A server may close the connection while the body is still on its way: that is an answer, too.
				return p.alive(ctx)
			}),
		must("bounds-deep-filter", "7644 §3.4.2.2", "R70 R135", filter, "a filter that is 1,000 levels deep is answered, and the server lives",
			func(ctx context.Context, p *probe) error {
				f := strings.Repeat("(", 1000) + `userName eq "x"` + strings.Repeat(")", 1000)
				return p.survives(ctx, request{method: "GET", path: query("/Users", "filter", f, "count", "1")}, false)
			}),
		must("bounds-long-filter", "7644 §3.4.2.2", "R70 R135", filter, "a filter of 1,000 terms is answered, and the server lives",
			func(ctx context.Context, p *probe) error {
				f := strings.Repeat(`title eq "x" or `, 1000) + `title eq "x"`
				return p.survives(ctx, request{method: "GET", path: query("/Users", "filter", f, "count", "1")}, false)
			}),
		must("bounds-deep-path", "7644 §3.5.2", "R101 R135", write|patch, "a PATCH path that is 10,000 levels deep is refused, and the server lives",
			func(ctx context.Context, p *probe) error {
				u, err := p.newUser(ctx)
				if err != nil {
					return err
				}
				path := "emails[" + strings.Repeat("not (", 10_000) + `type eq "x"` + strings.Repeat(")", 10_000) + "]"
				return p.survives(ctx, request{method: "PATCH", path: u.path(), body: patchOp(op("remove", path, nil))}, false)
			}),
		must("bounds-strange-id", "7644 §3.12", "R135", nothing, "an id with escapes, dots or NUL is refused, not an error of the server",
			func(ctx context.Context, p *probe) error {
				for _, id := range []string{"%00", "%2e%2e%2fGroups", "%ff%fe", "a%2Fb", "'%20or%20'1'='1"} {
					a, err := p.get(ctx, "/Users/"+id)
					if err != nil {
						return err
					}
					if a.ok() || a.status >= 500 {
						return wrong("a status of 4xx", "%s", a.brief())
					}
				}
				return nil
			}),
		must("bounds-broken-query", "7644 §3.4.2", "R70 R135", filter, "a query that is not well-formed is not answered with everybody",
			func(ctx context.Context, p *probe) error {
				a, err := p.get(ctx, "/Users?filter=%zz&count=1")
				if err != nil {
					return err
				}
				if a.ok() && len(elements(a.doc, "Resources")) > 0 || a.status >= 500 {
					return wrong("a status of 4xx", "%s", a.brief())
				}
				return nil
			}),
	}
}

// survives sends what nobody should and wants the server to go on. refuse: it must not take it.
func (p *probe) survives(ctx context.Context, r request, refuse bool) error {
	a, err := p.do(ctx, r)
	if err != nil && ctx.Err() != nil {
		return err
	}
	if err == nil && (a.status >= 500 && a.status != 501 || refuse && a.ok()) {
		return wrong("a status of 4xx", "%s", a.brief())
	}
	return p.alive(ctx)
}
