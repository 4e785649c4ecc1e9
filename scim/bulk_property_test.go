package scim_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// anyOperation draws an operation of a bulk request on what the ones before it have made, or have not.
func anyOperation(t *rapid.T, n int) bulkStep {
	ref := func(kinds string) string {
		i := rapid.IntRange(0, max(n-1, 0)).Draw(t, "of")
		if rapid.IntRange(0, 5).Draw(t, "stranger") == 0 || n == 0 {
			return "00000000-0000-4000-8000-000000000001"
		}
		return fmt.Sprintf("bulkId:%c%d", kinds[rapid.IntRange(0, len(kinds)-1).Draw(t, "kind")], i)
	}
	value := rapid.SampledFrom([]string{"a", "A", "b", "c", "d", ""}).Draw(t, "value")
	members := func() string {
		var list []string
		for range rapid.IntRange(0, 3).Draw(t, "members") {
			list = append(list, fmt.Sprintf(`{"value":%q}`, ref("ug")))
		}
		return "[" + strings.Join(list, ",") + "]"
	}
	s := bulkStep{version: rapid.SampledFrom([]string{"", "", "", `W/"1"`, `W/"2"`, "*"}).Draw(t, "version")}
	user := fmt.Sprintf(`{"userName":%q,"title":%q,"manager":%q,"active":%q}`, value, rapid.SampledFrom([]string{"x", "y"}).Draw(t, "title"), ref("u"),
		rapid.SampledFrom([]string{"true", "False"}).Draw(t, "active"))
	switch rapid.IntRange(0, 9).Draw(t, "operation") {
	case 0, 1, 2:
		s.method, s.path, s.bulkID, s.data = "POST", "/Users", fmt.Sprintf("u%d", n), user
	case 3, 4:
		s.method, s.path, s.bulkID, s.data = "POST", "/Groups", fmt.Sprintf("g%d", n), fmt.Sprintf(`{"displayName":%q,"members":%s}`, value, members())
	case 5:
		s.method, s.path, s.data = "PUT", "/Users/"+ref("u"), user
	case 6:
		s.method, s.path, s.data = "PUT", "/Groups/"+ref("g"), fmt.Sprintf(`{"displayName":%q,"members":%s}`, value, members())
	case 7:
		s.method, s.path, s.data = "PATCH", "/Users/"+ref("ug"), fmt.Sprintf(`{"Operations":[{"op":"Replace","path":"title","value":%q},{"op":"add","path":"manager","value":{"value":%q}}]}`, value, ref("u"))
	case 8:
		s.method, s.path, s.data = "PATCH", "/Groups/"+ref("g"), fmt.Sprintf(`{"Operations":[{"op":%q,"path":"members","value":%s},{"op":"remove","path":"members[value eq \"%s\"]"}]}`,
			rapid.SampledFrom([]string{"add", "replace", "remove"}).Draw(t, "verb"), members(), ref("ug"))
	default:
		s.method, s.path = "DELETE", rapid.SampledFrom([]string{"/Users/", "/Groups/"}).Draw(t, "endpoint")+ref("ug")
	}
	return s
}

type bulkStep struct{ method, path, bulkID, version, data string }

func (s bulkStep) operation() string {
	b, err := json.Marshal(map[string]any{"method": s.method, "path": s.path, "bulkId": s.bulkID, "version": s.version, "data": json.RawMessage(s.data + strings.Repeat("null", 1-min(1, len(s.data))))})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// A bulk request does what its operations do when they are sent one after another: the same results, the same resources.
func TestBulkEqualsSingleRequests(t *testing.T) {
	t.Parallel()
	one, many := newClient(t, sqlite()), newClient(t, sqlite())
	rapid.Check(t, func(t *rapid.T) {
		steps := make([]bulkStep, rapid.IntRange(1, 12).Draw(t, "n"))
		var ops []string
		for i := range steps {
			steps[i] = anyOperation(t, i)
			ops = append(ops, steps[i].operation())
		}
		a, err := many.send("POST", "/Bulk", nil, bulkOf(ops...))
		if err != nil || a.status != 200 {
			t.Fatal(err, a)
		}
		got, _ := a.at("Operations").([]any)
		if len(got) != len(steps) {
			t.Fatalf("%d results of %d operations", len(got), len(steps))
		}
		singly, inBulk := map[string]string{}, map[string]string{} // id -> bulkId
		ids := map[string]string{}
		for i, s := range steps {
			status, version, kind := one.single(t, s, ids, steps)
			r, _ := got[i].(map[string]any)
			answered, _ := r["response"].(map[string]any)
			if diff := cmp.Diff([]any{status, version, kind}, []any{r["status"], r["version"], answered["scimType"]}); diff != "" {
				t.Fatalf("operation %d of %v: %s\n%s", i, ops, diff, a)
			}
			if where, ok := r["location"].(string); ok && s.method == "POST" {
				inBulk[where[strings.LastIndexByte(where, '/')+1:]] = s.bulkID
				singly[ids[s.bulkID]] = s.bulkID
			}
		}
		if diff := cmp.Diff(one.state(t, singly), many.state(t, inBulk)); diff != "" {
			t.Fatalf("%v: %s", ops, diff)
		}
		for _, c := range []*client{one, many} {
			c.empty(t)
		}
	})
}

// single sends one operation as a request, with the ids of what was made. What refers to something that is not there is
// refused without being sent, as a client would not know what to send.
func (c *client) single(t *rapid.T, s bulkStep, ids map[string]string, steps []bulkStep) (status, version, kind any) {
	missing := ""
	replace := func(text string) string {
		for {
			before, rest, ok := strings.Cut(text, "bulkId:")
			if !ok {
				return text
			}
			end := strings.IndexAny(rest+`"`, `"\`)
			name := rest[:end]
			id := ids[name]
			if id == "" {
				unknown := !slices.ContainsFunc(steps, func(s bulkStep) bool { return s.bulkID == name })
				if id = "none"; unknown {
					missing = "unknown"
				} else if missing == "" {
					missing = "failed"
				}
			}
			text = before + id + rest[end:]
		}
	}
	path, data := replace(s.path), replace(s.data)
	switch missing {
	case "unknown":
		return "400", nil, "invalidValue"
	case "failed":
		return "409", nil, nil
	}
	header := map[string][]string{}
	if s.version != "" && s.method != "POST" {
		header["If-Match"] = []string{s.version}
	}
	a, err := c.send(s.method, path, header, data)
	if err != nil {
		t.Fatal(err)
	}
	if a.status == 201 {
		ids[s.bulkID], _ = a.at("id").(string)
	}
	if tag := a.header.Get("ETag"); tag != "" {
		version = tag
	}
	if a.status >= 300 {
		kind = a.at("scimType")
	}
	return fmt.Sprint(a.status), version, kind
}

// state is all resources, without times and with bulkIds in place of ids.
func (c *client) state(t *rapid.T, names map[string]string) map[string]any {
	all := map[string]any{}
	for _, endpoint := range []string{"/Users", "/Groups"} {
		a, err := c.send("GET", endpoint+"?count=1000", nil, "")
		if err != nil || a.status != 200 {
			t.Fatal(err, a)
		}
		text := strings.ReplaceAll(string(a.body), c.base, "")
		for id, name := range names {
			text = strings.ReplaceAll(text, id, name)
		}
		var list struct{ Resources []map[string]any }
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			t.Fatal(err)
		}
		for _, r := range list.Resources {
			meta, _ := r["meta"].(map[string]any)
			delete(meta, "created")
			delete(meta, "lastModified")
			for _, key := range []string{"members", "groups"} {
				refs, _ := r[key].([]any)
				slices.SortFunc(refs, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			}
			id, _ := r["id"].(string)
			all[id] = r
		}
	}
	return all
}

func (c *client) empty(t *rapid.T) {
	for _, endpoint := range []string{"/Users", "/Groups"} {
		a, err := c.send("GET", endpoint+"?attributes=id&count=1000", nil, "")
		if err != nil {
			t.Fatal(err)
		}
		list, _ := a.at("Resources").([]any)
		for _, r := range list {
			id, _ := r.(map[string]any)["id"].(string)
			if a, err := c.send("DELETE", endpoint+"/"+id, nil, ""); err != nil || a.status != 204 {
				t.Fatal(err, a)
			}
		}
	}
}
