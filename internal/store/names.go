package store

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
	"unicode"

	"jmld/jml"
	"jmld/model"
)

const (
	nameOwners = "SELECT n.target, n.name, n.identity_id FROM pairs($1, $2) JOIN EACH account_names n ON (n.target = p.a AND n.name = p.b)"

	moveName = "UPDATE account_names SET identity_id = $2 WHERE identity_id = $1 AND target = $3 AND name = $4"

	namesOf = "SELECT target, name, identity_id, given_at FROM account_names WHERE identity_id IN (SELECT p.a FROM items($1)) ORDER BY target, name"

	// noting is a page of accounts in the order of their key, in whatever target: so it is read from the index. Of each, whether its person was
	// given the name: lower() knows the letters of ASCII, in both databases; of others it may say no though it is noted.
	noting = "SELECT a.identity_id, a.target, a.user_name, a.state, (SELECT n.identity_id FROM account_names n WHERE n.target = a.target AND n.name = lower(a.user_name)) " +
		"FROM accounts a WHERE (a.identity_id, a.target) > ($1::text, $2::text) ORDER BY a.identity_id, a.target LIMIT 1000"

	// notePage is how many are looked at at a time: nobody who writes waits for all of them, and no statement takes long.
	notePage = 1000 // as noting has it
)

// insertNames has no ON CONFLICT: whoever comes second is refused.
func insertNames() insert {
	return insert{into: "account_names (target, name, identity_id, given_at)", tuple: tuple(4), types: "tttz"}
}

// insertNoted leaves a name to whom it was given; insertTaken only while an account of theirs has it that is not gone: as long as the rule was not in
// force that gave it, others may have got it in the target.
func insertNoted() insert {
	noted := insertNames()
	noted.tail = "ON CONFLICT (target, name) DO NOTHING"
	return noted
}

func insertTaken() insert {
	taken := insertNames()
	taken.tail = "ON CONFLICT (target, name) DO UPDATE SET identity_id = excluded.identity_id, given_at = excluded.given_at " +
		"WHERE NOT EXISTS (SELECT 1 FROM accounts a WHERE a.identity_id = account_names.identity_id AND a.target = account_names.target " +
		"AND lower(a.user_name) = account_names.name AND a.state <> 'absent')"
	return taken
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

func ascii(name string) bool {
	return strings.IndexFunc(name, func(r rune) bool { return r > unicode.MaxASCII }) < 0
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

// Names are those that the identities were given, ordered by target and name.
func (s *Store) Names(ctx context.Context, identities []string) ([]model.AccountName, error) {
	var found []model.AccountName
	err := s.read(ctx, op{text: s.sql(namesOf), args: []any{s.list(identities)}, each: func(row scanner) error {
		var n model.AccountName
		err := row.Scan(&n.Target, &n.Name, &n.IdentityID, &n.GivenAt)
		found = append(found, n)
		return err
	}})
	return found, err
}

// NoteNames gives the accounts of the targets the names they have, where nobody was given them, or who was given them has another by now. Of
// several with one name, whose person was known first has it.
func (s *Store) NoteNames(ctx context.Context, targets []string) error {
	var last [2]string
	for {
		var noted, taken []model.AccountName
		seen := map[jml.NameKey]bool{}
		n, now := 0, time.Now()
		err := s.read(ctx, op{text: s.sql(noting), args: []any{last[0], last[1]}, each: func(row scanner) error {
			var name, state string
			var owner *string
			err := row.Scan(&last[0], &last[1], &name, &state, &owner)
			if n++; name == "" || !slices.Contains(targets, last[1]) || owner != nil && *owner == last[0] {
				return err
			}
			there := model.AccountState(state) == model.AccountActive || model.AccountState(state) == model.AccountInactive
			given := model.AccountName{Target: last[1], Name: jml.KeyOfName(last[1], name).Name, IdentityID: last[0], GivenAt: now}
			switch key := (jml.NameKey{Target: given.Target, Name: given.Name}); {
			case !there, !ascii(given.Name): // of a name in other letters nothing here knows who has it
				noted = append(noted, given)
			case !seen[key]:
				seen[key], taken = true, append(taken, given)
			}
			return err
		}})
		if err != nil {
			return err
		}
		for _, page := range []struct {
			into  insert
			names []model.AccountName
		}{{insertTaken(), taken}, {insertNoted(), noted}} {
			if len(page.names) == 0 {
				continue
			}
			if err := s.write(ctx, s.nameOps(nil, page.into, page.names)...); err != nil {
				return err
			}
		}
		if n < notePage {
			return nil
		}
	}
}
