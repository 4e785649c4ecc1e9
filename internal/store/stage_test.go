package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/store"
	"jmld/jml/engine"
	"jmld/model"
)

// On a stage only an organisation's people are due, and others whose dates come late enough; time passes when it is told to.
func TestAStageIsACopyAboutOneOrganisation(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		day := func(n int) *time.Time {
			at := time.Date(2030, 1, n, 0, 0, 0, 0, time.UTC)
			return &at
		}
		for i, p := range []struct {
			organisation, mail string
			due                *time.Time
		}{
			{"Partner", "a@partner.example", nil}, {"Example", "b@example.org", day(5)}, {"Example", "C@Partner.Example", day(20)},
			{"Partner", "d@partner.example", day(9)}, {"", "e@sub.partner.example", nil}, {"Example", "f@notpartner.example", nil}, {"Example", "g@partner.example.org", nil},
		} {
			c := joined("entra", fmt.Sprint(i), fmt.Sprintf("user%d", i))
			c.Records[0].New.Attrs = fmt.Sprintf(`{"emails":[{"value":%q}],"userName":"user%d"}`, p.mail, i)
			c.Identities[0].New.Organisation, c.Identities[0].New.ReviewAt = p.organisation, p.due
			must(t, s.Commit(ctx, c))
		}
		stage, discard, err := s.Stage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { must(t, discard()) })
		if d := cmp.Diff([]string{"i-0", "i-3"}, get[[]string](t)(stage.Cast(ctx, "Partner", *day(10)))); d != "" {
			t.Error(d)
		}
		must(t, stage.SetClock(ctx, *day(1)))
		due := func(n int) []string {
			t.Helper()
			must(t, stage.SetClock(ctx, *day(n)))
			return get[[]string](t)(stage.DueReviews(ctx, *day(n), 100*24*time.Hour, 10))
		}
		if next := get[time.Time](t)(stage.NextReview(ctx, *day(1))); !next.Equal(*day(20)) {
			t.Errorf("next is %s", next)
		}
		if got := due(1); len(got) != 2 {
			t.Errorf("due at first: %v", got)
		}
		if got := due(19); len(got) != 0 {
			t.Errorf("due before: %v", got)
		}
		if d := cmp.Diff([]string{"i-2"}, due(20)); d != "" {
			t.Error(d)
		}
		if next := get[time.Time](t)(stage.NextReview(ctx, day(20).AddDate(1, 0, 0))); !next.IsZero() {
			t.Errorf("next is %s", next)
		}
		for _, c := range []struct {
			domains []string
			want    []string
		}{
			{[]string{"partner.example"}, []string{"i-2"}},
			{[]string{"*.PARTNER.example"}, []string{"i-4"}},
			{[]string{"partner.example", "*.partner.example"}, []string{"i-2", "i-4"}},
			{[]string{"partner_example"}, nil},
			{nil, nil},
		} {
			if d := cmp.Diff(c.want, get[[]string](t)(stage.Addressed(ctx, "Partner", c.domains, "", 10))); d != "" {
				t.Errorf("%v: %s", c.domains, d)
			}
		}
		if d := cmp.Diff([]string{"i-4"}, get[[]string](t)(stage.Addressed(ctx, "Partner", []string{"partner.example", "*.partner.example"}, "i-2", 1))); d != "" {
			t.Error(d)
		}
		if p := get[model.Identity](t)(s.Identity(ctx, "i-3")); p.ReviewAt == nil || !p.ReviewAt.Equal(*day(9)) {
			t.Errorf("the original was changed: %v", p.ReviewAt)
		}
	})
}

func TestOrganisationsAreCounted(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		soon := time.Date(2030, 1, 5, 0, 0, 0, 0, time.UTC)
		for i, p := range []struct {
			organisation string
			external     bool
			lifecycle    model.Lifecycle
		}{
			{"Partner", true, model.Active}, {"Partner", true, model.Active}, {"Partner", true, model.Archived}, {"Example", false, model.Active}, {"", true, model.Established},
		} {
			c := joined("entra", fmt.Sprint(i), fmt.Sprintf("user%d", i))
			id := &c.Identities[0].New
			id.Organisation, id.External, id.Lifecycle = p.organisation, p.external, p.lifecycle
			if i == 1 {
				id.ReviewAt = &soon
			}
			if i > 0 {
				for k := range c.Accounts {
					c.Accounts[k].State = model.AccountInactive
				}
			}
			must(t, s.Commit(ctx, c))
		}
		must(t, s.Commit(ctx, &engine.Commit{Merges: []model.Merge{{IdentityID: "i-1", IntoID: "i-0", Records: "[]", Keys: "[]", Accounts: "[]", At: soon}}}))
		want := []model.OrganisationTally{
			{External: true, People: map[model.Lifecycle]int{model.Established: 1}},
			{Organisation: "Example", People: map[model.Lifecycle]int{model.Active: 1}},
			{Organisation: "Partner", External: true, People: map[model.Lifecycle]int{model.Active: 1, model.Archived: 1}, WithAccounts: 1},
		}
		if d := cmp.Diff(want, get[[]model.OrganisationTally](t)(s.Organisations(ctx))); d != "" {
			t.Error(d)
		}
		for after, want := range map[time.Duration]int{0: 0, time.Second: 1} {
			by := soon.Add(after)
			if n := len(get[[]model.Identity](t)(s.People(ctx, model.PeopleQuery{Search: "user1", DueBy: &by}))); n != 0 { // merged
				t.Errorf("%d", n)
			}
			if n := len(get[[]model.Identity](t)(s.People(ctx, model.PeopleQuery{Search: "i-1", DueBy: &by}))); n != want {
				t.Errorf("%d before %s", n, by)
			}
		}
	})
}
