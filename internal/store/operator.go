package store

import (
	"context"
	"strings"
	"time"

	"gorm.io/gorm"

	"jmld/model"
)

// page limits a list; limit 0 does not.
func page(db *gorm.DB, limit, offset int) *gorm.DB {
	if limit > 0 {
		db = db.Limit(limit)
	}
	if offset > 0 {
		db = db.Offset(offset)
		if limit <= 0 {
			db = db.Limit(1<<31 - 1) // SQLite wants a limit with an offset
		}
	}
	return db
}

func stampPtr(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	c := stamp(*t)
	return &c
}

// Identity is one person, or ErrNotFound.
func (s *Store) Identity(ctx context.Context, id string) (model.Identity, error) {
	const text = "SELECT " + identityColumns + " FROM identities WHERE id = $1"
	var found []model.Identity
	err := s.read(ctx, op{text: s.sql(text), args: []any{id}, each: func(row scanner) error {
		var i model.Identity
		err := scanIdentity(row, &i)
		found = append(found, i)
		return err
	}})
	return first(found, err)
}

// People lists identities by display name (without case) and id. Search finds a part of the name, user name or e-mail
// address, or all of one with Whole, or exactly an identity id, a record id or the value of a correlation key. Identities that were merged into another one
// are found by their id only.
func (s *Store) People(ctx context.Context, q model.PeopleQuery) ([]model.Identity, error) {
	var people []model.Identity
	err := s.view(ctx, func(db *gorm.DB) error {
		db = s.searched(db, "identities", q.Search, q.Whole).
			Where("identities.id = ? OR NOT EXISTS (SELECT 1 FROM merges m WHERE m.identity_id = identities.id)", strings.TrimSpace(q.Search))
		if q.Lifecycle != "" {
			db = db.Where("lifecycle = ?", q.Lifecycle)
		}
		if q.External {
			db = db.Where("external")
		}
		if q.Organisation != "" {
			db = db.Where("organisation = ?", q.Organisation)
		}
		if q.DueBy != nil {
			db = db.Where("review_at < ?", stamp(*q.DueBy))
		}
		return page(db, q.Limit, q.Offset).Order("search_key, id").Find(&people).Error
	})
	return people, err
}

// Organisations counts the people of each, by name.
func (s *Store) Organisations(ctx context.Context) ([]model.OrganisationTally, error) {
	const text = "SELECT organisation, external, lifecycle, count(*), " +
		"count(CASE WHEN EXISTS (SELECT 1 FROM accounts a WHERE a.identity_id = identities.id AND a.state = 'active') THEN 1 END) " +
		"FROM identities WHERE NOT EXISTS (SELECT 1 FROM merges m WHERE m.identity_id = identities.id) " +
		"GROUP BY organisation, external, lifecycle ORDER BY organisation, external, lifecycle"
	var list []model.OrganisationTally
	err := s.survey(ctx, op{text: s.sql(text), each: func(row scanner) error {
		var t model.OrganisationTally
		var phase model.Lifecycle
		var n, with int
		if err := row.Scan(&t.Organisation, &t.External, (*string)(&phase), &n, &with); err != nil {
			return err
		}
		if last := len(list) - 1; last < 0 || list[last].Organisation != t.Organisation || list[last].External != t.External {
			t.People = map[model.Lifecycle]int{}
			list = append(list, t)
		}
		last := &list[len(list)-1]
		last.People[phase] = n
		last.WithAccounts += with
		return nil
	}})
	return list, err
}

// searched adds the condition of a search for people. Exact finds come from indexes and are looked up first: only when
// there are none is every name looked at.
func (s *Store) searched(db *gorm.DB, table, search string, whole bool) *gorm.DB {
	search = strings.TrimSpace(search)
	if search == "" {
		return db
	}
	key, subject := model.FoldKey(search), table+".search_key"
	part := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(key) + "%"
	if whole { // a line of them
		const line = "\n"
		subject, part = "'"+line+"' || "+subject+" || '"+line+"'", "%"+line+part[1:len(part)-1]+line+"%"
	}
	return db.Where(subject+` LIKE ? ESCAPE '\' OR `+table+".id IN (SELECT CAST(? AS text) "+
		"UNION SELECT identity_id FROM records WHERE identity_id <> '' AND id IN (?) "+
		"UNION SELECT identity_id FROM identity_keys WHERE value IN (?))",
		part, search, []string{search, key}, []string{search, key})
}

// Accounts lists accounts by user name, identity and target.
func (s *Store) Accounts(ctx context.Context, q model.AccountQuery) ([]model.Account, error) {
	var accounts []model.Account
	order := "accounts.user_name, accounts.identity_id, accounts.target"
	if q.ByIdentity {
		order = "accounts.identity_id, accounts.target"
	}
	err := s.view(ctx, func(db *gorm.DB) error {
		db = s.accounts(db, q)
		if q.ByIdentity && q.After != "" {
			db = db.Where("accounts.identity_id > ?", q.After)
		}
		return page(db, q.Limit, q.Offset).Select("accounts.*").Order(order).Find(&accounts).Error
	})
	return accounts, err
}

// accounts selects what q says, but for Offset and Limit.
func (s *Store) accounts(db *gorm.DB, q model.AccountQuery) *gorm.DB {
	db = db.Model(&model.Account{})
	for _, c := range []struct{ column, value string }{
		{"identity_id", q.IdentityID}, {"target", q.Target}, {"class", string(q.Class)}, {"state", string(q.State)},
		{"error_code", string(q.Code)},
	} {
		if c.value != "" {
			db = db.Where("accounts."+c.column+" = ?", c.value)
		}
	}
	if q.Code != "" {
		db = db.Where("accounts.error_code <> ''")
	}
	if q.Dead {
		db = db.Where("accounts.dead")
	}
	if q.Privileged {
		db = db.Where("accounts.administrator OR accounts.protected_by <> '' OR accounts.origin = ?", model.OriginProtected)
	}
	if q.Unsettled {
		db = db.Where("accounts.due_at IS NOT NULL OR accounts.dead")
	}
	if q.Search != "" {
		db = s.searched(db.Joins("JOIN identities ON identities.id = accounts.identity_id"), "identities", q.Search, false)
	}
	return db
}

// Problems are the causes that keep accounts from being settled, the most frequent first.
func (s *Store) Problems(ctx context.Context) ([]model.Problem, error) {
	const text = "SELECT target, error_code, dead, max(error_text), count(*), min(updated_at) FROM accounts " +
		"WHERE error_code <> '' GROUP BY target, error_code, dead ORDER BY count(*) DESC, target, error_code, dead"
	var problems []model.Problem
	err := s.survey(ctx, op{text: s.sql(text), each: func(row scanner) error {
		var p model.Problem
		err := row.Scan(&p.Target, (*string)(&p.Code), &p.Dead, &p.Text, &p.Count, s.timeDest(&p.Oldest))
		problems = append(problems, p)
		return err
	}})
	return problems, err
}

// Tally counts everything for the overview.
func (s *Store) Tally(ctx context.Context) (model.Tally, error) {
	const accounts = "SELECT target, class, count(CASE WHEN state = 'active' THEN 1 END), " +
		"count(CASE WHEN state = 'inactive' THEN 1 END), " +
		"count(CASE WHEN applied_rev = desired_rev AND due_at IS NULL AND NOT dead THEN 1 END), " +
		"count(CASE WHEN due_at IS NOT NULL AND attempts = 0 THEN 1 END), " +
		"count(CASE WHEN due_at IS NOT NULL AND attempts > 0 THEN 1 END), " +
		"count(CASE WHEN dead THEN 1 END), count(CASE WHEN held_plan <> '' OR held_attrs <> '' THEN 1 END) " +
		"FROM accounts GROUP BY target, class ORDER BY target, class"
	const groups = "SELECT (SELECT count(*) FROM access_groups), (SELECT count(*) FROM access_resources WHERE place LIKE 'app:%'), " +
		"(SELECT count(DISTINCT place) FROM access_links WHERE place LIKE 'app:%'), (SELECT count(*) FROM access_resources WHERE place LIKE 'namespace:%'), " +
		"(SELECT count(DISTINCT place) FROM access_links WHERE place LIKE 'namespace:%'), " +
		"(SELECT count(*) FROM (SELECT DISTINCT place, person FROM access_members WHERE place LIKE 'group:%' AND place <> 'group:root' AND ended_at IS NULL) AS m)"
	t := model.Tally{Identities: map[model.Lifecycle]int{}}
	err := s.survey(ctx,
		op{text: s.sql("SELECT lifecycle, count(*) FROM identities GROUP BY lifecycle"), each: func(row scanner) error {
			var phase string
			var n int
			err := row.Scan(&phase, &n)
			t.Identities[model.Lifecycle(phase)] = n
			return err
		}},
		op{text: s.sql(accounts), each: func(row scanner) error {
			var a model.AccountTally
			err := row.Scan(&a.Target, (*string)(&a.Class), &a.Active, &a.Inactive, &a.Settled, &a.Due, &a.Retrying, &a.Dead, &a.Held)
			t.Accounts = append(t.Accounts, a)
			return err
		}},
		op{text: s.sql("SELECT count(*) FROM records WHERE link = 'disputed'"), each: func(row scanner) error { return row.Scan(&t.Disputed) }},
		op{text: s.sql("SELECT count(*) FROM changes WHERE state = 'held'"), each: func(row scanner) error { return row.Scan(&t.Held) }},
		op{text: s.sql(groups), each: func(row scanner) error {
			g := &t.Access
			return row.Scan(&g.Groups, &g.Apps, &g.OwnedApps, &g.Namespaces, &g.AssignedNamespaces, &g.Memberships)
		}},
	)
	return t, err
}

// timeDest scans a computed time: SQLite knows that a column is a time, but not an expression.
func (s *Store) timeDest(t *time.Time) any {
	if s.lite {
		return &microTime{t}
	}
	return t
}

type microTime struct{ t *time.Time }

// Scan is for database/sql.
func (m *microTime) Scan(v any) error {
	switch v := v.(type) {
	case int64:
		*m.t = time.UnixMicro(v).UTC()
	case time.Time:
		*m.t = v.UTC()
	}
	return nil
}

// AddAudit appends entries that belong to no commit.
func (s *Store) AddAudit(ctx context.Context, entries ...model.AuditEntry) error {
	if len(entries) == 0 {
		return nil
	}
	return s.write(ctx, s.rows(insertAudit(), len(entries), func(i int, to []any) []any { return auditArgs(&entries[i], to) })...)
}

// AuditList lists entries, newest first, about one subject or about all ("").
func (s *Store) AuditList(ctx context.Context, subject string, limit int) ([]model.AuditEntry, error) {
	var entries []model.AuditEntry
	err := s.view(ctx, func(db *gorm.DB) error {
		if subject != "" {
			db = db.Where("subject = ?", subject)
		}
		return page(db, limit, 0).Order("id DESC").Find(&entries).Error
	})
	return entries, err
}
