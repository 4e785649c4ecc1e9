package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"jmld/internal/store"
	"jmld/jml"
	"jmld/jml/engine"
	"jmld/model"
)

// However many people have it as a part of theirs, whoever has all of it is meant.
func TestAWholeNameIsFoundAmongManyParts(t *testing.T) {
	t.Parallel()
	db, err := store.Open(t.Context(), store.Options{URL: "sqlite:" + filepath.Join(t.TempDir(), "jmld.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	c := &engine.Commit{}
	add := func(id, display, user string, keys ...model.Key) {
		p := model.Identity{ID: id, Lifecycle: model.Active, UserName: user, DisplayName: display, Email: user + "@example.org", Attrs: "{}", Provenance: "{}", Version: 1}
		p.SearchKey = jml.Fold(p.DisplayName) + "\n" + jml.Fold(p.UserName) + "\n" + jml.Fold(p.Email)
		c.Identities = append(c.Identities, engine.IdentityWrite{New: p, AddKeys: keys})
	}
	for i := range 60 { // all of them before who is meant, in the order of a list
		add(fmt.Sprintf("a-%02d", i), "Ada Kern", fmt.Sprintf("lena.x%d", i))
		add(fmt.Sprintf("b-%02d", i), "Ada Lena", fmt.Sprintf("4711%d", i))
	}
	add("z", "Lena", "zoe.lena", model.Key{Name: "employeeNumber", Value: "4711"})
	add("y", "Yves Lena", "lena")
	if err := db.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	s := &site{store: db}
	for who, want := range map[string]string{
		"zoe.lena": "z", "Zoe.Lena@example.org": "z", "z": "z", "yves lena": "y", "LENA@example.org": "y",
		"4711": "z", // an employee number
		"lena": "",  // the name of one and the user name of another
		"le":   "",
	} {
		p, err := findPerson(t.Context(), s, who)
		if p.ID != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", who, p.ID, err)
		}
	}
	s.engine = engine.New(engine.Options{Store: db})
	for approver, found := range map[string]bool{ // whoever is found decides about a request that is not there
		"zoe.lena": true, "zoe.lena@example.org": true, "y": true, "lena": true,
		"Ada Kern": false, "yves lena": false, "4711": false,
	} {
		_, err := requestBook{site: s, areas: func() []string { return nil }}.DecideRequest(t.Context(), "none", approver, "why", "console", false)
		if errors.Is(err, model.ErrNotFound) != found || (model.CodeOf(err) == model.CodeAccessDenied) == found {
			t.Errorf("%q: %v", approver, err)
		}
	}
}
