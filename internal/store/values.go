package store

import (
	"slices"

	"jmld/model"
)

func insertValues() insert {
	return insert{into: "record_values (source, record_id, attr, type, value)", tuple: tuple(5), types: "ttttt"}
}

func insertMoreValues() insert {
	more := insertValues()
	more.tail = "ON CONFLICT (source, record_id, attr, type, value) DO NOTHING"
	return more
}

// distinct says that all of the values are stored as they are, and none is there twice: then a new record needs no look at what there is.
func distinct(values []model.Value) bool {
	const few = 50
	if len(values) > few {
		return false
	}
	for i, v := range values {
		if len(v.Type) > maxType || len(v.Value) > maxValue || printable(v.Attr) != v.Attr || printable(v.Type) != v.Type || printable(v.Value) != v.Value ||
			slices.Contains(values[:i], v) {
			return false
		}
	}
	return true
}
