package store

import (
	"cmp"
	"context"
	"slices"

	"jmld/jml"
	"jmld/model"
)

const (
	nameOwners = "SELECT n.target, n.name, n.identity_id FROM pairs($1, $2) JOIN EACH account_names n ON (n.target = p.a AND n.name = p.b)"

	// Names go with the account.
	moveNames = "UPDATE account_names SET identity_id = $2 WHERE identity_id = $1 AND target = $3"

	// lower() knows the letters of ASCII, in both databases.
	noteNames = "INSERT INTO account_names (target, name, identity_id, given_at) " +
		"SELECT target, lower(user_name), identity_id, now() FROM accounts WHERE target IN list($1) AND user_name <> '' " +
		"ORDER BY target, lower(user_name), created_at ON CONFLICT (target, name) DO NOTHING"
)

// insertNames has no ON CONFLICT: whoever comes second is refused.
func insertNames() insert {
	return insert{into: "account_names (target, name, identity_id, given_at)", tuple: tuple(4), types: "tttz"}
}

// nameOps: two that want the same names meet in the same order. One waits, none is a deadlock.
func (s *Store) nameOps(ops []op, names []model.AccountName) []op {
	names = slices.Clone(names)
	slices.SortFunc(names, func(a, b model.AccountName) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Name, b.Name))
	})
	return append(ops, s.rows(insertNames(), len(names), func(i int, to []any) []any {
		n := &names[i]
		return append(to, n.Target, cut(n.Name, maxKey), n.IdentityID, stamp(n.GivenAt))
	})...)
}

// NameOwners says whose user names are; names that nobody has are left out.
func (s *Store) NameOwners(ctx context.Context, names []jml.NameKey) (map[jml.NameKey]string, error) {
	ps := make([][2]string, len(names))
	for i, n := range names {
		ps[i] = [2]string{n.Target, cut(n.Name, maxKey)}
	}
	a, b := s.pairs(ps)
	found := map[jml.NameKey]string{}
	err := s.read(ctx, op{text: s.sql(nameOwners), args: []any{a, b}, each: func(row scanner) error {
		var key jml.NameKey
		var owner string
		err := row.Scan(&key.Target, &key.Name, &owner)
		found[key] = owner
		return err
	}})
	return found, err
}

// NoteNames gives the accounts of the targets the names they have, where nobody was given them.
func (s *Store) NoteNames(ctx context.Context, targets []string) error {
	return s.write(ctx, op{text: s.sql(noteNames), args: []any{s.list(targets)}})
}
