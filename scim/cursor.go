package scim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"time"

	elimity "github.com/elimity-com/scim/errors"

	"jmld/model"
)

// cursorTimeout is how long a cursor can be used. It costs nothing to keep: all it says is in it.
const cursorTimeout = time.Hour

// Refusals of RFC 9865 §2.1.
const (
	invalidCursor elimity.ScimType = "invalidCursor"
	expiredCursor elimity.ScimType = "expiredCursor"
	invalidCount  elimity.ScimType = "invalidCount"
)

// cursor is where a page of a query ended (RFC 9865): after the record with this creation time and id. Records are in
// that order, so that what comes and goes meanwhile neither repeats nor hides others.
type cursor struct {
	kind    model.Kind
	created time.Time
	id      string
	count   int
	issued  time.Time
}

// seal makes the cursor opaque and binds it to the token and the query it was made for (RFC 9865 §5.2).
func (c cursor) seal(key []byte, query string) string {
	b := []byte{1, c.kind[0]}
	b = binary.BigEndian.AppendUint64(b, uint64(c.created.UnixMicro()))
	b = binary.BigEndian.AppendUint64(b, uint64(c.issued.Unix()))
	b = binary.BigEndian.AppendUint32(b, uint32(c.count)) //nolint:gosec // at most maxCount
	b = append(b, c.id...)
	return base64.RawURLEncoding.EncodeToString(append(b, seal(key, query, b)...))
}

func seal(key []byte, query string, b []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(query)) //nolint:errcheck // never fails
	mac.Write([]byte{0})     //nolint:errcheck // never fails
	mac.Write(b)             //nolint:errcheck // never fails
	return mac.Sum(nil)[:16]
}

// unseal reads a cursor that seal made with the same key and query.
func unseal(text string, key []byte, query string, count int, now time.Time) (cursor, error) {
	const head, tail = 2 + 8 + 8 + 4, 16
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < head+tail || b[0] != 1 || !hmac.Equal(b[len(b)-tail:], seal(key, query, b[:len(b)-tail])) {
		return cursor{}, refuse(http.StatusBadRequest, invalidCursor, "The cursor is not one of this query.")
	}
	b = b[:len(b)-tail]
	c := cursor{
		kind:    model.KindUser,
		created: time.UnixMicro(int64(binary.BigEndian.Uint64(b[2:]))).UTC(), //nolint:gosec // it was an int64
		issued:  time.Unix(int64(binary.BigEndian.Uint64(b[10:])), 0),        //nolint:gosec // it was an int64
		count:   int(binary.BigEndian.Uint32(b[18:])),
		id:      string(b[head:]),
	}
	if b[1] == model.KindGroup[0] {
		c.kind = model.KindGroup
	}
	switch {
	case now.Sub(c.issued) > cursorTimeout:
		return c, refuse(http.StatusBadRequest, expiredCursor, "The cursor has expired; begin again.")
	case c.count != count:
		return c, refuse(http.StatusBadRequest, invalidCount, "count has to stay the same from page to page.")
	}
	return c, nil
}

// after is the filter for what comes after the cursor.
func (c cursor) after() model.Filter {
	created := func(op model.CompareOp) model.Filter {
		return model.Compare{Attr: model.AttrRef{Path: []string{"meta", "created"}}, Op: op, Value: c.created}
	}
	return model.Or{Terms: []model.Filter{
		created(model.OpGt),
		model.And{Terms: []model.Filter{
			created(model.OpEq),
			model.Compare{Attr: model.AttrRef{Path: []string{"id"}, CaseExact: true}, Op: model.OpGt, Value: c.id},
		}},
	}}
}
