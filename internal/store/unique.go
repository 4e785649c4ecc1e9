package store

import "context"

// KeepUnique forgets the unique values of attributes that are not declared so any more: nobody keeps them up to date, and one
// that is declared again begins anew.
func (s *Store) KeepUnique(ctx context.Context, attrs []string) error {
	const text = "DELETE FROM record_keys WHERE NOT (attr IN list($1))"
	return s.write(ctx, op{text: s.sql(text), args: []any{s.list(attrs)}})
}
