package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/store"
	"jmld/jml/engine"
	"jmld/model"
)

// Names of accounts are noted for whom nobody has them; of who has one already it is only taken when no account of theirs has it any more, in whatever
// letters.
func TestANameIsNotTakenFromWhoHasIt(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		for id, name := range map[string]string{"1": "éva.lind", "2": "ÉVA.LIND", "3": "ada.lind", "4": "ADA.LIND", "5": "moved", "6": "kim.lind"} {
			c := joined("entra", id, "person"+id)
			c.Accounts[0].UserName = name
			must(t, s.Commit(ctx, c))
		}
		names := []model.AccountName{
			{Target: "platform", Name: "éva.lind", IdentityID: "i-2", GivenAt: at(1)}, {Target: "platform", Name: "ada.lind", IdentityID: "i-4", GivenAt: at(1)},
			{Target: "platform", Name: "kim.lind", IdentityID: "i-5", GivenAt: at(1)},
		}
		must(t, s.Commit(ctx, &engine.Commit{Names: names}))
		must(t, s.NoteNames(ctx, []string{"platform"}))
		all, err := s.Names(ctx, []string{"i-1", "i-2", "i-3", "i-4", "i-5", "i-6"})
		must(t, err)
		got := map[string]string{}
		for _, n := range all {
			got[n.Name] = n.IdentityID
		}
		if d := cmp.Diff(map[string]string{"éva.lind": "i-2", "ada.lind": "i-4", "kim.lind": "i-6", "moved": "i-5"}, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}
