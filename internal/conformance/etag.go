package conformance

import (
	"context"
	"net/http"
)

func etagChecks() []check {
	need := write | etags
	// conditional is a check of one request with a precondition on a user that has changed once: old and now are its tags.
	conditional := func(method, header string, value func(old, now string) string, status ...int) func(context.Context, *probe) error {
		return func(ctx context.Context, p *probe) error {
			u, err := p.newUser(ctx)
			if err != nil {
				return err
			}
			before, err := p.get(ctx, u.path())
			if err != nil {
				return err
			}
			a, err := p.put(ctx, u, with(u.doc, "title", "Lead"))
			if err != nil {
				return err
			}
			if !a.ok() {
				return skip("PUT did not work: %s", a.brief())
			}
			if a, err = p.get(ctx, u.path()); err != nil {
				return err
			}
			old, now := before.header.Get("ETag"), a.header.Get("ETag")
			if old == "" || now == "" {
				return skip("there is no ETag")
			}
			r := request{method: method, path: u.path(), header: http.Header{header: {value(old, now)}}}
			switch method {
			case "PUT":
				r.body = with(u.doc, "title", "Third")
			case "PATCH":
				r.body = patchOp(op("replace", "title", "Third"))
			}
			if a, err = p.do(ctx, r); err != nil {
				return err
			}
			return a.is(status...)
		}
	}
	stale := func(old, _ string) string { return old }
	current := func(_, now string) string { return now }
	both := func(old, now string) string { return old + ", " + now }
	star := func(string, string) string { return "*" }
	return []check{
		must("etag-changes", "7644 §3.14", "R138", need, "the ETag is another one when the resource has changed",
			func(ctx context.Context, p *probe) error {
				u, err := p.newUser(ctx)
				if err != nil {
					return err
				}
				before, err := p.get(ctx, u.path())
				if err != nil {
					return err
				}
				if a, err := p.put(ctx, u, with(u.doc, "title", "Lead")); err != nil {
					return err
				} else if !a.ok() {
					return skip("PUT did not work: %s", a.brief())
				}
				now, err := p.get(ctx, u.path())
				if err != nil {
					return err
				}
				if tag := now.header.Get("ETag"); tag == before.header.Get("ETag") {
					return wrong("another ETag", "%s both times", orElse(tag, "none"))
				}
				return nil
			}),
		must("etag-not-modified", "7644 §3.14", "R139", need, "GET with If-None-Match of the version that is there is 304",
			conditional("GET", "If-None-Match", current, 304)),
		must("etag-modified", "7644 §3.14", "R139", need, "GET with If-None-Match of an older version is 200",
			conditional("GET", "If-None-Match", stale, 200)),
		must("etag-several", "9110 §13.1.2", "R140", need, "If-None-Match may name several versions", conditional("GET", "If-None-Match", both, 304)),
		must("etag-put-stale", "7644 §3.14", "R139", need, "PUT with If-Match of an older version is 412", conditional("PUT", "If-Match", stale, 412)),
		must("etag-put-current", "7644 §3.14", "R139", need, "PUT with If-Match of the version that is there is done", conditional("PUT", "If-Match", current, 200, 204)),
		must("etag-put-star", "9110 §13.1.1", "R139 R140", need, "PUT with If-Match: * is done", conditional("PUT", "If-Match", star, 200, 204)),
		must("etag-patch-stale", "7644 §3.14", "R139", need|patch, "PATCH with If-Match of an older version is 412", conditional("PATCH", "If-Match", stale, 412)),
		must("etag-delete-stale", "7644 §3.14", "R139", need, "DELETE with If-Match of an older version is 412", conditional("DELETE", "If-Match", stale, 412)),
	}
}
