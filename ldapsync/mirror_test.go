package ldapsync_test

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/store"
	"jmld/internal/testserver"
	"jmld/jml"
	"jmld/jml/engine"
	"jmld/jml/entry"
	"jmld/ldapsync"
	"jmld/model"
)

// mirror is an engine with a database of its own that reads a directory.
type mirror struct {
	t      *testing.T
	engine *engine.Engine
	store  *store.Store
}

func newMirror(t *testing.T, o ldapsync.Options) *mirror {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{URL: "sqlite:" + filepath.Join(t.TempDir(), "jmld.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	m := &mirror{t: t, store: db}
	m.use(o)
	return m
}

// use reads with other options from now on.
func (m *mirror) use(o ldapsync.Options) { m.useSource(source(m.t, o)) }

func (m *mirror) useSource(s *ldapsync.Source) {
	all := jml.Limit{Count: 1000}
	guard := jml.Limits{Count: 1000, Share: 1, Ceiling: 1, Window: time.Hour, Expiry: time.Hour, Changed: all, Emptied: all,
		Movers: all, Week: all, Joiners: all, Returns: all, Group: all, GroupEmptied: 1000, Shrink: all, Renewed: all, Clock: time.Hour}
	m.engine = engine.New(engine.Options{Store: m.store, Guard: guard, Replica: "one", Rules: &jml.Rules{Precedence: []string{"corp"}, Correlation: []string{"userName"}},
		Sources: []engine.ReadSource{{Source: s, Timeout: 5 * time.Minute}}})
}

// sync reads, and says how; the run must succeed and be complete.
func (m *mirror) sync(mode model.Mode) engine.Synced {
	m.t.Helper()
	out, err := m.engine.Sync(m.t.Context(), "corp", engine.SyncOptions{Mode: mode, Trigger: "demand", Actor: "test"})
	if err != nil {
		m.t.Fatal(err)
	}
	if !out.Proof.Complete {
		m.t.Fatalf("%s is not complete: %v", mode, failedConditions(out.Proof))
	}
	return out
}

// mark puts another mark into the checkpoint.
func (m *mirror) mark(text string) {
	m.t.Helper()
	cp := m.checkpoint()
	cp.Mark = text
	if err := m.store.Commit(m.t.Context(), &engine.Commit{Checkpoint: &cp}); err != nil {
		m.t.Fatal(err)
	}
}

func (m *mirror) checkpoint() model.Checkpoint {
	m.t.Helper()
	cp, err := m.store.Checkpoint(m.t.Context(), "corp")
	if err != nil {
		m.t.Fatal(err)
	}
	return cp
}

// content is what the database says: by id, without times and versions.
func (m *mirror) content() map[string]model.Entry {
	m.t.Helper()
	all := map[string]model.Entry{}
	var ids []string
	err := m.store.Hashes(m.t.Context(), "corp", func(id []byte, _ model.Kind, _ []byte) error { ids = append(ids, string(id)); return nil })
	if err != nil {
		m.t.Fatal(err)
	}
	for part := range slices.Chunk(ids, 100) {
		subjects := make([]engine.Subject, len(part))
		for i, id := range part {
			subjects[i] = engine.Subject{Source: "corp", Record: id}
		}
		people, err := m.store.Load(m.t.Context(), subjects)
		if err != nil {
			m.t.Fatal(err)
		}
		for _, p := range people {
			r := p.Record
			en := model.Entry{Record: model.Record{ID: r.ID, Kind: r.Kind, UserName: r.UserName, DisplayName: r.DisplayName, Active: r.Active,
				Attrs: r.Attrs, Hash: r.Hash, Link: r.Link, MissingRuns: r.MissingRuns}}
			if r.Kind == model.KindGroup {
				if en.Members, err = m.store.MembersAmong(m.t.Context(), "corp", r.ID, nil); err != nil {
					m.t.Fatal(err)
				}
				slices.Sort(en.Members)
			}
			all[r.ID] = en
		}
	}
	return all
}

// equals compares with a full read into a database of its own.
func (m *mirror) equals(o ldapsync.Options, when string) {
	m.t.Helper()
	fresh := newMirror(m.t, o)
	fresh.sync(model.ModeFull)
	if d := cmp.Diff(fresh.content(), m.content()); d != "" {
		m.t.Errorf("%s (-full read +database):\n%s", when, d)
	}
}

// changer is a directory's administrator.
type changer interface {
	Add(dn string, attrs map[string][]string)
	Replace(dn, attr string, values ...string)
	Rename(dn, rdn, superior string)
	Delete(dn string)
}

// changeEverything makes every kind of change once; round keeps the names apart. People from 10*round on are touched.
func changeEverything(t *testing.T, s changer, round int) {
	t.Helper()
	n := 10 * round
	name := func(what string) string { return what + string(rune('a'+round)) }
	s.Replace(testserver.UserDN(n), "title", name("Changed "))                                   // modify
	s.Rename(testserver.UserDN(n+1), "uid="+name("renamed"), "")                                 // rename
	s.Rename(testserver.UserDN(n+2), "uid="+name("moved"), "ou=inner,"+testserver.PeopleBase)    // move within
	s.Rename(testserver.UserDN(n+3), "uid="+name("out"), "ou=services,"+testserver.Base)         // move out
	s.Replace(testserver.UserDN(n+4), "employeeType", "former")                                  // leaves the filter
	s.Replace(testserver.UserDN(n+5), "description", "suspended")                                // disabled
	s.Delete(testserver.UserDN(n + 6))                                                           // delete
	s.Replace(testserver.UserDN(n+7), "manager", "uid="+name("new")+","+testserver.PeopleBase)   // to nobody yet
	s.Replace(testserver.GroupDN(round), "member", testserver.UserDN(n+8), testserver.UserDN(1)) // group change
	s.Rename(testserver.GroupDN(round+5), "cn="+name("group "), "")
	s.Add("uid="+name("new")+","+testserver.PeopleBase, map[string][]string{"objectClass": {"inetOrgPerson"}, "uid": {name("new")},
		"cn": {"New"}, "sn": {"New"}, "employeeType": {"employee"}, "manager": {testserver.UserDN(n + 8)}})
	s.Add("cn="+name("fresh")+","+testserver.GroupsBase, map[string][]string{"objectClass": {"groupOfNames"}, "cn": {name("fresh")},
		"member": {testserver.UserDN(n + 8), "uid=" + name("renamed") + "," + testserver.PeopleBase}})
}

func mirrored(t *testing.T) (*testserver.SlapdServer, ldapsync.Options) {
	t.Helper()
	s := testserver.Slapd(t, testserver.SlapdOptions{Syncrepl: true, LDIF: testserver.LDIF(80, 12, 60) +
		"dn: ou=inner,ou=people,dc=example,dc=org\nobjectClass: organizationalUnit\nou: inner\n\n"})
	o := options(s)
	o.People.Filter = "(&(objectClass=inetOrgPerson)(employeeType=employee))"
	o.Inactive = ldapsync.Inactive{Attribute: "description", Values: []string{"suspended"}}
	o.Incremental, o.Delta = entry.MethodModifyTime, true
	return s, o
}

// M-36: whichever way the changes are seen, the database says what a full read says.
func TestChangesAndCensusEqualAFullRead(t *testing.T) {
	t.Parallel()
	s, o := mirrored(t)
	m := newMirror(t, o)
	m.sync(model.ModeFull)
	if out := m.sync(model.ModeDelta); !out.Proof.Unlisted || out.Proof.Instead != "" {
		t.Fatalf("a delta without a change: %+v", out.Proof)
	}
	for round := 1; round < 4; round++ {
		changeEverything(t, s, round)
		out := m.sync(model.ModeDelta)
		if out.Proof.Instead != "" || out.Proof.Unlisted || out.Funnel.Missing != 1 || out.Funnel.Absent != 2 {
			t.Errorf("round %d: %+v, %+v", round, out.Proof.Instead, out.Funnel)
		}
		time.Sleep(10 * time.Millisecond)
		m.sync(model.ModeCensus) // the second complete read without the deleted one
		m.equals(o, "after the delta")
		if out := m.sync(model.ModeDelta); !out.Proof.Unlisted {
			t.Errorf("round %d: the same changes are seen again: %+v", round, out.Funnel)
		}
	}
	changeEverything(t, s, 4)
	m.sync(model.ModeCensus) // sees who came and went, and not what changed
	m.sync(model.ModeDelta)
	m.equals(o, "after census and delta")

	// A deletion alone leaves no stamp: the census sees it.
	s.Delete(testserver.UserDN(60))
	if out := m.sync(model.ModeDelta); !out.Proof.Unlisted {
		t.Errorf("%+v", out.Proof)
	}
	m.sync(model.ModeCensus)
	m.sync(model.ModeCensus)
	m.equals(o, "after a deletion")

	// The name of a container is part of the name of everything below it.
	s.Rename("ou=inner,"+testserver.PeopleBase, "ou=within", "")
	if out := m.sync(model.ModeDelta); out.Proof.Mode != model.ModeFull || out.Proof.Instead == "" {
		t.Errorf("a renamed container: %+v", out.Proof)
	}
	m.equals(o, "after a container was renamed")
}

// Without a change a delta is three round trips: bind, base entry, stamps or what the server says of changes.
func TestADeltaWithoutAChangeIsThreeRoundTrips(t *testing.T) {
	t.Parallel()
	s, o := mirrored(t)
	for _, how := range []entry.Method{entry.MethodModifyTime, entry.MethodSyncrepl} {
		t.Run(string(how), func(t *testing.T) {
			t.Parallel()
			o, relay := o, newRelay(t, s.Addr)
			o.URL, o.CAFile, o.PageSize, o.Incremental = "ldap://"+relay.addr, "", 1000, how
			m := newMirror(t, o)
			m.sync(model.ModeFull)
			before := relay.trips.Load()
			out := m.sync(model.ModeDelta)
			if !out.Proof.Unlisted || out.Proof.Method != string(how) {
				t.Fatalf("%+v", out.Proof)
			}
			if n := relay.trips.Load() - before; n != 3 || said(out.Proof, "no change") == "" || !strings.HasSuffix(said(out.Proof, "no change"), "; 3 round trips") {
				t.Errorf("%d round trips, want 3: %s", n, said(out.Proof, "no change"))
			}
		})
	}
}

// said is what was seen for a condition.
func said(p model.Proof, name string) string {
	for _, c := range p.Conditions {
		if c.Name == name {
			return c.Seen
		}
	}
	return ""
}

// M-36: whatever leaves a doubt is read in full, and the run says why.
// Keycloak #46367: after an upgrade the last read was taken to be of 1970.
func TestADoubtIsReadInFull(t *testing.T) {
	t.Parallel()
	s, o := mirrored(t)
	m := newMirror(t, o)
	doubt := func(mode model.Mode, why string) {
		t.Helper()
		out := m.sync(mode)
		if out.Proof.Mode != model.ModeFull || !strings.Contains(out.Proof.Instead, why) {
			t.Errorf("read %s because %q, want in full because %q", out.Proof.Mode, out.Proof.Instead, why)
		}
		m.equals(o, why)
	}
	doubt(model.ModeDelta, "no full read")
	changeEverything(t, s, 1)
	mark := m.mark
	m.sync(model.ModeFull)
	m.sync(model.ModeFull) // whoever is missing is gone
	mark("{broken")
	doubt(model.ModeDelta, "cannot be used")
	mark(`{"base":"another","at":"20260101000000Z"}`)
	doubt(model.ModeDelta, "another one than before")
	future := source(t, o)
	ldapsync.SetClock(future, func() time.Time { return time.Now().Add(-3 * time.Hour) })
	m.useSource(future)
	m.sync(model.ModeFull)
	doubt(model.ModeDelta, "lies in the future")
	m.use(o)
	o.People.Filter = "(objectClass=inetOrgPerson)"
	m.use(o)
	doubt(model.ModeDelta, "people.filter changed")
	o.Delta = false
	m.use(o)
	doubt(model.ModeDelta, "not configured")
}

// A read of changes that is cut anywhere changes no checkpoint, and the next one sees the same changes.
func TestADeltaThatIsCutLosesNothing(t *testing.T) {
	t.Parallel()
	s, o := mirrored(t)
	proxy := testserver.Proxy(t, s.Addr)
	o.URL, o.CAFile = "ldap://"+proxy.Addr, ""
	m := newMirror(t, o)
	m.sync(model.ModeFull)
	changeEverything(t, s, 1)
	dry, err := m.engine.Sync(t.Context(), "corp", engine.SyncOptions{Mode: model.ModeDelta, DryRun: true})
	if err != nil || !dry.Proof.Complete {
		t.Fatal(err)
	}
	total := dry.Proof.Bytes
	for i := range int64(25) {
		proxy.Cut(14 + i*total/25)
		out, err := m.engine.Sync(t.Context(), "corp", engine.SyncOptions{Mode: model.ModeDelta})
		if err == nil || out.Proof.Complete || out.Funnel.Absent+out.Funnel.Missing != 0 {
			t.Fatalf("cut after %d of %d bytes: %v, %+v", i*total/25, total, err, out.Funnel)
		}
	}
	proxy.Pass()
	m.sync(model.ModeDelta)
	m.sync(model.ModeCensus)
	m.equals(o, "after the cuts")
}

// relay passes bytes on and counts how often the client spoke after the server had.
type relay struct {
	addr  string
	trips atomic.Int64
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{addr: l.Addr().String()}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				client.Close()
				return
			}
			var asked atomic.Bool
			pass := func(from, to net.Conn, spoke func()) {
				defer from.Close()
				defer to.Close()
				for b := make([]byte, 4096); ; {
					n, err := from.Read(b)
					if n > 0 {
						spoke()
						if _, err := to.Write(b[:n]); err != nil {
							return
						}
					}
					if err != nil {
						return
					}
				}
			}
			wg.Go(func() { pass(client, server, func() { asked.Store(true) }) })
			wg.Go(func() {
				pass(server, client, func() {
					if asked.Swap(false) {
						r.trips.Add(1)
					}
				})
			})
		}
	})
	return r
}
