package scim_test

import (
	"context"
	"fmt"
	"net/url"
	"runtime"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/model"
)

// turnsOf is how many searches, or streams of members, one source has at a time.
func turnsOf(b backend) int {
	if b.name == "sqlite" {
		return 1
	}
	return max(1, min(runtime.GOMAXPROCS(0), 4)-1)
}

// hold takes all turns of the source for streams of members until the test ends.
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
			c.hold(t, large, turnsOf(b))
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
