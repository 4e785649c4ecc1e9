package store

import (
	"strings"

	"jmld/jml/engine"
	"jmld/model"
)

// A rule follows a group of a source by its name. When the group is renamed it is still that group: its last name is kept until another group
// has it. Whoever was in the renamed one is looked at again then. Of each group the last names are kept: they are loaded with every member.
const (
	mostNames = 20

	noteName = "INSERT INTO group_names (source, name, group_id, number) SELECT r.source, r.display_name_key, r.id, " +
		"(SELECT coalesce(max(n.number), 0) + 1 FROM group_names n WHERE n.source = r.source AND n.group_id = r.id) FROM records r " +
		"WHERE r.source = $1 AND r.id = $2 AND r.kind = 'group' AND r.display_name_key NOT IN ('', $3::text) AND NOT EXISTS (SELECT 1 FROM records o " +
		"WHERE o.source = r.source AND o.display_name_key = r.display_name_key AND o.display_name_key <> '' AND o.kind = 'group' AND o.id <> r.id) " +
		"ON CONFLICT (source, name) DO UPDATE SET group_id = excluded.group_id, number = excluded.number"

	forgetNames = "DELETE FROM group_names WHERE source = $1 AND group_id = $2 AND number <= (SELECT max(n.number) FROM group_names n " +
		"WHERE n.source = $1 AND n.group_id = $2) - $3"

	takeName  = "DELETE FROM group_names WHERE source = $1 AND name = $2"
	dropNames = "DELETE FROM group_names WHERE source = $1 AND group_id = $2"
)

// reviewRenamed is review of the groups that had a name.
func reviewRenamed() string {
	return strings.Replace(review, "SELECT p.a, p.b FROM pairs($1, $2)",
		"SELECT n.source, n.group_id FROM pairs($1, $2) JOIN EACH group_names n ON (n.source = p.a AND n.name = p.b)", 1)
}

// renameOps note the names that groups had, before the records are stored; took are those that groups have from now on.
func (s *Store) renameOps(ops []op, writes []engine.Write) (_ []op, took [][2]string) {
	for i := range writes {
		switch w := &writes[i]; {
		case w.New == nil && w.Old != nil && w.Old.Kind == model.KindGroup:
			ops = append(ops, op{text: s.sql(dropNames), args: []any{w.Old.Source, w.Old.ID}})
		case w.New == nil || w.New.Kind != model.KindGroup || w.Old != nil && w.Old.DisplayNameKey == w.New.DisplayNameKey:
		default:
			key := cut(w.New.DisplayNameKey, maxKey)
			if w.Old != nil {
				ops = append(ops, op{text: s.sql(noteName), args: []any{w.New.Source, w.New.ID, key}},
					op{text: s.sql(forgetNames), args: []any{w.New.Source, w.New.ID, mostNames}})
			}
			if key != "" {
				took = append(took, [2]string{w.New.Source, key})
			}
		}
	}
	return ops, took
}

// takenOps end the old names of groups that other groups have now.
func (s *Store) takenOps(ops []op, c *engine.Commit, took [][2]string) []op {
	if len(took) == 0 {
		return ops
	}
	a, b := s.pairs(took)
	ops = append(ops, op{text: s.sql(reviewRenamed()), args: []any{a, b, stamp(c.ReviewAt), c.ReviewRun, ""}})
	for _, t := range took {
		ops = append(ops, op{text: s.sql(takeName), args: []any{t[0], t[1]}})
	}
	return ops
}
