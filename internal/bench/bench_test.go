package main

import (
	"encoding/json"
	"io"
	"os"
	"testing"
	"time"

	"jmld/internal/testserver"
)

// The measurements themselves are kept in working order: a short one of each that needs no server.
func TestFiguresHaveAFloor(t *testing.T) {
	t.Chdir(t.TempDir())
	b := &bench{out: io.Discard, round: 60 * time.Millisecond, spawn: serve, scim: scimChoice{databases: "sqlite", sizes: "200,400", clients: "1,2", group: 500}}
	if err := jmlPart(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := scimPart(t.Context(), b); err != nil {
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
	if want := 8 + 2*(2*9+1) + 3; len(figures) != want {
		t.Errorf("%d figures, want %d: 8 of jml; 8 requests and their carrying by 1 and 2 clients and a hostile second in each of 2 stores; 3 of growth", len(figures), want)
	}
	for _, f := range figures {
		if f.Name == "" || f.Unit == "" || f.FloorName == "" || f.Value <= 0 || f.Floor <= 0 || f.Ratio <= 0 || f.P99 < f.P50 {
			t.Errorf("%+v", f)
		}
	}
}

// What fills a PostgreSQL and what the floor stores have to fit its tables, as on SQLite above.
func TestPostgresCanBeFilled(t *testing.T) { //nolint:paralleltest // beside the figures it would be one of them
	testserver.Postgres(t) // says which package is missing
	b := &bench{out: io.Discard, round: 60 * time.Millisecond, spawn: serve, scim: scimChoice{databases: "postgres", sizes: "200", clients: "1", group: 50, only: "c"}}
	if err := scimPart(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for _, f := range b.figures {
		if f.Value <= 0 || f.Floor <= 0 {
			t.Errorf("%+v", f)
		}
	}
}
