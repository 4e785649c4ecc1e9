package testserver

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// HostileShape is a request by somebody who has a token and means harm. A server refuses it or answers it within its bounds.
type HostileShape struct {
	Name string
	// Request makes one for the server at base, ".../scim/NAME/v2".
	Request func(ctx context.Context, base string) (*http.Request, error)
	// Answered says that the request is a valid one, only expensive.
	Answered bool
}

// endless is a body that never ends.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

// drip is a body that comes one byte at a time.
type drip struct{ ctx context.Context } //nolint:containedctx // of the request

func (d drip) Read(b []byte) (int, error) {
	select {
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	case <-time.After(50 * time.Millisecond):
		b[0] = ' '
		return 1, nil
	}
}

// Hostile are the shapes. group is one with many members, "" where there is none.
func Hostile(group string) []HostileShape {
	const size = 4<<20 - 100
	fill := func(before, unit, after string) string {
		return before + strings.TrimSuffix(strings.Repeat(unit, size/len(unit)), ",") + after
	}
	send := func(method, path, body string) func(context.Context, string) (*http.Request, error) {
		return func(ctx context.Context, base string) (*http.Request, error) {
			r, err := http.NewRequestWithContext(ctx, method, base+path, strings.NewReader(body))
			if err == nil {
				r.Header.Set("Content-Type", "application/scim+json")
			}
			return r, err
		}
	}
	get := func(path string) func(context.Context, string) (*http.Request, error) {
		return func(ctx context.Context, base string) (*http.Request, error) {
			return http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
		}
	}
	stream := func(body func(ctx context.Context) io.Reader) func(context.Context, string) (*http.Request, error) {
		return func(ctx context.Context, base string) (*http.Request, error) {
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/Users", body(ctx))
			if err == nil {
				r.Header.Set("Content-Type", "application/scim+json")
			}
			return r, err
		}
	}
	var keys strings.Builder
	for i := 0; keys.Len() < size; i++ {
		fmt.Fprintf(&keys, `"k%d":{"a":[1]},`, i)
	}
	var unknown strings.Builder
	for i := range 900 {
		fmt.Fprintf(&unknown, `{"op":"add","path":"unknown%d","value":"x"},`, i)
	}
	filter := func(text string) string { return "/Users?filter=" + url.QueryEscape(text) }
	shapes := []HostileShape{
		{Name: "empty objects", Request: send("POST", "/Users", fill(`{"x":[`, `{},`, `]}`))},
		{Name: "small objects", Request: send("POST", "/Users", fill(`{"x":[`, `{"a":0,"b":""},`, `]}`))},
		{Name: "objects at limit", Request: send("POST", "/Users", fill(`{"x":[`, `{"a":"1234567890"},`, `]}`))},
		{Name: "empty arrays", Request: send("POST", "/Users", fill(`{"x":[`, `[],`, `]}`))},
		{Name: "numbers", Request: send("POST", "/Users", fill(`{"userName":"a","emails":[`, `1,`, `]}`))},
		{Name: "exponents", Request: send("POST", "/Users", fill(`{"userName":"a","x":[`, `1e1000000000,`, `]}`)), Answered: true}, // of nothing that is kept
		{Name: "one exponent", Request: send("POST", "/Users", `{"userName":1e1000000000,"active":1e-1000000000}`), Answered: true},
		{Name: "texts", Request: send("POST", "/Users", fill(`{"userName":"a","emails":[`, `{"value":"a@example.org","type":"work"},`, `]}`))},
		{Name: "keys", Request: send("POST", "/Users", `{`+keys.String()+`"z":0}`)},
		{Name: "deep", Request: send("POST", "/Users", strings.Repeat(`{"a":[`, size/6))},
		{Name: "one text", Request: send("POST", "/Users", fill(`{"userName":"`, `\u0041`, `"}`)), Answered: true},
		{Name: "chunked endless", Request: stream(func(context.Context) io.Reader { return io.LimitReader(endless{}, 64<<20) })},
		{Name: "dripping", Request: stream(func(ctx context.Context) io.Reader { return drip{ctx} })},
		{Name: "operations", Request: send("PATCH", "/Users/x", fill(`{"Operations":[`, `{"op":"add","path":"title","value":"x"},`, `]}`))},
		{Name: "unknown attributes", Request: send("PATCH", "/Users/x", `{"Operations":[`+strings.TrimSuffix(unknown.String(), ",")+`]}`)},
		{Name: "nested filter", Request: get(filter(strings.Repeat("(", 3000) + "userName pr" + strings.Repeat(")", 3000)))},
		{Name: "terms", Request: get(filter(strings.Repeat(`title co "e" or `, 90) + `title co "x"`)), Answered: true},
		{Name: "contains", Request: get(filter(`displayName co "nobody is called that"`)), Answered: true},
		{Name: "contains a value", Request: get(filter(`emails.value co "nobody has that" and not (title pr)`)), Answered: true},
		{Name: "sorted", Request: get("/Users?sortBy=name.familyName&sortOrder=descending&count=1000"), Answered: true},
		{Name: "deep page", Request: get("/Users?startIndex=900000&count=1000"), Answered: true},
		{Name: "everybody", Request: get("/?count=1000&filter=" + url.QueryEscape(`id pr`)), Answered: true},
		{Name: "forged cursor", Request: get("/Users?cursor=" + strings.Repeat("A", 200))},
		{Name: "long URL", Request: get("/Users?" + strings.Repeat("x", 60_000))},
		{Name: "parameters", Request: get("/Users?" + strings.Repeat("a=b&", 2000)), Answered: true},
		{Name: "wrong token", Request: func(ctx context.Context, base string) (*http.Request, error) {
			return http.NewRequestWithContext(ctx, http.MethodGet, base+"x/Users", nil)
		}},
		{Name: "token request", Request: func(ctx context.Context, base string) (*http.Request, error) {
			return http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(base, "/v2")+"/oauth/token", strings.NewReader(strings.Repeat("a=b&", 100_000)))
		}},
	}
	if group != "" {
		var bulk strings.Builder
		for i := range 200 {
			fmt.Fprintf(&bulk, `{"method":"PATCH","path":"/Groups/%s","data":{"Operations":[{"op":"add","path":"members","value":[{"value":"m%d"}]},`+
				`{"op":"remove","path":"members[value eq \"m%d\"]"}]}},`, group, i, i)
		}
		shapes = append(shapes,
			HostileShape{Name: "group whole", Request: get("/Groups/" + group), Answered: true},
			HostileShape{Name: "bulk on a group", Request: send("POST", "/Bulk", `{"Operations":[`+strings.TrimSuffix(bulk.String(), ",")+`]}`), Answered: true},
			HostileShape{Name: "members of everybody", Request: get("/Groups?count=1000&attributes=members"), Answered: true},
		)
	}
	return shapes
}
