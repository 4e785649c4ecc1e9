package store

import (
	"context"

	"gorm.io/gorm"

	"jmld/jml/engine"
	"jmld/model"
)

const (
	rulingColumns = "source, record_id, kind, identity_id, keys, actor, reason, at"

	dropRuling = "DELETE FROM rulings WHERE source = $1 AND record_id = $2"
	// What was decided about records that are gone at the moment follows the person.
	pointRulings = "UPDATE rulings SET identity_id = $2 WHERE identity_id = $1 AND identity_id <> ''"

	dropWaits = "DELETE FROM waits WHERE source = $1 AND record_id = $2"
	dropMerge = "DELETE FROM merges WHERE identity_id = $1 AND into_id = $2"

	// One that is gone, or waits for approval, or did, and was never there, makes room for another.
	dropVacant = "DELETE FROM accounts WHERE identity_id = $1 AND target = $2 AND (state = 'absent' AND applied_state = 'absent' " +
		"AND held_plan = '' AND held_attrs = '' OR state = '' AND epoch = 0)"

	// The account is another person's from now on. A worker that has it in hand would write what it found under the old name: while
	// its lease lasts, the account stays.
	moveAccount = "UPDATE accounts SET identity_id = $2, held_plan = '', held_attrs = '', desired_rev = desired_rev + 1, due_at = now(), lease_owner = '', " +
		"epoch = epoch + 1, attempts = 0, error_code = '', error_text = '', dead = false, updated_at = now() " +
		"WHERE identity_id = $1 AND target = $3 AND (lease_owner = '' OR due_at IS NULL OR due_at <= now())"

	// A record waits until a key of its is somebody else's, or the one who has them changed.
	dueWaits = "SELECT DISTINCT w.source, w.record_id FROM waits w " +
		"JOIN records r ON r.source = w.source AND r.id = w.record_id AND r.link IN ('disputed', 'unmatched') " +
		"LEFT JOIN identity_keys k ON k.name = w.name AND k.value = w.value " +
		"LEFT JOIN identities i ON i.id = k.identity_id " +
		"WHERE coalesce(k.identity_id, '') <> w.identity_id OR w.version > 0 AND i.version <> w.version " +
		"ORDER BY w.source, w.record_id LIMIT $1"
)

func upsertRulings() insert {
	return insert{into: "rulings (" + rulingColumns + ")", tuple: tuple(8), tail: "ON CONFLICT (source, record_id) DO UPDATE SET " +
		"kind = excluded.kind, identity_id = excluded.identity_id, keys = excluded.keys, actor = excluded.actor, " +
		"reason = excluded.reason, at = excluded.at"}
}

func insertMerges() insert {
	return insert{into: "merges (identity_id, into_id, records, keys, accounts, access, requests, names, actor, reason, at)", tuple: tuple(11)}
}

func upsertWaits() insert {
	return insert{into: "waits (source, record_id, name, value, identity_id, version)", tuple: tuple(6),
		tail: "ON CONFLICT (source, record_id, name, value) DO UPDATE SET identity_id = excluded.identity_id, version = excluded.version"}
}

// correlationOps are what a person decided about whom records are. Accounts move before what is decided about them.
func (s *Store) correlationOps(ops []op, c *engine.Commit) []op {
	for _, ref := range c.DropRulings {
		ops = append(ops, op{text: s.sql(dropRuling), args: []any{ref.Source, ref.ID}})
	}
	for _, m := range c.Unmerge {
		ops = append(ops, op{text: s.must(dropMerge), must: true, args: []any{m.IdentityID, m.IntoID}})
	}
	for _, b := range c.RequestsBack {
		ops = append(ops, op{text: s.sql(reopenRequests), args: []any{b.To, s.list(b.Dropped)}},
			op{text: s.sql(returnRequests), args: []any{b.From, b.To, s.list(b.Moved)}}, op{text: s.sql(returnRequesters), args: []any{b.From, b.To, s.list(b.Asked)}})
	}
	ops = s.seenOps(ops, c)
	for i := range c.Merges {
		m := &c.Merges[i]
		for _, text := range []string{pointRulings, dropRequests, moveRequests, moveRequesters} {
			ops = append(ops, op{text: s.sql(text), args: []any{m.IdentityID, m.IntoID}})
		}
	}
	ops = append(ops, s.rows(insertMerges(), len(c.Merges), func(i int, to []any) []any {
		m := &c.Merges[i]
		return append(to, m.IdentityID, m.IntoID, m.Records, m.Keys, m.Accounts, m.Access, m.Requests, m.Names, m.Actor, m.Reason, stamp(m.At))
	})...)
	ops = append(ops, s.rows(upsertRulings(), len(c.Rulings), func(i int, to []any) []any {
		r := &c.Rulings[i]
		return append(to, r.Source, r.RecordID, string(r.Kind), r.IdentityID, r.Keys, r.Actor, r.Reason, stamp(r.At))
	})...)
	for _, m := range c.MoveAccounts {
		ops = append(ops, op{text: s.sql(dropVacant), args: []any{m.To, m.Target}})
		ops = append(ops, op{text: s.must(moveAccount), must: true, args: []any{m.From, m.To, m.Target}})
		ops = append(ops, op{text: s.sql(dropTasks), args: []any{m.To, m.Target}}, op{text: s.sql(moveTasks), args: []any{m.From, m.To, m.Target}})
	}
	for _, m := range c.MoveNames {
		ops = append(ops, op{text: s.sql(moveName), args: []any{m.IdentityID, m.To, m.Target, m.Name}})
	}
	var waits []model.Wait
	for _, w := range c.Waits {
		ops = append(ops, op{text: s.sql(dropWaits), args: []any{w.Source, w.ID}})
		for _, k := range w.Keys {
			if usable(model.Key{Name: k.Name, Value: k.Value}) {
				waits = append(waits, k)
			}
		}
	}
	return append(ops, s.rows(upsertWaits(), len(waits), func(i int, to []any) []any {
		w := &waits[i]
		return append(to, w.Source, w.RecordID, w.Name, w.Value, w.IdentityID, w.Version)
	})...)
}

// Rulings are what people decided about the records, in no order.
func (s *Store) Rulings(ctx context.Context, refs []engine.RecordRef) ([]model.Ruling, error) {
	const text = "SELECT " + rulingColumns + " FROM pairs($1, $2) JOIN EACH rulings r ON (r.source = p.a AND r.record_id = p.b)"
	ps := make([][2]string, len(refs))
	for i, r := range refs {
		ps[i] = [2]string{r.Source, r.ID}
	}
	a, b := s.pairs(ps)
	var found []model.Ruling
	err := s.read(ctx, op{text: s.sql(text), args: []any{a, b}, each: func(row scanner) error {
		var r model.Ruling
		err := row.Scan(&r.Source, &r.RecordID, (*string)(&r.Kind), &r.IdentityID, &r.Keys, &r.Actor, &r.Reason, &r.At)
		found = append(found, r)
		return err
	}})
	return found, err
}

// Unlinked lists user records with one of the outcomes, ordered by outcome, source and id, after the record given (zero: from the
// beginning).
func (s *Store) Unlinked(ctx context.Context, link model.Link, after engine.RecordRef, limit int) ([]model.Record, error) {
	var found []model.Record
	err := s.view(ctx, func(db *gorm.DB) error {
		db = db.Where("link = ? AND link IN ('disputed', 'unmatched', 'ignored')", link) // the latter for the partial index
		if after != (engine.RecordRef{}) {
			db = db.Where("source > ? OR source = ? AND id > ?", after.Source, after.Source, after.ID)
		}
		return db.Order("source, id").Limit(limit).Find(&found).Error
	})
	return found, err
}

// DueWaits are records that are nobody's and may be somebody's now.
func (s *Store) DueWaits(ctx context.Context, limit int) ([]engine.RecordRef, error) {
	var due []engine.RecordRef
	err := s.survey(ctx, op{text: s.sql(dueWaits), args: []any{limit}, each: func(row scanner) error {
		var ref engine.RecordRef
		err := row.Scan(&ref.Source, &ref.ID)
		due = append(due, ref)
		return err
	}})
	return due, err
}

// Merges are those of the identity: the one that ended it, and those that ended in it, the newest first.
func (s *Store) Merges(ctx context.Context, identity string) ([]model.Merge, error) {
	var found []model.Merge
	err := s.view(ctx, func(db *gorm.DB) error {
		return db.Where("identity_id = ? OR into_id = ?", identity, identity).Order("at DESC, identity_id").Find(&found).Error
	})
	return found, err
}

// MergedInto follows the merges of an identity to the one that is left, itself when there are none.
func (s *Store) MergedInto(ctx context.Context, identity string) (string, error) {
	const most = 20 // of a chain: a split of one in the middle would cut it anyway
	for range most {
		merges, err := s.Merges(ctx, identity)
		if err != nil {
			return "", err
		}
		next := ""
		for _, m := range merges {
			if m.IdentityID == identity {
				next = m.IntoID
			}
		}
		if next == "" {
			return identity, nil
		}
		identity = next
	}
	return identity, nil
}
