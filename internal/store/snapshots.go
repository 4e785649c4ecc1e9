package store

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"gorm.io/gorm"

	"jmld/model"
)

// Hashes streams id, kind and hash of every record of the source, in no order. Both are valid during the call only.
func (s *Store) Hashes(ctx context.Context, source string, yield func(id []byte, kind model.Kind, hash []byte) error) error {
	if s.lite {
		return s.liteHashes(ctx, source, yield)
	}
	const query = "SELECT id, kind = 'group', hash FROM records WHERE source = $1"
	var group bool
	var id, hash pgtype.DriverBytes // pgx does not copy them
	into := []any{&id, &group, &hash}
	return s.stream(ctx, op{text: s.sql(query), args: []any{source}, each: func(row scanner) error {
		if err := row.Scan(into...); err != nil {
			return err
		}
		return yield(id, recordKind(group), hash)
	}})
}

// manyHashes is a page of records in one text: of each the kind, the hash as it is, and the id, with a zero byte between one and the next,
// which no id has. Where the hash has not its usual length, that comes first.
const manyHashes = "SELECT count(*), CAST(group_concat(text, x'00') AS blob) FROM (SELECT CASE octet_length(hash) WHEN 16 THEN kind " +
	"ELSE octet_length(hash) || ' ' || kind END || hash || id AS text FROM records WHERE source = $1 AND id >= $2 ORDER BY id LIMIT $3 OFFSET $4)"

// liteHashes is Hashes of SQLite, where a row costs more than what is in it.
func (s *Store) liteHashes(ctx context.Context, source string, yield func(id []byte, kind model.Kind, hash []byte) error) error {
	const page = 500 // in about 30 KiB
	count, last, skip := page, []byte{}, 0
	next := func() []any { // from the last one on, which is skipped
		if count < page {
			return nil
		}
		args := []any{source, string(last), page, skip}
		last, skip = last[:0], 1
		return args
	}
	var text sql.RawBytes // database/sql does not copy it
	each := func(row scanner) error {
		if err := row.Scan(&count, &text); err != nil {
			return err
		}
		n := 0
		for rest := []byte(text); len(rest) > 0; n++ {
			id, kind, hash, more, ok := cutHash(rest)
			if !ok {
				n = -1
				break
			}
			if err := yield(id, kind, hash); err != nil {
				return err
			}
			if bytes.Compare(id, last) >= 0 {
				last = append(last[:0], id...)
			}
			rest = more
		}
		if n != count {
			return fmt.Errorf("hashes of source %s: the database answers with %d bytes that are no list of %d", source, len(text), count)
		}
		return nil
	}
	return s.stream(ctx, op{text: s.sql(manyHashes), late: next, more: true, each: each},
		op{text: "PRAGMA shrink_memory"}) // what it read is not needed again, and the run needs the memory
}

// cutHash takes one record off the text of manyHashes.
func cutHash(text []byte) (id []byte, kind model.Kind, hash, more []byte, ok bool) {
	size := 16
	if c := text[0]; '0' <= c && c <= '9' {
		digits, rest, _ := bytes.Cut(text, []byte(" "))
		n, err := strconv.Atoi(string(digits))
		if err != nil {
			return nil, "", nil, nil, false
		}
		size, text = n, rest
	}
	kind = model.KindUser
	rest, ok := bytes.CutPrefix(text, []byte(model.KindUser))
	if !ok {
		kind = model.KindGroup
		rest, ok = bytes.CutPrefix(text, []byte(model.KindGroup))
	}
	if !ok || size < 0 || size > len(rest) {
		return nil, "", nil, nil, false
	}
	id, more, _ = bytes.Cut(rest[size:], []byte{0})
	return id, kind, rest[:size:size], more, true
}

func recordKind(group bool) model.Kind {
	if group {
		return model.KindGroup
	}
	return model.KindUser
}

// AdoptRules notes the fingerprint of the rules in force. Of those who were decided about by others the first thousands become due for
// review in the same transaction; it returns how many. FollowRules makes the others due: in a company of a million one statement for all
// would take longer than any may.
func (s *Store) AdoptRules(ctx context.Context, fingerprint string) (int, error) {
	var marked []string
	ops := s.adoptOps(nil, fingerprint)
	ops[len(ops)-1].each = collect(&marked)
	err := s.write(ctx, ops...)
	return len(marked), err
}

// adoptOps does what AdoptRules does.
func (s *Store) adoptOps(ops []op, fingerprint string) []op {
	const adopt = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE settings.value <> excluded.value"
	return append(ops, op{text: s.sql(adopt), args: []any{settingRules, fingerprint}},
		op{text: s.sql(fmt.Sprintf(reviewOthers, "now()")), args: []any{fingerprint, s.mostMarked}, each: func(scanner) error { return nil }})
}

// FollowRules says whether the fingerprint is of the rules in force. Then whoever was decided about by others, and is not due by then
// anyway, becomes due for review, some thousands at a time.
func (s *Store) FollowRules(ctx context.Context, fingerprint string, by time.Time) (inForce bool, marked int, err error) {
	err = s.view(ctx, func(db *gorm.DB) error {
		var found int64
		var ids []string
		err := db.Table("settings").Where("name = ? AND value = ?", settingRules, fingerprint).Count(&found).Error
		if inForce = found > 0; err == nil && inForce {
			err = db.Model(&model.Identity{}).Where(decidedByOthers, fingerprint, fingerprint, stamp(by)).Limit(1).Pluck("id", &ids).Error
			marked = len(ids)
		}
		return err
	})
	if err != nil || marked == 0 { // as always: nothing to write
		return inForce, 0, err
	}
	var ids []string
	err = s.write(ctx, op{text: s.sql(fmt.Sprintf(reviewOthers, "$3")), args: []any{fingerprint, s.mostMarked, stamp(by)}, each: collect(&ids)})
	return inForce, len(ids), err
}

const (
	settingRules = "rules"
	// decidedByOthers is written for an index on rules.
	decidedByOthers = "(rules < ? OR rules > ?) AND (review_at IS NULL OR review_at > ?)"
	// reviewOthers: whoever is in somebody's hands is looked at the next time.
	reviewOthers = "WITH c AS MATERIALIZED (SELECT id AS iid FROM identities WHERE (rules < $1 OR rules > $1) AND (review_at IS NULL OR review_at > %s) " +
		"LIMIT $2 FOR UPDATE SKIP LOCKED) UPDATE identities SET version = version + 1, review_at = now() WHERE id IN (SELECT iid FROM c) RETURNING id"
	// mostMarked are marked in a few seconds, and reviewed in no less.
	mostMarked = 25_000
)

// DueReviews claims up to limit identities that are due for review by the database's clock and by the caller's: one that is behind would
// decide that nothing has happened yet, and be asked again at once. For the time of the lease nobody else gets them; after it they are
// due for anybody.
func (s *Store) DueReviews(ctx context.Context, by time.Time, lease time.Duration, limit int) ([]string, error) {
	const text = "WITH c AS MATERIALIZED (SELECT id AS iid FROM identities WHERE review_at <= now() AND review_at <= $3 ORDER BY review_at LIMIT $2 " +
		"FOR UPDATE SKIP LOCKED) UPDATE identities SET review_at = after($1), " +
		"review_run = CASE WHEN review_run = '" + model.ReviewCorrelation + "' THEN review_run ELSE '' END WHERE id IN (SELECT iid FROM c) RETURNING id"
	var ids []string
	err := s.write(ctx, op{text: s.sql(text), args: []any{lease.Microseconds(), limit, stamp(by)}, each: collect(&ids)})
	return ids, err
}

// ReviewsOf lists up to limit identities whose review a run of the job is to make, due or not, in the order of their ids, behind after.
func (s *Store) ReviewsOf(ctx context.Context, job, after string, limit int) ([]string, error) {
	const text = "SELECT id FROM identities WHERE review_run = $1 AND review_run <> '' AND id > $2 ORDER BY id LIMIT $3"
	var ids []string
	err := s.read(ctx, op{text: s.sql(text), args: []any{job, after, limit}, each: collect(&ids)})
	return ids, err
}

// collect appends the text in each row to ids.
func collect(ids *[]string) func(scanner) error {
	return func(row scanner) error {
		var id string
		err := row.Scan(&id)
		*ids = append(*ids, id)
		return err
	}
}
