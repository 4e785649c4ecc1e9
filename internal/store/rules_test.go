package store

import (
	"context"
	"errors"
	"strings"
	"testing"

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
