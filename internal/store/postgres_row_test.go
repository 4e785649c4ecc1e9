package store

import (
	"context"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"jmld/internal/testserver"
)

func TestARowIsScannedAsPgxScansIt(t *testing.T) {
	t.Parallel()
	s := openHere(t, testserver.Postgres(t))
	pool := s.db.(*pgDB).pool
	type row struct {
		Text  string
		At    time.Time
		Maybe *time.Time
		Yes   bool
		Long  int64
		Short int
		Bytes []byte
		Float float64
		Null  *string
	}
	scan := func(r scanner) (got row, err error) {
		err = r.Scan(&got.Text, &got.At, &got.Maybe, &got.Yes, &got.Long, &got.Short, &got.Bytes, &got.Float, &got.Null)
		return got, err
	}
	const usual = "'Zoë'::text, '2026-02-28 23:59:59.123456+05'::timestamptz, '1999-12-31 23:59:59.999999Z'::timestamptz, true, -5::bigint, -7, '\\x00ff'::bytea, 1.5::float8, NULL::text"
	for _, text := range []string{
		usual,
		"'', '0044-03-15 BC'::timestamptz, NULL::timestamptz, false, 9223372036854775807, 0, ''::bytea, 0::float8, 'more'",
		"'x'::varchar, now(), now(), false, 4::int, 5::bigint, ''::bytea, 0::float8, 'more'",
		"'x', '-infinity'::timestamptz, now(), false, 4, 5, ''::bytea, 0::float8, 'more'",
		"'x', now(), 'infinity'::timestamptz, false, 4, 5, ''::bytea, 0::float8, 'more'",
		"NULL::text, now(), now(), false, 4, 5, ''::bytea, 0::float8, 'more'",
		"'x', now(), now(), NULL::bool, 4, 5, ''::bytea, 0::float8, 'more'",
		"'x', now(), now(), false, 4, 5, NULL::bytea, 0::float8, 'more'",
		"'x', now(), now(), false, 4, 'five', ''::bytea, 0::float8, 'more'",
		usual + ", 'one more'",
	} {
		var want, got row
		var wantErr, gotErr error
		err := pgx.BeginFunc(context.Background(), pool, func(tx pgx.Tx) error { // now() stands still
			look := func(each func(rows pgx.Rows)) error {
				rows, err := tx.Query(context.Background(), "SELECT "+text)
				if err != nil {
					return err
				}
				defer rows.Close()
				for rows.Next() {
					each(rows)
				}
				return nil
			}
			if err := look(func(rows pgx.Rows) { want, wantErr = scan(rows) }); err != nil {
				return err
			}
			return look(func(rows pgx.Rows) { got, gotErr = scan(pgRow{rows}) })
		})
		if err != nil {
			t.Fatal(err)
		}
		if wantErr != nil || gotErr != nil {
			if wantErr == nil || gotErr == nil || wantErr.Error() != gotErr.Error() {
				t.Errorf("%s: %v, not %v", text, gotErr, wantErr)
			}
			continue
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
		if got.At.Location() != time.UTC {
			t.Errorf("%s: %s", text, got.At)
		}
	}
}
