package conformance

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// maxBulk is how many operations are sent to see them refused.
const maxBulk = 5000

func bulkChecks() []check {
	need := write | bulk
	return []check{
		must("bulk-create", "7644 §3.7", "R126", need, "a bulk create is answered with 201, its bulkId and the location of what was made",
			func(ctx context.Context, p *probe) error {
				res, _, err := p.bulk(ctx, 0, create("/Users", "one", p.userDoc()))
				if err != nil {
					return err
				}
				if len(res) != 1 {
					return wrong("one result", "%d", len(res))
				}
				if where, _ := res[0]["location"].(string); where == "" {
					return wrong("a location", "none")
				}
				return firstOf(same("status", res[0]["status"], any("201")), same("bulkId", res[0]["bulkId"], any("one")))
			}),
		must("bulk-reference", "7644 §3.7.2", "R129", need|groups, "bulkId:… in a member is the user made in the same request, before or after it",
			func(ctx context.Context, p *probe) error {
				group := p.groupDoc()
				group["members"] = []any{map[string]any{"value": "bulkId:user"}}
				_, made, err := p.bulk(ctx, 0, create("/Groups", "group", group), create("/Users", "user", p.userDoc()))
				if err != nil {
					return err
				}
				if made["group"] == nil || made["user"] == nil {
					return wrong("a group and a user", "%d of them", len(made))
				}
				return p.members(ctx, made["group"], made["user"])
			}),
		must("bulk-partial", "7644 §3.7", "R127 R131", need, "without failOnErrors all operations are tried, and one that fails undoes no other",
			func(ctx context.Context, p *probe) error {
				res, made, err := p.bulk(ctx, 0, create("/Users", "one", p.userDoc()),
					map[string]any{"method": "DELETE", "path": "/Users/" + p.nobody()}, create("/Users", "two", p.userDoc()))
				if err != nil {
					return err
				}
				if len(res) != 3 || len(made) != 2 {
					return wrong("three results and two users", "%d and %d", len(res), len(made))
				}
				return same("status of the operation that failed", res[1]["status"], any("404"))
			}),
		must("bulk-fail-on-errors", "7644 §3.7.3", "R127", need, "with failOnErrors 1 nothing is done after the first failure",
			func(ctx context.Context, p *probe) error {
				_, made, err := p.bulk(ctx, 1, map[string]any{"method": "DELETE", "path": "/Users/" + p.nobody()}, create("/Users", "one", p.userDoc()))
				if err != nil {
					return err
				}
				return same("the number of users that were made", len(made), 0)
			}),
		must("bulk-no-id", "7644 §3.7", "R125", need, "a bulk create without bulkId is 400 for that operation",
			func(ctx context.Context, p *probe) error {
				o := create("/Users", "", p.userDoc())
				delete(o, "bulkId")
				res, _, err := p.bulk(ctx, 0, o)
				if err != nil {
					return err
				}
				if len(res) != 1 {
					return wrong("one result", "%d", len(res))
				}
				return same("status", res[0]["status"], any("400"))
			}),
		must("bulk-too-many", "7644 §3.7.4", "R130", need, "more operations than bulk.maxOperations are 413",
			func(ctx context.Context, p *probe) error {
				n := p.server.maxOperations
				if n < 1 || n > maxBulk {
					return skip("bulk.maxOperations is %d", n)
				}
				var ops []any
				gone := "/Users/" + p.nobody()
				for range n + 1 {
					ops = append(ops, map[string]any{"method": "DELETE", "path": gone})
				}
				a, err := p.do(ctx, request{method: "POST", path: "/Bulk", body: map[string]any{"schemas": []any{urnBulk}, "Operations": ops}})
				if err != nil {
					return err
				}
				return a.is(http.StatusRequestEntityTooLarge)
			}),
	}
}

func create(endpoint, id string, doc map[string]any) map[string]any {
	return map[string]any{"method": "POST", "path": endpoint, "bulkId": id, "data": doc}
}

// bulk sends operations and returns their results, and what was made by bulkId.
func (p *probe) bulk(ctx context.Context, failOn int, ops ...map[string]any) ([]map[string]any, map[string]*resource, error) {
	list := []any{}
	for _, o := range ops {
		list = append(list, o)
	}
	body := map[string]any{"schemas": []any{urnBulk}, "Operations": list}
	if failOn > 0 {
		body["failOnErrors"] = failOn
	}
	// Whatever the answer is: what was asked for is looked for at the end.
	for _, o := range ops {
		doc, _ := o["data"].(map[string]any)
		if path, _ := o["path"].(string); doc != nil {
			r := &resource{endpoint: path, key: "userName"}
			if path == "/Groups" {
				r.key = "displayName"
			}
			r.name, _ = doc[r.key].(string)
			p.unsure = append(p.unsure, r)
		}
	}
	a, err := p.do(ctx, request{method: "POST", path: "/Bulk", body: body})
	if err != nil {
		return nil, nil, err
	}
	if err := a.found(); err != nil {
		return nil, nil, err
	}
	results := elements(a.doc, "Operations")
	made := map[string]*resource{}
	for _, res := range results {
		where, _ := res["location"].(string)
		id, _ := res["bulkId"].(string)
		if s := fmt.Sprint(res["status"]); s != "201" || where == "" {
			continue
		}
		for _, o := range ops {
			if path, _ := o["path"].(string); o["bulkId"] == id && strings.Contains(where, path+"/") {
				doc, _ := o["data"].(map[string]any)
				key := "userName"
				if path == "/Groups" {
					key = "displayName"
				}
				r := &resource{endpoint: path, key: key, doc: doc, answer: &answer{header: http.Header{"Location": {where}}}}
				if r = p.adopt(ctx, r); r != nil {
					made[id] = r
				}
			}
		}
	}
	return results, made, nil
}
