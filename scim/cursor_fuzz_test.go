package scim

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	elimity "github.com/elimity-com/scim/errors"
)

// FuzzCursor: no text is taken for a cursor of ours; bytes that carry our seal are read as what they were made from, or
// refused; and a cursor opens for its own key and query alone.
func FuzzCursor(f *testing.F) {
	issued := time.Unix(1_790_000_000, 0)
	whole := cursor{kind: "user", created: issued, id: "0199c8a2-0000-7000-8000-000000000001", count: 100, issued: issued}
	f.Add(whole.seal([]byte("key"), "User 1 "), []byte(whole.id), "User 1 ")
	f.Add("", []byte{1, 'u'}, "")
	f.Add("AXU", []byte("\x01g\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x6a\xb1\x3b\x80\x00\x00\x00\x64id"), "Group 1 displayName pr")
	f.Fuzz(func(t *testing.T, text string, raw []byte, query string) {
		key := []byte("key")
		if _, err := unseal(text, []byte("another key"), query, 100, issued); err == nil || refusalOf(err).Status != 400 {
			t.Fatalf("%q: %v", text, err)
		}
		sealed := base64.RawURLEncoding.EncodeToString(append(append([]byte(nil), raw...), seal(key, query, raw)...))
		c, err := unseal(sealed, key, query, 100, issued)
		if err != nil {
			if r := refusalOf(err); r.Status != 400 || r.ScimType == elimity.ScimTypeInvalidFilter {
				t.Fatalf("%x: %v", raw, err)
			}
			return
		}
		c.issued = issued
		again, err := unseal(c.seal(key, query), key, query, 100, issued)
		if diff := cmp.Diff(c, again, cmp.AllowUnexported(cursor{})); err != nil || diff != "" {
			t.Fatalf("%x: %v %s", raw, err, diff)
		}
		if _, err := unseal(c.seal(key, query), key, query+"x", 100, issued); err == nil {
			t.Fatalf("%x opens for another query", raw)
		}
		c.after()
	})
}
