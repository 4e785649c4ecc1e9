package store

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/testserver"
	"jmld/model"
)

func onEachDatabase(t *testing.T, f func(t *testing.T, h *house)) {
	t.Helper()
	for name, url := range map[string]func() string{
		"sqlite":   func() string { return "sqlite:" + filepath.Join(t.TempDir(), "jmld.db") },
		"postgres": func() string { return testserver.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, newHouse(t, url()))
		})
	}
}

// A bounded read of members is one statement, needs no turn, and reads nothing of a group that has more.
func TestMembersUpToABoundNeedNoTurn(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, h *house) {
		h.stock(t, "ten", 10)
		for range cap(h.store.streams.all) {
			h.store.streams.all <- struct{}{}
		}
		for _, tt := range []struct {
			group string
			most  int
			want  []string
			err   error
			rows  int64
		}{
			{"ten", 11, []string{memberID(1), memberID(10)}, nil, 10},
			{"ten", 10, []string{memberID(1), memberID(10)}, nil, 10},
			{"ten", 9, nil, model.ErrTooMany, 1},
			{"ten", 1, nil, model.ErrTooMany, 1},
			{"unknown", 1, nil, nil, 0},
		} {
			before := h.spent(t)
			var got []string
			err := h.store.Members(t.Context(), "entra", tt.group, tt.most, func(id string, _ model.Kind, _ string) error {
				if got = append(got, id); len(got) > 2 {
					got = []string{got[0], id}
				}
				return nil
			})
			after := h.spent(t)
			if diff := cmp.Diff(tt.want, got); diff != "" || !errors.Is(err, tt.err) {
				t.Errorf("%s, %d: %v %s", tt.group, tt.most, err, diff)
			}
			spent := cost{Statements: after.Statements - before.Statements, Rows: after.Rows - before.Rows}
			if diff := cmp.Diff(cost{Statements: 1, Rows: tt.rows}, spent); diff != "" {
				t.Errorf("%s, %d: %s", tt.group, tt.most, diff)
			}
		}
		short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := h.store.Members(short, "entra", "ten", 0, func(string, model.Kind, string) error { return nil })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without a bound and a turn: %v", err)
		}
	})
}

// What the database looks at many records for takes turns, also where another condition finds a handful.
func TestLookupsTakeNoTurnAndSearchesBesideThemDo(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, h *house) {
		h.stock(t, "g", 1)
		by := func(name, value string) model.Filter {
			return model.Compare{Attr: model.AttrRef{Path: []string{name}}, Op: model.OpEq, Value: value}
		}
		member := func(name, value string) model.Filter {
			return model.Related{Attr: model.RelatedMembers, Term: by(name, value)}
		}
		for range cap(h.store.searches.all) {
			h.store.searches.all <- struct{}{}
		}
		for _, tt := range []struct {
			name   string
			filter model.Filter
			turn   bool
		}{
			{"a name", by("displayName", "g"), false},
			{"a name, and what SQL does not say", model.And{Terms: []model.Filter{by("displayName", "g"), by("nickName", "g")}}, false},
			{"a member", member("value", "u"), false},
			{"a member, and what SQL does not say", model.And{Terms: []model.Filter{member("value", "u"), by("nickName", "g")}}, false},
			{"a member's name", model.And{Terms: []model.Filter{by("displayName", "g"), member("display", "u")}}, true},
			{"a member or what SQL does not say", model.Or{Terms: []model.Filter{member("value", "u"), by("nickName", "g")}}, true},
			{"not a member", model.Not{Term: member("value", "u")}, true},
			{"another name", model.Not{Term: by("displayName", "g")}, true},
		} {
			limit := time.Minute
			if tt.turn {
				limit = time.Second / 2
			}
			short, cancel := context.WithTimeout(t.Context(), limit)
			_, err := h.store.Query(short, model.Query{Source: "entra", Kind: model.KindGroup, Filter: tt.filter, Limit: 10,
				Match: func(*model.Record, []bool) bool { return true }})
			cancel()
			if errors.Is(err, context.DeadlineExceeded) != tt.turn || !tt.turn && err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
	})
}
