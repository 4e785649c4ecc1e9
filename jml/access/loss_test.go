package access_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml/access"
	"jmld/model"
)

// Of rows that are taken away only those are a loss that count still, or will.
func TestWhoLoses(t *testing.T) {
	t.Parallel()
	left := member("left", "group:a", "Developer")
	at := noon().Add(-time.Hour)
	left.EndedAt = &at
	before := access.State{Groups: []model.AccessGroup{{ID: "a", Name: "A", Parent: model.AccessRoot}}, Members: []model.AccessMember{
		left, period("over", "a", false, -9, -1), period("soon", "a", false, 1, 9), period("holds", "a", false, 0, 0), period("stays", "a", false, 0, 0)}}
	after := before
	after.Members = before.Members[4:]
	lose, err := access.Losing(before, after, []string{"left", "over", "soon", "holds", "stays"}, noon())
	if diff := cmp.Diff([]string{"holds", "soon"}, lose); diff != "" || err != nil {
		t.Error(diff, err)
	}
}
