package scim_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/model"
	"jmld/scim"
)

// hold takes all turns for streams of members until the test ends.
func (c *client) hold(t *testing.T, group string, turns int) {
	t.Helper()
	begun, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	for range turns {
		wg.Go(func() {
			once := sync.OnceFunc(func() { begun <- struct{}{} })
			if err := c.Store.Members(context.Background(), "entra", group, 0, func(string, model.Kind, string) error {
				once()
				<-release
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { close(release); wg.Wait() })
	for range turns {
		<-begun
	}
}

// Slow readers of large groups stand in nobody's way but of others who read large groups; and what is stored is never
// answered with an error, or a POST done again would make a second group.
func TestSlowReadersOfLargeGroupsStopNoWrites(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, b)
			few, many := repeated(200, ",", `{"value":"member-%d"}`), repeated(201, ",", `{"value":"member-%d"}`)
			group := func(name, members string) string {
				return fmt.Sprintf(`{"displayName":%q,"members":[%s]}`, name, members)
			}
			small := c.create(t, "/Groups", group("small", few))
			large := c.create(t, "/Groups", group("large", many))
			c.hold(t, large, map[string]int{"sqlite": 1, "postgres": 4}[b.name])
			members := func(a answer) int {
				list, _ := a.at("members").([]any)
				return len(list)
			}
			for _, step := range []struct {
				method, target, body string
				status, members      int
			}{
				{"GET", "/Groups/" + small, "", 200, 200},
				{"POST", "/Groups", group("new", few), 201, 200},
				{"PUT", "/Groups/" + small, group("small", few), 200, 200},
				{"PATCH", "/Groups/" + small, patchOf(`{"op":"replace","path":"externalId","value":"x"}`), 200, 200},
				{"GET", "/Groups?filter=" + url.QueryEscape(`displayName eq "small"`), "", 200, 0},
			} {
				if a := c.must(t, step.method, step.target, step.body, step.status); members(a) != step.members {
					t.Errorf("%s %s: %s", step.method, step.target, a)
				}
			}
			var wg sync.WaitGroup // each waits for its turn
			for _, step := range []struct {
				method, target, body string
				status               int
			}{
				{"GET", "/Groups/" + large, "", 503}, // or the turns are not held
				{"POST", "/Groups", group("newest", many), 201},
				{"PUT", "/Groups/" + large, group("renamed", many), 204},
				{"PATCH", "/Groups/" + large + "?attributes=members", patchOf(`{"op":"replace","path":"externalId","value":"y"}`), 204},
			} {
				wg.Go(func() {
					a, err := c.send(step.method, step.target, nil, step.body)
					if err != nil || a.status != step.status || members(a) != 0 {
						t.Errorf("%s %s: %v %s", step.method, step.target, err, a)
						return
					}
					tag := a.header.Get("ETag")
					if id, _ := a.at("id").(string); step.status == 201 && (a.header.Get("Location") != c.base+"/Groups/"+id || a.at("displayName") != "newest") ||
						(tag == "") != (step.status == 503) || step.status == 204 && (len(a.body) > 0 || a.header.Get("Content-Type") != "") {
						t.Errorf("%s %s: %v %s", step.method, step.target, a.header, a)
					}
				})
			}
			wg.Wait()
			a := c.must(t, "GET", "/Groups?excludedAttributes=members&sortBy=displayName", "", 200)
			list, _ := a.at("Resources").([]any)
			var names []any
			for _, r := range list {
				names = append(names, r.(map[string]any)["displayName"]) //nolint:forcetypeassert // else the test fails
			}
			if diff := cmp.Diff([]any{"new", "newest", "renamed", "small"}, names); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// asked counts which groups' members are read, and answers with as many for some.
type asked struct {
	scim.Resources
	mu     sync.Mutex
	groups []string
	invent int
}

func (a *asked) Members(ctx context.Context, source, group string, most int, yield func(string, model.Kind, string) error) error {
	a.mu.Lock()
	a.groups = append(a.groups, group)
	a.mu.Unlock()
	for i := range a.invent {
		if err := yield(fmt.Sprintf("%s-%d", group, i), "", ""); err != nil {
			return err
		}
	}
	return a.Resources.Members(ctx, source, group, most, yield)
}

// RFC 7644 §3.4.2.2: members are read for a filter on groups only where the database cannot answer it, each group once, and
// no more of them than the bound, all groups together.
func TestMembersAreReadForAFilterOnlyWhereTheyHaveToBe(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			var seen asked
			c := newClient(t, b, func(o *scim.Options) {
				seen.Resources, o.Resources = o.Resources, &seen
			})
			ada := c.create(t, "/Users", `{"userName":"ada","title":"x"}`)
			c.create(t, "/Users", `{"userName":"bob","title":"x"}`)
			inner := c.create(t, "/Groups", `{"displayName":"inner","members":[{"value":"`+ada+`"}]}`)
			outer := c.create(t, "/Groups", `{"displayName":"outer","members":[{"value":"`+inner+`"}]}`)
			for _, tt := range []struct {
				filter string
				invent int
				status int
				total  any
				read   []string
			}{
				{`groups.value eq "OUTER"`, 0, 200, 1.0, nil},
				{`groups.value eq "OUTER" and active eq true`, 0, 200, 1.0, nil},
				{`not (groups.value eq "OUTER") or groups.value eq "INNER"`, 0, 200, 2.0, nil},
				{`groups.value eq "OUTER" and title eq "x"`, 0, 200, 1.0, []string{outer, inner}},
				{`userName eq "ada" and groups.value eq "INNER" and title pr`, 0, 200, 1.0, []string{inner}},
				{`(groups.value eq "INNER" or groups.value eq "INNER") and title eq "x"`, 0, 200, 1.0, []string{inner}},
				{`(groups.value eq "INNER" or groups.value eq "a") and title eq "x"`, 49_999, 200, 1.0, []string{inner, "a"}},
				{`(groups.value eq "INNER" or groups.value eq "a") and title eq "x"`, 50_000, 400, nil, []string{inner, "a"}},
			} {
				filter := strings.NewReplacer("OUTER", outer, "INNER", inner).Replace(tt.filter)
				seen.groups, seen.invent = nil, tt.invent
				a := c.must(t, "GET", "/Users?count=1&attributes=userName&filter="+url.QueryEscape(filter), "", tt.status)
				if diff := cmp.Diff(tt.read, seen.groups); diff != "" || a.at("totalResults") != tt.total || tt.status == 400 && a.at("scimType") != "tooMany" {
					t.Errorf("%s: %s %s", tt.filter, diff, a)
				}
			}
			seen.groups, seen.invent = nil, 0
			pages := "/Users?count=1&filter=" + url.QueryEscape(`title eq "x" and not (groups.value eq "`+outer+`-") and not (groups.value eq "`+inner+`")`)
			if a := c.must(t, "GET", pages+"&cursor=", "", 200); a.at("Resources[0].userName") != "bob" || a.at("nextCursor") != nil {
				t.Errorf("%s", a)
			}
			pages = "/Users?count=1&filter=" + url.QueryEscape(`title eq "x" and (groups.value eq "`+inner+`" or userName eq "bob")`)
			first := c.must(t, "GET", pages+"&cursor=", "", 200)
			next, _ := first.at("nextCursor").(string)
			seen.groups = nil
			second := c.must(t, "GET", pages+"&cursor="+url.QueryEscape(next), "", 200)
			if first.at("Resources[0].userName") != "ada" || second.at("Resources[0].userName") != "bob" {
				t.Errorf("%s %s", first, second)
			}
			if diff := cmp.Diff([]string{inner}, seen.groups); diff != "" {
				t.Errorf("a page and its count: %s", diff)
			}
			a := c.must(t, "GET", "/Groups?filter="+url.QueryEscape(`members.value eq "`+ada+`" and meta.version pr`), "", 200)
			if a.at("totalResults") != 1.0 || a.at("Resources[0].id") != inner {
				t.Errorf("%s", a)
			}
		})
	}
}
