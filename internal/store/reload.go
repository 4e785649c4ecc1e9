package store

import (
	"context"
	"encoding/json"
	"fmt"

	"gorm.io/gorm"

	"jmld/jml/engine"
	"jmld/model"
)

const (
	settingReload = "reload"

	// otherRulesHere is a row where other rules are in force. On PostgreSQL, whose answer comes after the whole batch is sent, the row is an error
	// itself, with a SQLSTATE that no other statement gives: its text is in the server's language.
	otherRulesHere = "SELECT name FROM settings WHERE name = '" + settingRules + "' AND value <> $1"
	otherRulesFail = "SELECT ln(CAST(0 * length(name) AS float8)) FROM settings WHERE name = '" + settingRules + "' AND value <> $1"
)

// AskReload asks every daemon to read its configuration again. Answers to earlier wishes are forgotten.
func (s *Store) AskReload(ctx context.Context, r model.Reload) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return s.update(ctx, func(tx *gorm.DB) error {
		if err := tx.Exec("DELETE FROM settings WHERE name LIKE ?", settingReload+".%").Error; err != nil {
			return err
		}
		return keepSetting(tx, settingReload, string(text))
	})
}

// ReloadAsked is the newest wish; none: the zero value.
func (s *Store) ReloadAsked(ctx context.Context) (model.Reload, error) {
	var r model.Reload
	err := s.read(ctx, op{text: s.sql("SELECT value FROM settings WHERE name = $1"), args: []any{settingReload}, each: func(row scanner) error {
		return scanJSON(row, &r)
	}})
	return r, err
}

// AnswerReload stores what became of a wish, unless there is a newer one.
func (s *Store) AnswerReload(ctx context.Context, a model.Reloaded) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return s.update(ctx, func(tx *gorm.DB) error {
		var asked []string
		if err := tx.Table("settings").Where("name = ?", settingReload).Pluck("value", &asked).Error; err != nil || len(asked) == 0 {
			return err
		}
		var r model.Reload
		if err := json.Unmarshal([]byte(asked[0]), &r); err != nil {
			return fmt.Errorf("setting %s: %w", settingReload, err)
		}
		if r.ID != a.Reload {
			return nil
		}
		return keepSetting(tx, settingReload+"."+a.Replica, string(text))
	})
}

// ReloadAnswers are those there are, by replica.
func (s *Store) ReloadAnswers(ctx context.Context) ([]model.Reloaded, error) {
	var all []model.Reloaded
	err := s.read(ctx, op{text: s.sql("SELECT value FROM settings WHERE name LIKE $1 ORDER BY name"), args: []any{settingReload + ".%"}, each: func(row scanner) error {
		var a model.Reloaded
		err := scanJSON(row, &a)
		all = append(all, a)
		return err
	}})
	return all, err
}

// RulesInForce is the fingerprint of the rules that were adopted last; "": none were.
func (s *Store) RulesInForce(ctx context.Context) (string, error) {
	fingerprint := ""
	err := s.read(ctx, op{text: s.sql("SELECT value FROM settings WHERE name = $1"), args: []any{settingRules}, each: func(row scanner) error {
		return row.Scan(&fingerprint)
	}})
	return fingerprint, err
}

// rulesOp looks whether the rules are in force. It comes after the identities are locked: whoever adopts others later marks them again.
func (s *Store) rulesOp(ops []op, fingerprint string) []op {
	switch {
	case fingerprint == "":
		return ops
	case s.lite:
		return append(ops, op{text: s.sql(otherRulesHere), args: []any{fingerprint}, each: func(scanner) error { return engine.ErrOtherRules }})
	}
	return append(ops, op{text: s.sql(otherRulesFail), args: []any{fingerprint}})
}

func keepSetting(tx *gorm.DB, name, value string) error {
	return tx.Exec("INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value).Error
}

func scanJSON(row scanner, v any) error {
	var text string
	if err := row.Scan(&text); err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), v)
}
