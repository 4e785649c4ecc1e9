package store

import (
	"context"
	"fmt"
	"time"

	"jmld/model"
)

// platform_users and app_users have one column more than the struct: user_name_key, which makes a user name unique.
const localColumns = "target, id, user_name, email, display_name, given_name, family_name, active, attributes, created_at, updated_at"

// localTable names the table of the class.
func localTable(class model.Class) (string, error) {
	switch class {
	case model.ClassPlatform:
		return "platform_users", nil
	case model.ClassApp:
		return "app_users", nil
	}
	return "", fmt.Errorf("%w: class %q has no table", model.ErrInvalid, class)
}

// PutLocal writes a row of platform_users or app_users. ErrConflict: another person of the target has the user name. Nothing is written, and UpdatedAt stays, when nothing differs;
// CreatedAt is that of the first write.
func (s *Store) PutLocal(ctx context.Context, class model.Class, row model.PlatformUser) error {
	table, err := localTable(class)
	if err != nil {
		return err
	}
	text := "INSERT INTO " + table + " (" + localColumns + ", user_name_key) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11) " +
		"ON CONFLICT (target, id) DO UPDATE SET user_name = excluded.user_name, user_name_key = excluded.user_name_key, email = excluded.email, " +
		"display_name = excluded.display_name, given_name = excluded.given_name, family_name = excluded.family_name, " +
		"active = excluded.active, attributes = excluded.attributes, updated_at = excluded.updated_at WHERE " +
		"(" + table + ".user_name, " + table + ".email, " + table + ".display_name, " + table + ".given_name, " + table + ".family_name, " +
		table + ".active, " + table + ".attributes) IS DISTINCT FROM (excluded.user_name, excluded.email, excluded.display_name, " +
		"excluded.given_name, excluded.family_name, excluded.active, excluded.attributes)"
	var at any = given(row.UpdatedAt)
	if s.lite {
		at = given(row.UpdatedAt).Format(liteTime)
	}
	return s.write(ctx, op{text: s.sql(text), args: []any{
		row.Target, row.ID, row.UserName, row.Email, row.DisplayName, row.GivenName, row.FamilyName, row.Active, row.Attributes, at,
		model.FoldKey(row.UserName),
	}})
}

// liteTime is how SQLite's own date functions, and people, read a time.
const liteTime = "2006-01-02 15:04:05.000000"

// GetLocal reads a row, or returns ErrNotFound.
func (s *Store) GetLocal(ctx context.Context, class model.Class, target, id string) (model.PlatformUser, error) {
	var found []model.PlatformUser
	err := s.locals(ctx, class, " AND id = $2", []any{target, id}, func(row model.PlatformUser) error {
		found = append(found, row)
		return nil
	})
	return first(found, err)
}

// EachLocal yields the rows of a target, ordered by id. It reads them in pages, so that yield may take its time.
func (s *Store) EachLocal(ctx context.Context, class model.Class, target string, yield func(model.PlatformUser) error) error {
	const size = 1000
	after := ""
	for {
		page := make([]model.PlatformUser, 0, size)
		err := s.locals(ctx, class, " AND id > $2 ORDER BY id LIMIT $3", []any{target, after, size}, func(row model.PlatformUser) error {
			page = append(page, row)
			return nil
		})
		if err != nil {
			return err
		}
		for _, row := range page {
			if err := yield(row); err != nil {
				return err
			}
		}
		if len(page) < size {
			return nil
		}
		after = page[size-1].ID
	}
}

// DeleteLocal removes a row; one that is not there is no error.
func (s *Store) DeleteLocal(ctx context.Context, class model.Class, target, id string) error {
	table, err := localTable(class)
	if err != nil {
		return err
	}
	return s.write(ctx, op{text: s.sql("DELETE FROM " + table + " WHERE target = $1 AND id = $2"), args: []any{target, id}})
}

func (s *Store) locals(ctx context.Context, class model.Class, rest string, args []any, yield func(model.PlatformUser) error) error {
	table, err := localTable(class)
	if err != nil {
		return err
	}
	text := "SELECT " + localColumns + " FROM " + table + " WHERE target = $1" + rest
	return s.read(ctx, op{text: s.sql(text), args: args, each: func(row scanner) error {
		var u model.PlatformUser
		created, updated := s.textTime(&u.CreatedAt), s.textTime(&u.UpdatedAt)
		if err := row.Scan(&u.Target, &u.ID, &u.UserName, &u.Email, &u.DisplayName, &u.GivenName, &u.FamilyName, &u.Active,
			&u.Attributes, created, updated); err != nil {
			return err
		}
		return yield(u)
	}})
}

// textTime scans a time that SQLite keeps as text.
func (s *Store) textTime(t *time.Time) any {
	if s.lite {
		return &writtenTime{t}
	}
	return t
}

type writtenTime struct{ t *time.Time }

// Scan is for database/sql.
func (w *writtenTime) Scan(v any) (err error) {
	switch v := v.(type) {
	case time.Time:
		*w.t = v.UTC()
	case string:
		*w.t, err = time.Parse(liteTime, v)
	default:
		err = fmt.Errorf("time is %T", v)
	}
	return err
}
