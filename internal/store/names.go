package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"jmld/jml"
	"jmld/model"
)

const (
	nameOwners = "SELECT n.target, n.name, n.identity_id FROM pairs($1, $2) JOIN EACH account_names n ON (n.target = p.a AND n.name = p.b)"

	// Names go with the account.
	moveNames = "UPDATE account_names SET identity_id = $2 WHERE identity_id = $1 AND target = $3"

	// noting is a page of accounts in the order of their key, in whatever target: so it is read from the index. Of each, whether somebody was given
	// the name: lower() knows the letters of ASCII, in both databases; of others it may say no though it is noted.
	noting = "SELECT a.identity_id, a.target, a.user_name, (SELECT n.name FROM account_names n WHERE n.target = a.target AND n.name = lower(a.user_name)) IS NOT NULL " +
		"FROM accounts a WHERE (a.identity_id, a.target) > ($1::text, $2::text) ORDER BY a.identity_id, a.target LIMIT 1000"

	// notePage is how many are looked at at a time: nobody who writes waits for all of them, and no statement takes long.
	notePage = 1000 // as noting has it
)

// insertNames has no ON CONFLICT: whoever comes second is refused.
func insertNames() insert {
	return insert{into: "account_names (target, name, identity_id, given_at)", tuple: tuple(4), types: "tttz"}
}

func insertNoted() insert {
	noted := insertNames()
	noted.tail = "ON CONFLICT (target, name) DO NOTHING"
	return noted
}

// nameOps stores names. Two that want the same ones meet in the same order: one waits, none is a deadlock.
func (s *Store) nameOps(ops []op, into insert, names []model.AccountName) []op {
	names = slices.Clone(names)
	slices.SortFunc(names, func(a, b model.AccountName) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Name, b.Name))
	})
	return append(ops, s.rows(into, len(names), func(i int, to []any) []any {
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

// NoteNames gives the accounts of the targets the names they have, where nobody was given them. Of several with one name, whose person was
// known first has it.
func (s *Store) NoteNames(ctx context.Context, targets []string) error {
	var last [2]string
	for {
		var page []model.AccountName
		n, now := 0, time.Now()
		err := s.read(ctx, op{text: s.sql(noting), args: []any{last[0], last[1]}, each: func(row scanner) error {
			var name string
			var noted bool
			err := row.Scan(&last[0], &last[1], &name, &noted)
			if n++; !noted && name != "" && slices.Contains(targets, last[1]) {
				page = append(page, model.AccountName{Target: last[1], Name: jml.KeyOfName(last[1], name).Name, IdentityID: last[0], GivenAt: now})
			}
			return err
		}})
		if err != nil {
			return err
		}
		if len(page) > 0 {
			if err := s.write(ctx, s.nameOps(nil, insertNoted(), page)...); err != nil {
				return err
			}
		}
		if n < notePage {
			return nil
		}
	}
}
