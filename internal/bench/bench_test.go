package main

import (
	"encoding/json"
	"io"
	"os"
	"testing"
	"time"
)

// The measurements themselves are kept in working order: a short one of each that needs no server.
func TestFiguresHaveAFloor(t *testing.T) {
	t.Chdir(t.TempDir())
	b := &bench{out: io.Discard, round: 60 * time.Millisecond, people: 80}
	if err := jmlPart(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := with(func(fake *tb) error {
		dir := t.TempDir()
		return b.scimOn(t.Context(), fake, "sqlite", "sqlite:"+dir+"/jmld.db", "sqlite:"+dir+"/floor.db", liteFloor, "database/sql")
	}); err != nil {
		t.Fatal(err)
	}
	if err := b.store("bench/latest.json"); err != nil {
		t.Fatal(err)
	}
	if err := b.table(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("bench/latest.json")
	if err != nil {
		t.Fatal(err)
	}
	var figures []figure
	if err := json.Unmarshal(text, &figures); err != nil {
		t.Fatal(err)
	}
	if len(figures) != 11 {
		t.Errorf("%d figures, want 2 of jml and 9 of scim", len(figures))
	}
	for _, f := range figures {
		if f.Name == "" || f.Unit == "" || f.FloorName == "" || f.Value <= 0 || f.Floor <= 0 || f.Ratio != f.Value/f.Floor || f.P99 < f.P50 {
			t.Errorf("%+v", f)
		}
	}
}
