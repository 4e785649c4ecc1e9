package store

import (
	"context"
	"time"
)

// Acquire takes or renews the lease; ok is false while another owner has it. The fence grows with each new owner, and
// never shrinks: the row stays when a lease is released.
func (s *Store) Acquire(ctx context.Context, name, owner string, ttl time.Duration) (fence int64, ok bool, err error) {
	const text = "INSERT INTO leases (name, owner, fence, until) VALUES ($1, $2, 1, after($3)) ON CONFLICT (name) DO UPDATE SET " +
		"fence = CASE WHEN leases.owner = excluded.owner THEN leases.fence ELSE leases.fence + 1 END, " +
		"owner = excluded.owner, until = excluded.until " +
		"WHERE leases.owner = excluded.owner OR leases.until <= now() RETURNING fence"
	err = s.write(ctx, op{text: s.sql(text), args: []any{name, owner, ttl.Microseconds()}, each: func(row scanner) error {
		ok = true
		return row.Scan(&fence)
	}})
	return fence, ok && err == nil, err
}

// Release ends the lease, if it is the owner's.
func (s *Store) Release(ctx context.Context, name, owner string) error {
	const text = "UPDATE leases SET owner = '', until = now() WHERE name = $1 AND owner = $2"
	return s.write(ctx, op{text: s.sql(text), args: []any{name, owner}})
}

// Leased says whether somebody has the lease, or one of those below it.
func (s *Store) Leased(ctx context.Context, name string) (leased bool, err error) {
	const text = "SELECT 1 FROM leases WHERE (name = $1 OR name > $2 AND name < $3) AND owner <> '' AND until > now() LIMIT 1"
	err = s.read(ctx, op{text: s.sql(text), args: []any{name, name + ":", name + ";"}, each: func(row scanner) error {
		leased = true
		return row.Scan(new(int))
	}})
	return leased, err
}

// ForgetLeases deletes those below the name that ended before the time.
func (s *Store) ForgetLeases(ctx context.Context, name string, ended time.Time) error {
	const text = "DELETE FROM leases WHERE name > $1 AND name < $2 AND until < $3"
	return s.write(ctx, op{text: s.sql(text), args: []any{name + ":", name + ";", stamp(ended)}})
}

// Now is the database's clock.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	text := "SELECT now()"
	var now time.Time
	err := s.read(ctx, op{text: s.sql(text), each: func(row scanner) error {
		if !s.lite {
			return row.Scan(&now)
		}
		var micros int64
		err := row.Scan(&micros)
		now = time.UnixMicro(micros)
		return err
	}})
	return now.UTC(), err
}
