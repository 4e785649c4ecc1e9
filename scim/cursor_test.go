package scim_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// R66, R148, R150, R156: every record that is there all the time comes once, whatever comes and goes between the pages, and nothing is
// kept between them (RFC 9865 §2).
func TestPagesByCursor(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, b)
			var ids []string
			for i := range 7 {
				ids = append(ids, c.create(t, "/Users", fmt.Sprintf(`{"userName":"u%d","title":"t%d"}`, i, i%2)))
			}
			group := c.create(t, "/Groups", `{"displayName":"u-group"}`)
			walk := func(target string, between func(page int)) (seen []string) {
				next := ""
				for n := 1; ; n++ {
					a := c.must(t, "GET", target+"&cursor="+next, "", 200)
					list, _ := a.at("Resources").([]any)
					for _, r := range list {
						seen = append(seen, r.(map[string]any)["id"].(string))
					}
					if a.at("startIndex") != nil || a.at("previousCursor") != nil {
						t.Errorf("%s", a)
					}
					next, _ = a.at("nextCursor").(string)
					if next == "" || n > 20 {
						return seen
					}
					if between != nil {
						between(n)
					}
				}
			}
			for target, want := range map[string][]string{
				"/Users?count=3":   ids,
				"/Users?count=7":   ids,
				"/Users?count=100": ids,
				"/Users?count=0":   nil,
				"/Users?count=1&filter=title%20eq%20%22t1%22":                  {ids[1], ids[3], ids[5]},
				"/Users?count=2&filter=name%20pr%20or%20title%20eq%20%22t0%22": {ids[0], ids[2], ids[4], ids[6]},
				"/?count=3&filter=meta.created%20pr":                           append(append([]string{}, ids...), group),
				"/?count=7&filter=meta.created%20pr":                           append(append([]string{}, ids...), group),
				"/?count=2&filter=meta.resourceType%20eq%20%22Group%22":        {group},
			} {
				if diff := cmp.Diff(want, walk(target, nil)); diff != "" {
					t.Errorf("%s: %s", target, diff)
				}
			}
			got := walk("/Users?count=2", func(page int) {
				switch page {
				case 1:
					c.must(t, "DELETE", "/Users/"+ids[0], "", 204)
					c.must(t, "DELETE", "/Users/"+ids[2], "", 204)
				case 2:
					ids = append(ids, c.create(t, "/Users", `{"userName":"late"}`))
				}
			})
			if diff := cmp.Diff([]string{ids[0], ids[1], ids[3], ids[4], ids[5], ids[6], ids[7]}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// R149, R151, R155.
func TestCursorIsBoundToItsQueryAndClient(t *testing.T) {
	t.Parallel()
	c, _, k := watchedClient(t, nil)
	c.token(t, "entra", "second", "second", nil)
	for i := range 3 {
		c.create(t, "/Users", fmt.Sprintf(`{"userName":"u%d"}`, i))
	}
	k.advance(300 * time.Millisecond)
	next, _ := c.must(t, "GET", "/Users?count=1&cursor=", "", 200).at("nextCursor").(string)
	if next == "" || strings.Trim(next, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Fatalf("cursor %q is not for URLs", next)
	}
	broken := next[:10] + strings.Map(func(r rune) rune { return r ^ 1 }, next[10:11]) + next[11:]
	for _, tt := range []struct{ name, target, token, kind string }{
		{"as it was made", "/Users?count=1&cursor=" + next, secret, ""},
		{"in a search", "/Users?count=1&cursor=" + next + "&attributes=id", secret, ""},
		{"another token", "/Users?count=1&cursor=" + next, "second", "invalidCursor"},
		{"another filter", "/Users?count=1&filter=title%20pr&cursor=" + next, secret, "invalidCursor"},
		{"another type", "/Groups?count=1&cursor=" + next, secret, "invalidCursor"},
		{"another byte", "/Users?count=1&cursor=" + broken, secret, "invalidCursor"},
		{"cut", "/Users?count=1&cursor=" + next[:20], secret, "invalidCursor"},
		{"another count", "/Users?count=2&cursor=" + next, secret, "invalidCount"},
		{"sorted", "/Users?count=1&sortBy=userName&cursor=", secret, "invalidValue"},
	} {
		a, err := c.send("GET", tt.target, http.Header{"Authorization": {"Bearer " + tt.token}}, "")
		if err != nil || a.at("scimType") != any(tt.kind) && tt.kind != "" || tt.kind == "" && a.status != 200 {
			t.Errorf("%s: %v %s", tt.name, err, a)
		}
	}
	k.advance(61 * time.Minute)
	if a := c.must(t, "GET", "/Users?count=1&cursor="+next, "", 400); a.at("scimType") != "expiredCursor" {
		t.Error(a)
	}
	if a := c.must(t, "POST", "/Users/.search", `{"cursor":"","count":2}`, 200); a.at("nextCursor") == nil {
		t.Error(a)
	}
}
