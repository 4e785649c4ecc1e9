package model_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/model"
)

const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

// What the side table holds is what Searchable says it holds.
func TestValuesAreTheSearchableOnes(t *testing.T) {
	t.Parallel()
	got := model.Values(map[string]any{
		"userName": "Ada",
		"name":     map[string]any{"familyName": "Example"},
		"emails": []any{
			map[string]any{"value": "Ada@Example.org", "type": "Work"},
			map[string]any{"value": "ada@example.org", "type": "work", "primary": true}, // the same one
			map[string]any{"value": "ada@example.com"},
			map[string]any{"type": "home"},
			"no element",
		},
		"photos": []any{map[string]any{"value": "https://example.org/ada.png"}},
		enterprise: map[string]any{
			"employeeNumber": "4711",
			"manager":        map[string]any{"value": "0192", "displayName": "Grace"},
			"costCenter":     "",
		},
	}, strings.ToLower)
	slices.SortFunc(got, func(a, b model.Value) int { return strings.Compare(a.Attr+a.Value, b.Attr+b.Value) })
	want := []model.Value{
		{Attr: "emails.value", Value: "ada@example.com"},
		{Attr: "emails.value", Type: "work", Value: "ada@example.org"},
		{Attr: enterprise + ":employeeNumber", Value: "4711"},
		{Attr: enterprise + ":manager.value", Value: "0192"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSearchable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		attr model.AttrRef
		want bool
	}{
		{model.AttrRef{Path: []string{"emails", "value"}}, true},
		{model.AttrRef{Path: []string{"emails", "type"}}, false},
		{model.AttrRef{Path: []string{"userName"}}, false}, // a column
		{model.AttrRef{Path: []string{"name", "value"}}, false},
		{model.AttrRef{Schema: enterprise, Path: []string{"department"}}, true},
		{model.AttrRef{Schema: enterprise, Path: []string{"manager", "value"}}, true},
		{model.AttrRef{Schema: enterprise, Path: []string{"manager", "displayName"}}, false},
	} {
		if got := model.Searchable(c.attr); got != c.want {
			t.Errorf("%s: %t, want %t", c.attr, got, c.want)
		}
	}
}
