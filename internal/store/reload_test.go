package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/store"
	"jmld/model"
)

// Each daemon answers the newest wish, and a newer wish forgets the answers to the one before.
func TestAReloadIsAskedForAndAnsweredByEachDaemon(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		if asked := get[model.Reload](t)(s.ReloadAsked(ctx)); asked != (model.Reload{}) {
			t.Errorf("nobody asked: %+v", asked)
		}
		late := model.Reloaded{Reload: "1", Replica: "a", Outcome: model.ReloadAdopted}
		must(t, s.AnswerReload(ctx, late))
		first := model.Reload{ID: "1", Actor: "ada", At: time.Date(2026, 11, 22, 8, 0, 0, 123456000, time.UTC)}
		must(t, s.AskReload(ctx, first))
		if asked := get[model.Reload](t)(s.ReloadAsked(ctx)); !cmp.Equal(asked, first) {
			t.Error(cmp.Diff(first, asked))
		}
		if answers := get[[]model.Reloaded](t)(s.ReloadAnswers(ctx)); len(answers) != 0 {
			t.Errorf("answered before anybody asked: %+v", answers)
		}
		want := []model.Reloaded{
			{Reload: "1", Replica: "a", Outcome: model.ReloadAdopted, Fingerprint: "f2", Later: []string{"listen"}},
			{Reload: "1", Replica: "b", Outcome: model.ReloadRefused, Fingerprint: "f1", Text: "line 3, column 7: \"märz\""},
		}
		for _, a := range []model.Reloaded{want[1], {Reload: "1", Replica: "a", Outcome: model.ReloadUnchanged}, want[0]} {
			must(t, s.AnswerReload(ctx, a))
		}
		if answers := get[[]model.Reloaded](t)(s.ReloadAnswers(ctx)); !cmp.Equal(answers, want) {
			t.Error(cmp.Diff(want, answers))
		}
		second := model.Reload{ID: "2", Actor: "bo", At: first.At.Add(time.Minute)}
		must(t, s.AskReload(ctx, second))
		must(t, s.AnswerReload(ctx, late)) // to the wish before
		if answers := get[[]model.Reloaded](t)(s.ReloadAnswers(ctx)); len(answers) != 0 {
			t.Errorf("answers to a wish that nobody waits for: %+v", answers)
		}
	})
}
