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
		for range cap(h.store.streams) {
			h.store.streams <- struct{}{}
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

// What a query has to read first is read in its turn, once, and only where SQL does not say everything.
func TestQueriesGetReadyInTheirTurn(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, h *house) {
		h.stock(t, "g", 1)
		by := func(name, value string) model.Filter {
			return model.Compare{Attr: model.AttrRef{Path: []string{name}}, Op: model.OpEq, Value: value}
		}
		exact, inexact := by("displayName", "g"), model.And{Terms: []model.Filter{by("displayName", "g"), by("nickName", "g")}}
		limit := time.Minute
		asked := 0
		broken := errors.New("broken")
		ask := func(f model.Filter, err error) (int, error) {
			short, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			page, err := h.store.Query(short, model.Query{Source: "entra", Kind: model.KindGroup, Filter: f, Limit: 10,
				Match: func(*model.Record) bool { return asked > 0 }, Ready: func(context.Context) error { asked++; return err }})
			return page.Total, err
		}
		for _, tt := range []struct {
			name         string
			filter       model.Filter
			taken        bool
			fault, err   error
			total, asked int
		}{
			{"not exact", inexact, false, nil, nil, 1, 1},
			{"exact", exact, false, broken, nil, 1, 0},
			{"cannot get ready", inexact, false, broken, broken, 0, 1},
			{"exact, no turn", exact, true, broken, nil, 1, 0},
			{"not exact, no turn", inexact, true, nil, context.DeadlineExceeded, 0, 0},
		} {
			if tt.taken && len(h.store.searches) == 0 {
				for range cap(h.store.searches) {
					h.store.searches <- struct{}{}
				}
			}
			limit = time.Minute
			if errors.Is(tt.err, context.DeadlineExceeded) {
				limit = time.Second
			}
			asked = 0
			total, err := ask(tt.filter, tt.fault)
			if total != tt.total || !errors.Is(err, tt.err) || asked != tt.asked {
				t.Errorf("%s: %d, %v, asked %d times", tt.name, total, err, asked)
			}
		}
	})
}
