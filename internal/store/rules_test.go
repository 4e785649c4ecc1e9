package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"jmld/internal/testserver"
	"jmld/jml/engine"
	"jmld/model"
)

// A server speaks the language it was set up with: other rules than those in force are known by the code of the error, not by its text.
func TestOtherRulesAreKnownInEveryLanguage(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := openHere(t, testserver.Postgres(t))
	if _, err := s.AdoptRules(ctx, "one"); err != nil {
		t.Fatal(err)
	}
	pool := s.db.(*pgDB).pool
	if _, err := pool.Exec(ctx, otherRulesFail, "one"); err != nil {
		t.Errorf("those in force: %v", err)
	}
	_, err := pool.Exec(ctx, otherRulesFail, "two")
	var said *pgconn.PgError
	if !errors.As(err, &said) {
		t.Fatalf("others: %v", err)
	}
	said.Message = "in another language"
	if err := classify(ctx, said); !errors.Is(err, engine.ErrOtherRules) || !errors.Is(err, model.ErrStale) {
		t.Errorf("others: %v", err)
	}
}

// What is looked at first is reached by the same URL as what is opened then.
func TestPeekingReadsTheURLAsOpeningDoes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	url := testserver.Postgres(t)
	more := "?"
	if strings.Contains(url, "?") {
		more = "&"
	}
	url += more + "pool_max_conn_lifetime=1h"
	s := openHere(t, url)
	if _, err := s.AdoptRules(ctx, "one"); err != nil {
		t.Fatal(err)
	}
	if rules, err := PeekRules(ctx, Options{URL: url}); err != nil || rules != "one" {
		t.Errorf("%q, %v", rules, err)
	}
}

// Of a company however large some are marked at a time, each once: one statement about all of them would take longer than any may.
func TestOtherRulesMarkSomeAtATime(t *testing.T) {
	t.Parallel()
	const people = `INSERT INTO identities (id, lifecycle, user_name, display_name, email, search_key, organisation, external, categories, attrs, provenance, findings, ` +
		`version, review_at, review_run, suspect, entitlements, separated, rules, created_at, updated_at) SELECT 'p' || i, 'active', '', '', '', '', '', false, '', '{}', '', '', ` +
		`1, NULL, '', '', '', '', CASE WHEN i %% 10 = 0 THEN 'two' ELSE '' END, %s, %[1]s FROM `
	onEachDatabase(t, func(t *testing.T, h *house) {
		const n, most = 210, 100
		h.store.mostMarked = most
		numbers, now := fmt.Sprintf("generate_series(1, %d) AS g(i)", n), "now()"
		if h.store.lite {
			numbers, now = fmt.Sprintf("(WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < %d) SELECT i FROM c) AS g", n), "0"
		}
		if err := h.store.write(t.Context(), op{text: fmt.Sprintf(people, now) + numbers}); err != nil {
			t.Fatal(err)
		}
		got, err := h.store.AdoptRules(t.Context(), "two")
		if err != nil {
			t.Fatal(err)
		}
		marks := []int{got}
		for range 3 {
			_, got, err := h.store.FollowRules(t.Context(), "two", time.Now().Add(time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			marks = append(marks, got)
		}
		if diff := cmp.Diff([]int{most, n - n/10 - most, 0, 0}, marks); diff != "" {
			t.Error(diff)
		}
	})
}
