package ldapsync_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/testserver"
	"jmld/model"
)

// remembered is what a store knows.
type remembered struct {
	hash map[string]string // by id
	met  map[string]bool
	ids  model.IDs
}

func (k *remembered) Same(_ model.Kind, id, hash []byte) bool {
	if have, ok := k.hash[string(id)]; !ok || have != string(hash) {
		return false
	}
	k.met[string(id)] = true
	return true
}

func (k *remembered) Has(id []byte) bool { _, ok := k.hash[string(id)]; return ok }

func (k *remembered) Doubted() bool { return false }

func (k *remembered) IDs() *model.IDs { return &k.ids }

func (k *remembered) Lacks(model.Kind) bool {
	for id := range k.hash {
		if !k.met[id] {
			return true
		}
	}
	return false
}

// D-01: people are listed once while everybody listed is who was known; whoever is new, or known and not listed, has them listed again.
// Either way the same content is handed out as by a read that knows nobody, and a manager who comes later is found.
func TestPeopleAreListedOnceWhileTheyAreThoseWhoWereKnown(t *testing.T) {
	t.Parallel()
	const users, groups = 250, 8
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(users, groups, 230)})
	src := source(t, options(s))
	all, _, err := read(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	some, same := testserver.UserID(17), "everybody listed is who was known, and everybody known was listed"
	for name, c := range map[string]struct {
		change func(hash map[string]string)
		emit   []string
		pages  int // of people
		seen   string
	}{
		"nothing changed":       {func(map[string]string) {}, nil, 3, same},
		"content changed":       {func(h map[string]string) { h[some] = "x" }, []string{some}, 4, same},
		"somebody new":          {func(h map[string]string) { delete(h, some) }, []string{some}, 7, "0 missing first and listed then"},
		"somebody is missing":   {func(h map[string]string) { h["gone"] = "x" }, nil, 6, "0 missing first and listed then"},
		"nobody is known there": {func(h map[string]string) { clear(h); h["gone"] = "x" }, ids(all, model.KindUser), 9, "0 missing first and listed then"},
	} {
		t.Run(name, func(t *testing.T) {
			known := &remembered{hash: map[string]string{}, met: map[string]bool{}}
			for id, en := range all {
				if en.Kind == model.KindUser {
					known.hash[id] = string(en.Hash)
				}
			}
			c.change(known.hash)
			got, want := map[string]model.Entry{}, map[string]model.Entry{}
			p, err := src.ReadUnlike(t.Context(), "", known, func(e model.Entry) error {
				known.met[e.ID] = true
				if _, ok := got[e.ID]; ok {
					t.Errorf("%s was handed out twice", e.ID)
				}
				got[e.ID] = e
				return nil
			})
			if err != nil || !p.Complete || p.Users != users || p.Groups != groups || p.Mark != "" {
				t.Fatalf("%v, %+v", err, p)
			}
			for _, id := range append(ids(all, model.KindGroup), c.emit...) {
				want[id] = all[id]
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("handed out (-want +got):\n%s", d)
			}
			for _, cond := range p.Conditions {
				if cond.Name == "listed twice alike" && cond.Seen != c.seen {
					t.Errorf("seen %q, want %q", cond.Seen, c.seen)
				}
			}
			if n := p.Pages - 2; n > c.pages || n < c.pages-1 { // the one whose content changed may not have had to wait
				t.Errorf("%d pages of people, want %d", n, c.pages)
			}
		})
	}
}

func ids(all map[string]model.Entry, kind model.Kind) (list []string) {
	for id, en := range all {
		if en.Kind == kind {
			list = append(list, id)
		}
	}
	return list
}
