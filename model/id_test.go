package model_test

import (
	"regexp"
	"testing"
	"time"

	"jmld/model"
)

func TestNewIDIsAVersion7UUIDThatSortsByTime(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	seen, last := map[string]bool{}, ""
	for range 1000 {
		at = at.Add(time.Millisecond)
		id := model.NewID(at)
		switch {
		case !form.MatchString(id):
			t.Fatalf("%s is no UUID of version 7", id)
		case seen[id]:
			t.Fatalf("%s twice", id)
		case id <= last:
			t.Fatalf("%s was made after %s and sorts before it", id, last)
		}
		seen[id], last = true, id
	}
	if a, b := model.NewID(at), model.NewID(at); a == b {
		t.Fatalf("the same id twice in one millisecond: %s", a)
	}
}
