package store

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/testserver"
	"jmld/jml"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
	"jmld/scim"
)

// cost is what a request makes the database do. Written, on SQLite only: rows inserted, updated and deleted.
type cost struct {
	Statements, Rows, Written int64
}

// counted counts what goes through a backend.
type counted struct {
	backend
	mu sync.Mutex
	cost
}

func (c *counted) count(ops []op) []op {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]op, len(ops))
	copy(out, ops)
	for i := range out {
		c.Statements++
		if each := out[i].each; each != nil {
			out[i].each = func(row scanner) error {
				c.mu.Lock()
				c.Rows++
				c.mu.Unlock()
				return each(row)
			}
		}
	}
	return out
}

func (c *counted) read(ctx context.Context, ops []op) error { return c.backend.read(ctx, c.count(ops)) }

func (c *counted) lookup(ctx context.Context, ops []op) error {
	return c.backend.lookup(ctx, c.count(ops))
}

func (c *counted) survey(ctx context.Context, ops []op) error {
	return c.backend.survey(ctx, c.count(ops))
}

func (c *counted) write(ctx context.Context, ops []op) error {
	return c.backend.write(ctx, c.count(ops))
}

// unused are tokens whose use is not written down: that happens now and then, and would be counted.
type unused struct{ *Store }

func (unused) TouchTokens(context.Context, map[string]time.Time) error { return nil }

// house is a SCIM endpoint on a store that is counted.
type house struct {
	store   *Store
	counted *counted
	base    string
}

func newHouse(t *testing.T, url string) *house {
	t.Helper()
	s := openHere(t, url)
	c := &counted{backend: s.db}
	s.db = c
	p, mistakes := policy.Compile(policy.Config{}, nil)
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	hash := sha256.Sum256([]byte("token-of-entra"))
	if err := s.AddToken(t.Context(), model.Token{ID: model.NewID(testTime()), Source: "entra", Name: "entra", Hash: hash[:], CreatedAt: testTime()}); err != nil {
		t.Fatal(err)
	}
	const patience = 3 * time.Minute // for a busy machine
	s.timeout = patience
	server := httptest.NewServer(scim.New(scim.Options{
		Sources: []scim.Source{{Name: "entra", MaxBody: 64 << 20}}, Resources: s, Tokens: unused{s}, Timeout: patience, BodyTimeout: patience,
		Pusher: engine.New(engine.Options{Store: s, Rules: &jml.Rules{Precedence: []string{"entra"}, Policy: p}, Replica: "test"}),
	}))
	t.Cleanup(server.Close)
	return &house{s, c, server.URL + "/scim/entra/v2"}
}

// stock makes a group with so many members. They have no records: a source may name whom it has not told us about.
func (h *house) stock(t *testing.T, id string, members int) {
	t.Helper()
	rec := model.Record{Source: "entra", ID: id, Kind: model.KindGroup, DisplayName: id, DisplayNameKey: id, Active: true, Attrs: `{"displayName":"` + id + `"}`,
		Version: 1, CreatedAt: testTime(), UpdatedAt: testTime()}
	if err := h.store.Commit(t.Context(), &engine.Commit{Records: []engine.Write{{New: &rec}}}); err != nil {
		t.Fatal(err)
	}
	numbers := "generate_series(1, $1::bigint) AS g(i)"
	if h.store.lite {
		numbers = "(WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ?1) SELECT i FROM c)"
	}
	text := "INSERT INTO members (source, group_id, member_id) SELECT 'entra', '" + id + "', 'member-' || CAST(1000000000 + i AS text) FROM " + numbers
	if err := h.counted.backend.write(t.Context(), []op{{text: text, args: []any{members}}}); err != nil {
		t.Fatal(err)
	}
}

func memberID(i int) string { return fmt.Sprintf("member-%d", 1_000_000_000+i) }

// send does a request and returns what it cost.
func (h *house) send(t *testing.T, method, path, body string, status int) (text string, spent cost) {
	t.Helper()
	before := h.spent(t)
	r, err := http.NewRequestWithContext(t.Context(), method, h.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer token-of-entra")
	r.Header.Set("Content-Type", "application/scim+json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		t.Fatalf("%s %s: %v %s %.300s", method, path, err, resp.Status, answer)
	}
	after := h.spent(t)
	return string(answer), cost{after.Statements - before.Statements, after.Rows - before.Rows, after.Written - before.Written}
}

func (h *house) spent(t *testing.T) cost {
	t.Helper()
	h.counted.mu.Lock()
	c := h.counted.cost
	h.counted.mu.Unlock()
	if db, ok := h.counted.backend.(*liteDB); ok {
		if err := db.write(t.Context(), []op{{text: "SELECT total_changes()", each: func(row scanner) error { return row.Scan(&c.Written) }}}); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func patchOf(operation string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + operation + `]}`
}

// D-18: adding or removing one member costs the same in a group of 10 and of 100,000; a replacement writes the difference, whatever
// the size; members that are not asked for are not read.
func TestGroupsOfAnySizeD18(t *testing.T) {
	t.Parallel()
	const small, large = 10, 100_000
	for name, url := range map[string]func() string{
		"sqlite":   func() string { return "sqlite:" + filepath.Join(t.TempDir(), "jmld.db") },
		"postgres": func() string { return testserver.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, url())
			h.stock(t, "small", small)
			h.stock(t, "large", large)
			h.send(t, "GET", "/Groups/small", "", 200) // the token's own query is done
			add, remove := patchOf(`{"op":"add","path":"members","value":[{"value":"new"}]}`), patchOf(`{"op":"remove","path":"members[value eq \"new\"]"}`)
			legacy := patchOf(`{"op":"Remove","path":"members","value":[{"value":"` + memberID(7) + `"}]}`)
			for _, step := range []struct{ what, method, path, body string }{
				{"add", "PATCH", "?excludedAttributes=members", add},
				{"add again", "PATCH", "?excludedAttributes=members", add},
				{"remove", "PATCH", "?excludedAttributes=members", remove},
				{"remove in Entra's legacy dialect", "PATCH", "?attributes=displayName", legacy},
				{"rename", "PATCH", "?excludedAttributes=members", patchOf(`{"op":"replace","path":"externalId","value":"x"}`)},
				{"read without members", "GET", "?excludedAttributes=members", ""},
			} {
				_, few := h.send(t, step.method, "/Groups/small"+step.path, step.body, 200)
				_, many := h.send(t, step.method, "/Groups/large"+step.path, step.body, 200)
				if diff := cmp.Diff(few, many); diff != "" {
					t.Errorf("%s: a group of %d (-) and one of %d (+): %s", step.what, small, large, diff)
				}
				if step.method == "GET" && many != (cost{Statements: 1, Rows: 1}) {
					t.Errorf("%s: %+v", step.what, many)
				}
			}
			if _, c := h.send(t, "GET", "/Groups?excludedAttributes=members", "", 200); c.Rows > 3 {
				t.Errorf("a list without members read %d rows", c.Rows)
			}
			// Who does not say what of the group is wanted gets it as far as it is small.
			if _, c := h.send(t, "PATCH", "/Groups/large", add, 204); c.Rows > 10 {
				t.Errorf("a PATCH answered 204 read %d rows", c.Rows)
			}
			h.send(t, "PATCH", "/Groups/large?excludedAttributes=members", remove, 200)

			var body strings.Builder
			for i := 1; i <= large; i++ {
				if i != 7 && i != 20 {
					fmt.Fprintf(&body, `{"value":"%s"},`, memberID(i))
				}
			}
			list := body.String() + `{"value":"x"},{"value":"y"}`
			wrote := func(what string, most int64, c cost) {
				t.Helper()
				if c.Written > most {
					t.Errorf("%s wrote %d rows, want at most %d", what, c.Written, most)
				}
			}
			_, c := h.send(t, "PUT", "/Groups/large?excludedAttributes=members", `{"displayName":"large","externalId":"x","members":[`+list+`]}`, 200)
			wrote("a PUT with two members more and one less", 6, c) // the group, what it lost lately, and the audit
			_, c = h.send(t, "PATCH", "/Groups/large?excludedAttributes=members", patchOf(`{"op":"replace","path":"members","value":[`+body.String()+`{"value":"x"}]}`), 200)
			wrote("a replace with one member less", 4, c)
			_, c = h.send(t, "PATCH", "/Groups/large?excludedAttributes=members", patchOf(`{"op":"replace","path":"members","value":[`+body.String()+`{"value":"x"}]}`), 200)
			wrote("the same again", 0, c)
			text, _ := h.send(t, "GET", "/Groups/large?attributes=members.value", "", 200)
			if got := strings.Count(text, `"value":`); got != large-1 {
				t.Errorf("%d members, want %d", got, large-1)
			}
		})
	}
}

// D-18: a long member list streams: what the process holds at a time does not depend on its length. The answer has some 50 MiB.
func TestLongMemberListStreamsD18(t *testing.T) { //nolint:paralleltest // measures the process
	const members = 200_000
	for name, url := range map[string]func() string{
		"sqlite":   func() string { return "sqlite:" + filepath.Join(t.TempDir(), "jmld.db") },
		"postgres": func() string { return testserver.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, url())
			h.stock(t, "all", members)
			r, err := http.NewRequestWithContext(t.Context(), "GET", h.base+"/Groups/all", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer token-of-entra")
			runtime.GC()
			var stats runtime.MemStats
			runtime.ReadMemStats(&stats)
			before, most := stats.HeapInuse, uint64(0)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			got, piece := 0, make([]byte, 64<<10)
			for n := 0; ; n++ {
				k, err := resp.Body.Read(piece)
				got += strings.Count(string(piece[:k]), "{") // one for each member, and one for meta and the group
				if n%64 == 0 {
					runtime.ReadMemStats(&stats)
					most = max(most, stats.HeapInuse)
				}
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			grown := int64(most-before) >> 20
			t.Logf("%d MiB more at most", grown)
			if got != members+2 || grown > 24 {
				t.Errorf("%d members, %d MiB", got-2, grown)
			}
		})
	}
}
