package store

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// pgRow scans the few types our columns have by itself. pgx finds out for each column of each statement how to scan it, which takes
// longer than reading the one row that most statements find.
type pgRow struct{ pgx.Rows }

// Scan leaves a row with anything unusual in it to pgx, which also knows what to say about it.
func (r pgRow) Scan(dest ...any) error {
	fields, values := r.FieldDescriptions(), r.RawValues()
	if len(fields) != len(dest) || len(values) != len(dest) {
		return r.Rows.Scan(dest...)
	}
	for i, to := range dest {
		if !scanValue(&fields[i], values[i], to) {
			return r.Rows.Scan(dest...)
		}
	}
	return nil
}

// scanValue reports false when it does not know how, or there is no value where there has to be one.
func scanValue(f *pgconn.FieldDescription, value []byte, to any) bool {
	if to, ok := to.(**time.Time); ok {
		if value == nil {
			*to = nil
			return true
		}
		at, ok := timeOf(f, value)
		*to = &at
		return ok
	}
	if to, ok := to.(**string); ok && value == nil {
		*to = nil
		return true
	}
	if value == nil {
		return false
	}
	switch to := to.(type) {
	case *string:
		if f.DataTypeOID != pgtype.TextOID || f.Format != pgtype.TextFormatCode {
			return false
		}
		*to = string(value)
	case **string:
		if f.DataTypeOID != pgtype.TextOID || f.Format != pgtype.TextFormatCode {
			return false
		}
		text := string(value)
		*to = &text
	case *time.Time:
		at, ok := timeOf(f, value)
		*to = at
		return ok
	case *bool:
		if f.DataTypeOID != pgtype.BoolOID || f.Format != pgtype.BinaryFormatCode || len(value) != 1 {
			return false
		}
		*to = value[0] == 1
	case *int64:
		n, ok := integerOf(f, value)
		*to = n
		return ok
	case *int:
		n, ok := integerOf(f, value)
		*to = int(n)
		return ok && int64(int(n)) == n
	case *[]byte:
		if f.DataTypeOID != pgtype.ByteaOID || f.Format != pgtype.BinaryFormatCode {
			return false
		}
		*to = append(make([]byte, 0, len(value)), value...)
	default:
		return false
	}
	return true
}

func integerOf(f *pgconn.FieldDescription, value []byte) (int64, bool) {
	switch {
	case f.Format != pgtype.BinaryFormatCode:
	case f.DataTypeOID == pgtype.Int8OID && len(value) == 8:
		return int64(binary.BigEndian.Uint64(value)), true
	case f.DataTypeOID == pgtype.Int4OID && len(value) == 4:
		return int64(int32(binary.BigEndian.Uint32(value))), true
	}
	return 0, false
}

// timeOf reads microseconds since 2000. The first and the last number stand for infinity.
func timeOf(f *pgconn.FieldDescription, value []byte) (time.Time, bool) {
	if f.DataTypeOID != pgtype.TimestamptzOID || f.Format != pgtype.BinaryFormatCode || len(value) != 8 {
		return time.Time{}, false
	}
	const since = 946_684_800_000_000
	n := int64(binary.BigEndian.Uint64(value))
	if n == math.MinInt64 || n > math.MaxInt64-since {
		return time.Time{}, false
	}
	return time.UnixMicro(n + since).UTC(), true
}
