package store

import (
	"context"
	"database/sql"

	"github.com/pressly/goose/v3"
	"golang.org/x/text/unicode/norm"

	"jmld/model"
)

// rekeyed is the migration since which names that an index does not hold are unique as a whole. Before, they were by their beginning.
// It is none of the files: no database folds and hashes as model.UniqueKey does.
const rekeyed = 60

// giveKey looks for who has the key in the index, which has no empty ones.
const giveKey = "UPDATE records SET unique_key = $1 WHERE source = $2 AND id = $3 AND NOT EXISTS " +
	"(SELECT 1 FROM records r WHERE r.source = $2 AND r.kind = 'user' AND r.unique_key = $1 AND r.unique_key <> '')"

func rekeying() *goose.Migration {
	return goose.NewGoMigration(rekeyed, &goose.GoFunc{RunTx: rekey}, nil)
}

// rekey gives records whose key was cut the one they would get when they are written. Somebody who was stored with the same name since
// keeps it.
func rekey(ctx context.Context, tx *sql.Tx) error {
	const (
		longest = maxKey/4 - 1 // characters, of what was cut to maxKey bytes, at least
		cutKeys = "SELECT source, id, user_name, unique_key FROM records WHERE length(unique_key) >= $1 AND kind = 'user'"
	)
	rows, err := tx.QueryContext(ctx, cutKeys, longest)
	if err != nil {
		return err
	}
	defer rows.Close()
	type holder struct{ source, id, key string }
	var long []holder
	for rows.Next() {
		var h holder
		var name, was string
		if err := rows.Scan(&h.source, &h.id, &name, &was); err != nil {
			return err
		}
		if h.key = model.UniqueKey(model.FoldKey(norm.NFKC.String(name))); h.key != was {
			long = append(long, h)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, h := range long {
		if _, err := tx.ExecContext(ctx, giveKey, h.key, h.source, h.id); err != nil {
			return err
		}
	}
	return nil
}
