package store

import (
	"context"
	"time"

	"jmld/jml/engine"
	"jmld/model"
)

// Managers are the people behind records, with what rules see of them.
func (s *Store) Managers(ctx context.Context, refs []engine.RecordRef) (map[engine.RecordRef]model.Identity, error) {
	const text = "SELECT r.source, r.id, i.id, i.lifecycle, i.user_name, i.display_name, i.email, i.attrs FROM pairs($1, $2) " +
		"JOIN EACH records r ON (r.source = p.a AND r.id = p.b) JOIN EACH identities i ON (i.id = r.identity_id) " +
		"WHERE r.identity_id <> '' AND r.kind || '' = 'user' AND r.absent_since IS NULL"
	pairs := make([][2]string, len(refs))
	for i, ref := range refs {
		pairs[i] = [2]string{ref.Source, ref.ID}
	}
	a, b := s.pairs(pairs)
	out := make(map[engine.RecordRef]model.Identity, len(refs))
	err := s.read(ctx, op{text: s.sql(text), args: []any{a, b}, each: func(row scanner) error {
		var ref engine.RecordRef
		var i model.Identity
		err := row.Scan(&ref.Source, &ref.ID, &i.ID, (*string)(&i.Lifecycle), &i.UserName, &i.DisplayName, &i.Email, &i.Attrs)
		out[ref] = i
		return err
	}})
	return out, err
}

// reviewReports marks the people whose manager somebody is, as the side table knows.
const reviewReports = marked + "WHERE id IN (SELECT i.id FROM (SELECT DISTINCT r.identity_id AS iid FROM pairs($1, $2) " +
	"JOIN EACH record_values v ON (v.source = p.a AND v.attr = '" + managerAttr + "' AND v.value = p.b) " +
	"JOIN EACH records r ON (r.source = v.source AND r.id = v.record_id) WHERE r.identity_id <> '') AS x " +
	"JOIN EACH identities i ON (i.id = x.iid) ORDER BY i.id FOR UPDATE OF i)"

func (s *Store) reportOps(ops []op, c *engine.Commit) []op {
	if len(c.Reports) == 0 {
		return ops
	}
	refs := make([][2]string, len(c.Reports))
	for i, ref := range c.Reports {
		refs[i] = [2]string{ref.Source, ref.ID}
	}
	a, b := s.pairs(refs)
	return append(ops, op{text: s.sql(reviewReports), args: []any{a, b, stamp(time.Unix(0, 0)), "", ""}})
}
