package manual

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/model"
)

// changing is a store in which, between two pages, the first account is renamed to the end and the second one goes.
type changing struct {
	Store
	rows []model.Account
	asks int
}

func (c *changing) Accounts(_ context.Context, q model.AccountQuery) ([]model.Account, error) {
	if c.asks++; c.asks == 2 {
		c.rows[0].UserName = "zz"
		c.rows = slices.Delete(c.rows, 1, 2)
	}
	list := slices.Clone(c.rows)
	slices.SortFunc(list, func(a, b model.Account) int {
		if q.ByIdentity {
			return strings.Compare(a.IdentityID, b.IdentityID)
		}
		return strings.Compare(a.UserName, b.UserName)
	})
	list = slices.DeleteFunc(list, func(a model.Account) bool { return q.After != "" && a.IdentityID <= q.After })
	list = list[min(q.Offset, len(list)):]
	return list[:min(q.Limit, len(list))], nil
}

// Whoever lists accounts while some are renamed or go sees each of the others once.
func TestAccountsAreListedOnceWhateverChanges(t *testing.T) {
	t.Parallel()
	c := &changing{}
	want := map[string]int{}
	for i := range 1100 {
		id := fmt.Sprintf("i%04d", i)
		c.rows = append(c.rows, model.Account{IdentityID: id, UserName: fmt.Sprintf("u%04d", i), AppliedState: model.AccountActive})
		want[id] = 1
	}
	got := map[string]int{}
	for a, err := range New(Options{Name: "app", Store: c}).Accounts(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		got[a.IdentityID]++
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("accounts (-want +got):\n%.1000s", d)
	}
}
