package ldapsync_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/testserver"
	"jmld/ldapsync"
	"jmld/model"
)

func password() (string, error) { return testserver.Password, nil }

// options read the test directory over LDAPS with an account without limits.
func options(s *testserver.SlapdServer) ldapsync.Options {
	return ldapsync.Options{
		Name: "corp", URL: s.TLSURL, CAFile: s.CAFile, BindDN: testserver.SyncDN, Password: password,
		Base: testserver.Base, People: ldapsync.People{Base: testserver.PeopleBase},
		Groups: &ldapsync.Groups{Base: testserver.GroupsBase}, PageSize: 100,
		Timeouts: ldapsync.Timeouts{Connect: time.Minute, Idle: time.Minute, Run: 5 * time.Minute},
	}
}

func source(tb testing.TB, o ldapsync.Options) *ldapsync.Source {
	tb.Helper()
	s, err := ldapsync.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// read returns what was emitted by id.
func read(ctx context.Context, s *ldapsync.Source) (map[string]model.Entry, model.Proof, error) {
	got := map[string]model.Entry{}
	groups := false
	p, err := s.Read(ctx, func(e model.Entry) error {
		if _, ok := got[e.ID]; ok {
			return fmt.Errorf("%s was emitted twice", e.ID)
		}
		groups = groups || e.Kind == model.KindGroup
		if groups && e.Kind == model.KindUser {
			return errors.New("a person came after a group")
		}
		got[e.ID] = e
		return nil
	})
	return got, p, err
}

func mustRead(t *testing.T, s *ldapsync.Source) map[string]model.Entry {
	t.Helper()
	got, p, err := read(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if !p.Complete {
		t.Fatalf("not complete: %v", failedConditions(p))
	}
	return got
}

func failedConditions(p model.Proof) []string {
	var list []string
	for _, c := range p.Conditions {
		if !c.OK {
			list = append(list, c.Name+": "+c.Seen)
		}
	}
	return list
}

func TestAReadEqualsTheDirectory(t *testing.T) {
	t.Parallel()
	const users, groups = 250, 8
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(users, groups, 230)})
	got, p, err := read(t.Context(), source(t, options(s)))
	if err != nil {
		t.Fatal(err)
	}
	if !p.Complete || p.Users != users || p.Groups != groups || p.Unresolved != 0 || len(p.Skipped) != 0 {
		t.Errorf("proof: %+v", p)
	}
	if p.Pages != 3+1+3+1 {
		t.Errorf("%d pages, want 8", p.Pages)
	}
	var names []string
	for _, c := range p.Conditions {
		names = append(names, c.Name)
	}
	if d := cmp.Diff([]string{
		"connected and bound", "read to the end", "every page answered with success", "paging control on every page", "last cookie empty",
		"one connection", "no referral", "no unknown message", "base entries unchanged", "identity unchanged", "clocks compared", "every entry has an id",
		"no id twice", "every DN understood", "listed twice alike", "people found", "skipped entries named", "all members listed", "members found",
	}, names); d != "" {
		t.Errorf("conditions (-want +got):\n%s", d)
	}
	if len(got) != users+groups {
		t.Fatalf("%d records, want %d", len(got), users+groups)
	}
	u := got[testserver.UserID(17)]
	u.Hash = nil
	want := model.Entry{Record: model.Record{
		Source: "corp", ID: testserver.UserID(17), Kind: model.KindUser, UserName: "u000017", UserNameKey: "u000017",
		DisplayName: "Élise Fünfgeld", DisplayNameKey: model.FoldKey("Élise Fünfgeld"), ExternalID: testserver.UserID(17), Active: true,
		Attrs: `{"active":true,"displayName":"Élise Fünfgeld","emails":[{"primary":true,"type":"work","value":"u000017@example.org"}],` +
			`"name":{"familyName":"Fünfgeld","formatted":"Élise Fünfgeld","givenName":"Élise"},` +
			`"phoneNumbers":[{"primary":true,"type":"work","value":"+49 30 5550 000017"}],"preferredLanguage":"de","title":"Engineer 3",` +
			`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"17","employeeNumber":"100017",` +
			`"manager":{"value":"` + testserver.UserID(119) + `"},"organization":"Example"},"userName":"u000017","userType":"employee"}`,
	}}
	if d := cmp.Diff(want, u); d != "" {
		t.Errorf("person (-want +got):\n%s", d)
	}
	for i := 1; i < groups; i++ {
		var members []string
		for _, m := range testserver.GroupUsers(i, users) {
			members = append(members, testserver.UserID(m))
		}
		if i%6 != 0 {
			members = append(members, testserver.GroupID(i-1))
		}
		slices.Sort(members)
		g := got[testserver.GroupID(i)]
		if g.Hash = nil; true {
			name := fmt.Sprintf("group %04d", i)
			want := model.Entry{Record: model.Record{
				Source: "corp", ID: testserver.GroupID(i), Kind: model.KindGroup, DisplayName: name, DisplayNameKey: name,
				ExternalID: testserver.GroupID(i), Active: true, Attrs: `{"displayName":"` + name + `"}`,
			}, Members: members}
			if d := cmp.Diff(want, g); d != "" {
				t.Errorf("group %d (-want +got):\n%s", i, d)
			}
		}
	}
	if n := len(got[testserver.GroupID(0)].Members); n != 230 {
		t.Errorf("the big group has %d members, want 230", n)
	}
}

func TestAnUnchangedDirectoryHasEqualHashesAndAChangeShows(t *testing.T) {
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(60, 3, 10)})
	src := source(t, options(s))
	first := mustRead(t, src)
	if d := cmp.Diff(first, mustRead(t, src)); d != "" {
		t.Fatalf("the second read differs:\n%s", d)
	}
	s.Replace(testserver.UserDN(4), "title", "Director")
	s.Rename(testserver.UserDN(25), "uid=renamed", "")
	s.Replace(testserver.GroupDN(1), "member", testserver.UserDN(1))
	third := mustRead(t, src)
	var changed []string
	for id := range first {
		if string(first[id].Hash) != string(third[id].Hash) {
			changed = append(changed, id)
		}
	}
	slices.Sort(changed)
	// The server does not maintain references: number 55 has a manager whose DN is gone.
	want := []string{testserver.UserID(4), testserver.UserID(25), testserver.UserID(55), testserver.GroupID(1)}
	if d := cmp.Diff(want, changed); d != "" {
		t.Errorf("changed (-want +got):\n%s", d)
	}
	if r := third[testserver.UserID(25)]; r.UserName != "renamed" || len(third) != len(first) {
		t.Errorf("a rename kept the id but has userName %q; %d records, want %d", r.UserName, len(third), len(first))
	}
}
