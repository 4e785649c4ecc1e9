package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/store"
	"jmld/model"
)

// D-16: one capture of a source at a time; an ended one leaves nothing.
func TestASourceHasOneCaptureAtATime(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		start := func(id, source string, life time.Duration) error {
			_, err := s.StartCapture(ctx, model.Capture{ID: id, Source: source, Key: []byte(id), Actor: "operator ada"}, life)
			return err
		}
		running := func(want ...string) {
			t.Helper()
			var got []string
			for _, c := range get[[]model.Capture](t)(s.Captures(ctx)) {
				got = append(got, c.ID+" "+string(c.Key)+" "+c.Source)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		}
		must(t, start("a", "entra", time.Minute))
		if err := start("b", "entra", time.Minute); !errors.Is(err, model.ErrConflict) {
			t.Errorf("a second capture of the source: %v", err)
		}
		must(t, start("c", "okta", 20*time.Second))
		running("a a entra", "c c okta")
		if c := get[model.Capture](t)(s.CaptureOf(ctx, "entra")); c.ID != "a" || c.Until.Sub(c.StartedAt) != time.Minute || c.Actor != "operator ada" {
			t.Errorf("got %+v", c)
		}

		lines := []model.CaptureLine{{ID: "1", Capture: "a", Text: `{"x":1}`}, {ID: "2", Capture: "a", Text: "{}"}, {ID: "3", Capture: "c", Text: "{}"}}
		must(t, s.AddCaptureLines(ctx, lines))
		if diff := cmp.Diff(lines[:2], get[[]model.CaptureLine](t)(s.CaptureLines(ctx, "a", 10))); diff != "" {
			t.Error(diff)
		}
		must(t, s.DropCaptureLines(ctx, lines[:1]))
		if diff := cmp.Diff(lines[1:2], get[[]model.CaptureLine](t)(s.CaptureLines(ctx, "a", 10))); diff != "" {
			t.Error(diff)
		}

		for end := time.Now().Add(3 * time.Minute); len(get[[]model.Capture](t)(s.Captures(ctx))) > 1 && time.Now().Before(end); { // okta's ends by its time
			time.Sleep(50 * time.Millisecond)
		}
		running("a a entra")
		must(t, start("d", "okta", time.Minute)) // in place of the one that ended
		if left := get[[]model.CaptureLine](t)(s.CaptureLines(ctx, "c", 10)); len(left) > 0 {
			t.Errorf("the ended capture left %v", left)
		}
		must(t, s.TouchCapture(ctx, "a"))
		must(t, s.StopCapture(ctx, "a"))
		running("d d okta")
		if n := len(get[[]model.CaptureLine](t)(s.CaptureLines(ctx, "a", 10))); n != 1 {
			t.Errorf("%d lines after the stop", n)
		}
		must(t, s.EndCapture(ctx, "a"))
		if err := s.TouchCapture(ctx, "a"); !errors.Is(err, model.ErrStale) {
			t.Errorf("a sign of life of what is no more: %v", err)
		}
		must(t, s.AddCaptureLines(ctx, lines[:1])) // a straggler
		must(t, s.SweepCaptures(ctx))
		if left := get[[]model.CaptureLine](t)(s.CaptureLines(ctx, "a", 10)); len(left) > 0 {
			t.Errorf("left %v", left)
		}
		running("d d okta")
	})
}
