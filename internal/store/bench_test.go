package store

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"jmld/internal/testserver"
	"jmld/jml/engine"
	"jmld/model"
)

// The same statements with the same parameters, sent by the store and by the drivers themselves (the floor), with durable
// commits: go test -bench . -cpu 1,8 -benchtime 4000x. On SQLite the floor has the store's connection settings, and one transaction each.

func benchRecord(n int64, active bool, version int64) *model.Record {
	name := fmt.Sprintf("user%08d", n)
	return &model.Record{
		Source: "entra", ID: fmt.Sprintf("0192f0c1-0000-7000-8000-%012d", n), Kind: model.KindUser, UserName: name, UserNameKey: name,
		DisplayName: "User " + name, DisplayNameKey: "user " + name, ExternalID: "ext-" + name, Active: active, UniqueKey: name,
		IdentityID: fmt.Sprintf("0192f0c2-0000-7000-8000-%012d", n), Link: model.Linked, Hash: []byte("0123456789abcdef"), Version: version,
		Attrs:     `{"emails":[{"primary":true,"type":"work","value":"` + name + `@example.org"}],"name":{"familyName":"` + strings.Repeat("x", 500) + `"}}`,
		CreatedAt: time.Unix(1, 0), UpdatedAt: time.Unix(2, 0),
	}
}

func benchCreate(n int64) (engine.Subject, *engine.Commit) {
	r := benchRecord(n, true, 1)
	i := model.Identity{
		ID: r.IdentityID, Lifecycle: model.Active, UserName: r.UserName, DisplayName: r.DisplayName, SearchKey: r.DisplayNameKey + "\n" + r.UserNameKey,
		Attrs: r.Attrs, Provenance: `{"userName":{"winner":"entra","rule":"only"}}`, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	keys := []model.Key{{Name: "userName", Value: r.UserNameKey}, {Name: "email", Value: r.UserNameKey + "@example.org"}}
	c := &engine.Commit{
		Records: []engine.Write{{New: r, AddValues: []model.Value{
			{Attr: "emails.value", Type: "work", Value: keys[1].Value}, {Attr: "phoneNumbers.value", Type: "work", Value: "+49 30 " + r.UserNameKey},
		}}},
		Identities: []engine.IdentityWrite{{New: i, AddKeys: keys}},
		Audit:      []model.AuditEntry{{ID: "a" + r.ID, At: r.CreatedAt, Actor: "source entra", Action: "scim.create", Source: "entra", Subject: r.ID, Detail: "{}"}},
	}
	for _, target := range []string{"app", "platform"} {
		c.Accounts = append(c.Accounts, model.Account{
			IdentityID: i.ID, Target: target, Class: model.ClassApp, Origin: model.OriginOurs, State: model.AccountActive, UserName: r.UserName,
			Desired: `{"userName":"` + r.UserName + `"}`, DesiredRev: 1, Because: `{"text":"rule"}`, Priority: 1, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
		})
		c.Changes = append(c.Changes, model.Change{
			ID: target + r.ID, Source: "entra", IdentityID: i.ID, Who: r.DisplayName, Target: target, Op: model.OpCreate, Event: model.EventJoiner,
			After: `{"state":"active"}`, Because: `{"text":"rule"}`, State: model.ChangeCommitted, At: r.CreatedAt,
		})
	}
	return engine.Subject{Source: "entra", Record: r.ID, Keys: keys}, c
}

// benchPatch turns active off or on, as the engine does with what it loaded.
func benchPatch(p engine.Person, round int64) *engine.Commit {
	next := *p.Record
	next.Active, next.Version = round%2 == 0, p.Record.Version+1
	next.Attrs = strings.Replace(next.Attrs, `"emails"`, fmt.Sprintf(`"a%d":1,"emails"`, round), 1)
	c := &engine.Commit{
		Records:    []engine.Write{{Old: p.Record, New: &next}},
		Identities: []engine.IdentityWrite{{New: *p.Identity, Expect: p.Identity.Version}},
		Audit:      []model.AuditEntry{{ID: fmt.Sprintf("p%d-%s", round, next.ID), At: next.CreatedAt, Action: "scim.patch", Subject: next.ID, Detail: "{}"}},
	}
	c.Identities[0].New.Attrs = next.Attrs
	for _, a := range p.Accounts {
		a.State, a.DesiredRev = model.AccountInactive, a.DesiredRev+1
		if next.Active {
			a.State = model.AccountActive
		}
		c.Accounts = append(c.Accounts, a)
		c.Changes = append(c.Changes, model.Change{
			ID: fmt.Sprintf("%s%d-%s", a.Target, round, next.ID), Source: "entra", IdentityID: a.IdentityID, Target: a.Target, Op: model.OpDeactivate,
			Before: `{"state":"active"}`, After: `{"state":"inactive"}`, Because: "{}", State: model.ChangeCommitted, At: next.CreatedAt,
		})
	}
	return c
}

func BenchmarkStore(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { benchBoth(b, "sqlite:"+filepath.Join(b.TempDir(), "jmld.db")) })
	b.Run("postgres", func(b *testing.B) {
		benchBoth(b, testserver.StartPostgres(b, testserver.PostgresOptions{Durable: true}).Database(b))
	})
}

// run executes ops: the store's own way, or the driver's.
type run func(ctx context.Context, write bool, ops []op) error

func benchBoth(b *testing.B, url string) {
	ctx := context.Background()
	s, err := Open(ctx, Options{URL: url})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var serial atomic.Int64
	var ids []int64
	for range 2000 {
		n := serial.Add(1)
		_, c := benchCreate(n)
		if err := s.Commit(ctx, c); err != nil {
			b.Fatal(err)
		}
		ids = append(ids, n)
	}
	store := func(ctx context.Context, write bool, ops []op) error {
		if write {
			return s.write(ctx, ops...)
		}
		return s.read(ctx, ops...)
	}
	var rounds atomic.Int64
	driver := floor(b, s, url)
	for name, test := range map[string]func(run) error{
		"create": func(r run) error {
			subject, c := benchCreate(serial.Add(1))
			if _, err := s.loadWith(ctx, r, subject); err != nil {
				return err
			}
			ops, err := s.commitOps(c)
			if err != nil {
				return err
			}
			return r(ctx, true, ops)
		},
		"patch": func(r run) error {
			n := rounds.Add(1)
			id := benchRecord(ids[n%int64(len(ids))], true, 1).ID
			p, err := s.loadWith(ctx, r, engine.Subject{Source: "entra", Record: id})
			if err != nil {
				return err
			}
			ops, err := s.commitOps(benchPatch(p, n))
			if err != nil {
				return err
			}
			return r(ctx, true, ops)
		},
		"import of 200": func(r run) error {
			c := &engine.Commit{}
			var records, keys [][2]string
			for range 200 {
				subject, one := benchCreate(serial.Add(1))
				records = append(records, [2]string{subject.Source, subject.Record})
				for _, k := range subject.Keys {
					keys = append(keys, [2]string{k.Name, k.Value})
				}
				c.Records, c.Identities = append(c.Records, one.Records...), append(c.Identities, one.Identities...)
				c.Accounts, c.Changes = append(c.Accounts, one.Accounts...), append(c.Changes, one.Changes...)
			}
			if _, err := s.load(func(ops []op) error { return r(ctx, false, ops) }, records, keys, nil, false, nil); err != nil {
				return err
			}
			ops, err := s.commitOps(c)
			if err != nil {
				return err
			}
			return r(ctx, true, ops)
		},
		"load": func(r run) error {
			id := benchRecord(ids[rounds.Add(1)%int64(len(ids))], true, 1).ID
			_, err := s.loadWith(ctx, r, engine.Subject{Source: "entra", Record: id})
			return err
		},
	} {
		b.Run(name, func(b *testing.B) { alternate(b, test, store, driver) })
	}
}

// alternate runs b.N operations in each of two ways, in turns of a few, so that the machine's other load hits both.
func alternate(b *testing.B, test func(run) error, store, driver run) {
	b.Helper()
	var spent [2]time.Duration
	workers := runtime.GOMAXPROCS(0)
	for done := 0; done < b.N; {
		turn := min(50*workers, b.N-done)
		done += turn
		for i, way := range []run{store, driver} {
			var left atomic.Int64
			left.Store(int64(turn))
			var wg sync.WaitGroup
			began := time.Now()
			for range workers {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						if err := test(way); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			spent[i] += time.Since(began)
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(b.N)/spent[0].Seconds(), "store/s")
	b.ReportMetric(float64(b.N)/spent[1].Seconds(), "floor/s")
	b.ReportMetric(spent[1].Seconds()/spent[0].Seconds(), "ratio")
}

func (s *Store) loadWith(ctx context.Context, r run, subject engine.Subject) (engine.Person, error) {
	var keys [][2]string
	for _, k := range subject.Keys {
		keys = append(keys, [2]string{k.Name, k.Value})
	}
	read := func(ops []op) error { return r(ctx, false, ops) }
	got, err := s.load(read, [][2]string{{subject.Source, subject.Record}}, keys, nil, false, nil)
	if err != nil {
		return engine.Person{}, err
	}
	return got.person(&subject), nil
}

// floor sends ops with nothing but the driver.
func floor(b *testing.B, s *Store, url string) run {
	if pg, ok := s.db.(*pgDB); ok {
		return func(ctx context.Context, _ bool, ops []op) error {
			batch := &pgx.Batch{}
			for _, o := range ops {
				batch.Queue(o.text, o.args...)
			}
			results := pg.pool.SendBatch(ctx, batch)
			defer results.Close()
			for _, o := range ops {
				rows, err := results.Query()
				if err != nil {
					return err
				}
				for rows.Next() {
					if o.each == nil { // the answer of a compare-and-set
						continue
					}
					if err := o.each(rows); err != nil {
						return err
					}
				}
				if rows.Close(); rows.Err() != nil {
					return rows.Err()
				}
			}
			return nil
		}
	}
	path := strings.TrimPrefix(url, "sqlite:")
	reading, err := sql.Open("sqlite", liteDSN(path, false))
	if err != nil {
		b.Fatal(err)
	}
	reading.SetMaxOpenConns(liteReaders)
	writing, err := sql.Open("sqlite", liteDSN(path, true))
	if err != nil {
		b.Fatal(err)
	}
	writing.SetMaxOpenConns(1)
	b.Cleanup(func() { reading.Close(); writing.Close() })
	return func(ctx context.Context, write bool, ops []op) error {
		db := reading
		if write {
			db = writing
		}
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
		for _, o := range ops {
			if o.late != nil {
				if o.args = o.late(); o.args == nil {
					continue
				}
			}
			if o.each == nil {
				if _, err := tx.ExecContext(ctx, o.text, o.args...); err != nil {
					return err
				}
				continue
			}
			rows, err := tx.QueryContext(ctx, o.text, o.args...)
			if err != nil {
				return err
			}
			for rows.Next() {
				if err := o.each(rows); err != nil {
					return err
				}
			}
			if rows.Close(); rows.Err() != nil {
				return rows.Err()
			}
		}
		return tx.Commit()
	}
}
