package scim_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Clients that change the same resource at once do not undo each other: a change is made to what is stored, or made again.
func TestPatchesAtOnceAreAllDone(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, b)
			user := c.create(t, "/Users", `{"userName":"ada"}`)
			team := c.create(t, "/Groups", `{"displayName":"G"}`)
			patch := func(target, operation string) {
				for range 50 {
					a, err := c.send("PATCH", target, nil, `{"Operations":[`+operation+`]}`)
					if err != nil {
						t.Error(err)
						return
					}
					if a.status == http.StatusOK {
						return
					}
					if a.status != http.StatusServiceUnavailable { // others were first for too long: the client repeats
						t.Errorf("%s", a)
						return
					}
					time.Sleep(10 * time.Millisecond)
				}
				t.Errorf("%s never came through", target)
			}
			attributes := []string{"title", "nickName", "displayName", "userType", "locale", "timezone"}
			want := map[string]any{}
			var members []string
			var wg sync.WaitGroup
			for i, name := range attributes {
				want[name] = fmt.Sprintf("v%d", 3)
				for n := range 4 {
					members = append(members, fmt.Sprintf("00000000-0000-4000-8000-%06d%06d", i, n))
				}
				wg.Go(func() {
					for n := range 4 {
						patch("/Users/"+user, fmt.Sprintf(`{"op":"replace","path":%q,"value":"v%d"}`, name, n))
						patch("/Groups/"+team, fmt.Sprintf(`{"op":"add","path":"members","value":[{"value":"00000000-0000-4000-8000-%06d%06d"}]}`, i, n))
					}
				})
			}
			wg.Wait()
			a := c.must(t, "GET", "/Users/"+user, "", 200)
			got := map[string]any{}
			for _, name := range attributes {
				got[name] = a.at(name)
			}
			if diff := cmp.Diff(want, got); diff != "" || a.header.Get("ETag") != `W/"25"` {
				t.Errorf("%s %s", diff, a)
			}
			list, _ := c.must(t, "GET", "/Groups/"+team+"?attributes=members.value", "", 200).at("members").([]any)
			if len(list) != len(members) {
				t.Errorf("%d members of %d", len(list), len(members))
			}
		})
	}
}
