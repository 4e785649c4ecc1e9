package ldapsync_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"jmld/internal/store"
	"jmld/internal/testserver"
	"jmld/jml"
	"jmld/jml/engine"
	"jmld/jml/entry"
	"jmld/jml/policy"
	"jmld/ldapsync"
	"jmld/model"
)

// fact is what is compared of one record: with what a plain client reads from the directory, and with what it was before.
type fact struct {
	Kind    model.Kind
	Name    string
	Title   string
	Manager string // id
	Active  bool
	Members []string           // ids
	Account model.AccountState // active, or nothing
}

// estate is a kind of server, shared by many tests, each of which has a tree of its own in it.
type estate struct {
	name    string
	options ldapsync.Options // how it is read, without the base
	dial    func() (net.Conn, error)
	editor
	idAttr  string
	methods []entry.Method // how changes are read; the first one is the usual one
	root    string
	// person and group are the attributes of new entries.
	person func(name string) map[string][]string
	group  func(name string, members []string) map[string][]string
	rdn    string // of people
	layer  *fault // what the server would do if it were another one; nil: nothing
	shared bool   // there is another estate on the same server
	off    [2]string
	on     []string // what the attribute of off is without it
	// renamed follows a new RDN with what the server does not derive from it; nil: nothing does.
	renamed func(c *ldap.Conn, dn, name string) error
}

// editor changes a directory.
type editor interface {
	Dial() (*ldap.Conn, error)
}

// tree is a part of a directory with people and groups, changed by nobody else.
type tree struct {
	*estate
	t      testing.TB
	base   string
	people []string // DNs
	groups []string
	made   int
	conn   *ldap.Conn
	mu     sync.Mutex      // guards what changes, when a change comes in the middle of a run
	there  map[string]bool // by name, the people and groups that are there and are active
}

func openLDAPEstate(t *testing.T) *estate {
	s := testserver.Slapd(t, testserver.SlapdOptions{Syncrepl: true})
	return &estate{
		name: "openldap", editor: s, root: testserver.Base, idAttr: "entryUUID", rdn: "uid",
		dial: func() (net.Conn, error) { return net.Dial("tcp", s.Addr) },
		options: ldapsync.Options{Preset: entry.OpenLDAP, BindDN: testserver.SyncDN, People: ldapsync.People{Filter: "(&(objectClass=inetOrgPerson)(!(employeeType=former)))"},
			Inactive: ldapsync.Inactive{Attribute: "description", Values: []string{"suspended"}}},
		methods: []entry.Method{entry.MethodSyncrepl, entry.MethodModifyTime},
		person:  inetPerson, group: groupOfNames, off: [2]string{"description", "suspended"},
	}
}

func ds389Estate(t *testing.T) *estate {
	s := testserver.DS389(t, testserver.DS389Options{})
	return &estate{
		name: "389ds", editor: s, root: testserver.Base, idAttr: "nsUniqueId", rdn: "uid",
		dial: func() (net.Conn, error) { return net.Dial("tcp", s.Addr) },
		options: ldapsync.Options{Preset: entry.DS389, BindDN: testserver.SyncDN,
			People: ldapsync.People{Filter: "(&(objectClass=inetOrgPerson)(!(objectClass=nsTombstone))(!(employeeType=former)))"}},
		methods: []entry.Method{entry.MethodChangelog, entry.MethodEntryUSN, entry.MethodModifyTime},
		person:  inetPerson, group: groupOfNames, off: [2]string{"nsAccountLock", "true"},
	}
}

// activeDirectories are Samba, and the same server with what Windows does and Samba does not: no more entries in a page than
// it likes (MaxPageSize), and long lists of members in parts, with an empty list under the plain name (MaxValRange).
func activeDirectories(t *testing.T) []*estate {
	samba := sambaEstate(t)
	samba.shared = true
	windows := *samba
	windows.name, windows.layer = "windows", windowsLayer()
	return []*estate{samba, &windows}
}

func sambaEstate(t *testing.T) *estate {
	s := testserver.Samba(t)
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &estate{
		name: "samba", editor: s, root: testserver.SambaBase, idAttr: "objectGUID", rdn: "CN",
		dial: func() (net.Conn, error) { // it takes no password in clear; we do, on loopback
			return tls.Dial("tcp", net.JoinHostPort(s.Host, "636"), &tls.Config{RootCAs: pool, ServerName: s.Host, MinVersion: tls.VersionTLS12})
		},
		options: ldapsync.Options{Preset: entry.ActiveDirectory, BindDN: testserver.SambaSyncDN,
			People: ldapsync.People{Filter: "(&(objectCategory=person)(objectClass=user)(!(employeeType=former)))"}},
		methods: []entry.Method{entry.MethodUSN, entry.MethodDirSync, entry.MethodModifyTime},
		person: func(name string) map[string][]string {
			return map[string][]string{"objectClass": {"user"}, "sAMAccountName": {name}, "userPrincipalName": {name}, "userAccountControl": {"544"}}
		},
		group: func(name string, members []string) map[string][]string {
			return map[string][]string{"objectClass": {"group"}, "sAMAccountName": {name}, "member": members}
		},
		off: [2]string{"userAccountControl", "546"}, on: []string{"544"},
		renamed: func(c *ldap.Conn, dn, name string) error {
			req := ldap.NewModifyRequest(dn, nil)
			req.Replace("sAMAccountName", []string{name})
			req.Replace("userPrincipalName", []string{name})
			return c.Modify(req)
		},
	}
}

func inetPerson(name string) map[string][]string {
	return map[string][]string{"objectClass": {"inetOrgPerson"}, "uid": {name}, "cn": {name}, "sn": {name}}
}

func groupOfNames(name string, members []string) map[string][]string {
	return map[string][]string{"objectClass": {"groupOfNames"}, "cn": {name}, "member": members}
}

// plant makes a tree with people, two groups of some of them, and a group of groups.
func (e *estate) plant(t testing.TB, name string, people int) *tree {
	t.Helper()
	tr := &tree{estate: e, t: t, base: "ou=" + name + "," + e.root, there: map[string]bool{}}
	tr.do(func(c *ldap.Conn) error {
		for _, ou := range []string{tr.base, "ou=inner," + tr.base} {
			if err := addEntry(c, ou, map[string][]string{"objectClass": {"organizationalUnit"}}); err != nil {
				return err
			}
		}
		for range people {
			if err := tr.join(c); err != nil {
				return err
			}
		}
		for i, members := range [][]string{tr.people[:people/2], tr.people[people/3:], nil} {
			if members == nil {
				members = []string{tr.groups[0], tr.people[0]}
			}
			dn := fmt.Sprintf("cn=%s-g%d,%s", name, i, tr.base)
			if err := addEntry(c, dn, e.group(fmt.Sprintf("%s-g%d", name, i), members)); err != nil {
				return err
			}
			tr.groups = append(tr.groups, dn)
			tr.there[fmt.Sprintf("%s-g%d", name, i)] = true
		}
		return nil
	})
	return tr
}

// do does something as an administrator.
func (tr *tree) do(what func(*ldap.Conn) error) {
	tr.t.Helper()
	if tr.conn == nil {
		c, err := tr.Dial()
		if err != nil {
			tr.t.Fatal(err)
		}
		tr.conn = c
		tr.t.Cleanup(func() { c.Close() })
	}
	if err := what(tr.conn); err != nil {
		tr.t.Fatal(err)
	}
}

func addEntry(c *ldap.Conn, dn string, attrs map[string][]string) error {
	req := ldap.NewAddRequest(dn, nil)
	for name, values := range attrs {
		req.Attribute(name, values)
	}
	return c.Add(req)
}

func replaceAttr(c *ldap.Conn, dn, attr string, values ...string) error {
	req := ldap.NewModifyRequest(dn, nil)
	req.Replace(attr, values)
	return c.Modify(req)
}

// join adds a person whose manager is the one before.
func (tr *tree) join(c *ldap.Conn) error {
	name := fmt.Sprintf("%s-p%d", nameOf(tr.base), tr.made)
	tr.made++
	attrs := tr.person(name)
	attrs["title"] = []string{"Engineer"}
	if n := len(tr.people); n > 0 {
		attrs["manager"] = []string{tr.people[n-1]}
	}
	dn := tr.rdn + "=" + name + "," + tr.base
	if err := addEntry(c, dn, attrs); err != nil {
		return err
	}
	tr.people = append(tr.people, dn)
	tr.there[name] = true
	return nil
}

// nameOf is the value of a DN's first RDN.
func nameOf(dn string) string {
	first, _, _ := strings.Cut(dn, ",")
	_, name, _ := strings.Cut(first, "=")
	return name
}

// aboveOf is the DN of the superior.
func aboveOf(dn string) string {
	_, above, _ := strings.Cut(dn, ",")
	return above
}

// present are the names of people and groups that are there.
func (tr *tree) present() map[string]bool {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return maps.Clone(tr.there)
}

// change makes real changes before the n-th run: somebody gets a title, somebody joins, a group changes, and now and then
// somebody is deleted.
func (tr *tree) change(n int, leave bool) {
	tr.t.Helper()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.do(func(c *ldap.Conn) error {
		if err := replaceAttr(c, tr.people[n%len(tr.people)], "title", fmt.Sprintf("Title %d", n)); err != nil {
			return err
		}
		if leave {
			gone := tr.people[len(tr.people)-1]
			if err := tr.leaveGroups(c, gone); err != nil {
				return err
			}
			if err := c.Del(ldap.NewDelRequest(gone, nil)); err != nil {
				return err
			}
			tr.people = tr.people[:len(tr.people)-1]
			delete(tr.there, nameOf(gone))
			if err := tr.join(c); err != nil {
				return err
			}
		}
		members := []string{tr.people[n%len(tr.people)], tr.people[(n+1)%len(tr.people)], tr.people[(n+3)%len(tr.people)]}
		slices.Sort(members)
		return replaceAttr(c, tr.groups[n%2], "member", slices.Compact(members)...)
	})
}

// leaveGroups takes the person out of the groups and away from those who have them as manager, as directories do that keep
// references whole; OpenLDAP does not by itself.
func (tr *tree) leaveGroups(c *ldap.Conn, dn string) error {
	r, err := c.Search(ldap.NewSearchRequest(tr.base, ldap.ScopeWholeSubtree, 0, 0, 0, false,
		fmt.Sprintf("(|(member=%[1]s)(manager=%[1]s))", ldap.EscapeFilter(dn)), []string{"member", "manager"}, nil))
	if err != nil {
		return err
	}
	for _, e := range r.Entries {
		for _, attr := range []string{"member", "manager"} {
			values := e.GetAttributeValues(attr)
			left := slices.DeleteFunc(slices.Clone(values), func(v string) bool { return strings.EqualFold(v, dn) })
			if len(left) == len(values) {
				continue
			}
			if attr == "member" && len(left) == 0 {
				left = []string{tr.people[0]}
			}
			if err := replaceAttr(c, e.DN, attr, left...); err != nil {
				return err
			}
		}
	}
	return nil
}

// truth reads the tree as a plain client does, with go-ldap and without pages.
func (tr *tree) truth() map[string]fact {
	tr.t.Helper()
	all, ids, members, managers := map[string]fact{}, map[string]string{}, map[string][]string{}, map[string]string{}
	tr.do(func(c *ldap.Conn) error {
		r, err := c.Search(ldap.NewSearchRequest(tr.base, ldap.ScopeWholeSubtree, 0, 0, 0, false,
			"(|(&(|(objectClass=inetOrgPerson)(objectClass=user))(!(employeeType=former)))(objectClass=groupOfNames)(objectClass=group))",
			[]string{tr.idAttr, "uid", "cn", "userPrincipalName", "title", "manager", "member", "objectClass", tr.off[0]}, nil))
		if err != nil {
			return err
		}
		for _, e := range r.Entries {
			id := e.GetAttributeValue(tr.idAttr)
			if tr.idAttr == "objectGUID" {
				if id, err = entry.GUID.Convert(e.GetRawAttributeValue(tr.idAttr)); err != nil {
					return err
				}
			}
			ids[strings.ToLower(e.DN)] = id
			f := fact{Kind: model.KindUser, Name: e.GetAttributeValue("uid") + e.GetAttributeValue("userPrincipalName"), Title: e.GetAttributeValue("title"),
				Active: !slices.Contains(e.GetAttributeValues(tr.off[0]), tr.off[1])}
			if f.Active {
				f.Account = model.AccountActive
			}
			if classes := e.GetAttributeValues("objectClass"); slices.Contains(classes, "groupOfNames") || slices.Contains(classes, "group") {
				f = fact{Kind: model.KindGroup, Name: e.GetAttributeValue("cn"), Active: true}
			}
			all[id], members[id], managers[id] = f, e.GetAttributeValues("member"), e.GetAttributeValue("manager")
		}
		return nil
	})
	for id, f := range all {
		f.Manager = ids[strings.ToLower(managers[id])]
		for _, dn := range members[id] {
			if m, ok := ids[strings.ToLower(dn)]; ok && f.Kind == model.KindGroup {
				f.Members = append(f.Members, m)
			}
		}
		slices.Sort(f.Members)
		all[id] = f
	}
	return all
}

// ward is a database, and an engine that reads a tree into it and gives everybody an account.
type ward struct {
	t      testing.TB
	name   string // of the source
	tree   *tree
	tamper *tamper
	store  *store.Store
	method entry.Method
	engine *engine.Engine
	ahead  time.Duration   // of the engine's clock
	last   map[string]fact // that were stored when it was looked last
}

// pageSize makes several pages of few people.
const pageSize = 3

func newWard(t testing.TB, tr *tree, method entry.Method, url string) *ward {
	t.Helper()
	w := &ward{t: t, name: "corp", tree: tr, method: method, tamper: newTamper(t, tr.dial, tr.layer)}
	if url == "" {
		url = "sqlite:" + filepath.Join(t.TempDir(), "jmld.db")
	}
	var err error
	if w.store, err = store.Open(t.Context(), store.Options{URL: url}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.store.Close() })
	w.engine = w.engineWith(time.Minute)
	return w
}

// engineWith is an engine whose source waits so long for the next byte.
func (w *ward) engineWith(idle time.Duration) *engine.Engine {
	w.t.Helper()
	return w.engineFor(idle, func(*ldapsync.Options) {})
}

// engineFor is one whose source has other options.
func (w *ward) engineFor(idle time.Duration, change func(*ldapsync.Options)) *engine.Engine {
	w.t.Helper()
	t, tr, method := w.t, w.tree, w.method
	o := tr.options
	o.Name, o.URL, o.Password, o.Base, o.Groups, o.PageSize = w.name, w.tamper.url, password, tr.base, &ldapsync.Groups{}, pageSize
	o.Incremental, o.Delta = method, method != entry.MethodNone
	o.Timeouts = ldapsync.Timeouts{Connect: time.Minute, Idle: idle, Run: 5 * time.Minute}
	change(&o)
	rules, mistakes := policy.Compile(policy.Config{Accounts: []policy.Rule{{Name: "everybody", Target: "app", When: "true"}}}, []string{"app"})
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	all := jml.Limit{Count: 1_000_000}
	return engine.New(engine.Options{
		Store: w.store, Replica: "one", Now: func() time.Time { return time.Now().Add(w.ahead) },
		// Wide open: that nobody leaves is shown without it.
		Guard: jml.Limits{Count: 1_000_000, Share: 1, Ceiling: 1, Window: time.Hour, Expiry: time.Hour, Changed: all, Emptied: all,
			Movers: all, Week: all, Joiners: all, Returns: all, Group: all, GroupEmptied: 1_000_000, Shrink: all, Renewed: all, Clock: 10_000 * time.Hour},
		Rules:   &jml.Rules{Precedence: []string{"corp", "other"}, Correlation: []string{"userName"}, Policy: rules, Targets: []string{"app"}},
		Sources: []engine.ReadSource{{Source: source(t, o), Timeout: 5 * time.Minute, Absence: engine.Absence{After: 24 * time.Hour}}},
	})
}

// sync reads.
func (w *ward) sync(ctx context.Context, mode model.Mode) (engine.Synced, error) {
	return w.engine.Sync(ctx, w.name, engine.SyncOptions{Mode: mode, Trigger: "demand", Actor: "test"})
}

// clean reads without faults, which must succeed.
func (w *ward) clean(mode model.Mode) engine.Synced {
	w.t.Helper()
	w.tamper.set(nil)
	out, err := w.sync(w.t.Context(), mode)
	if err != nil || out.Run.Verdict != model.VerdictComplete {
		w.t.Fatalf("a %s without a fault: %s, %v, %q", mode, out.Run.Verdict, err, failedConditions(out.Proof))
	}
	w.last = w.facts()
	return out
}

// settle lets those leave who were deleted: two days and two reads later.
func (w *ward) settle() {
	w.t.Helper()
	w.clean(model.ModeCensus)
	w.ahead += 48 * time.Hour
	w.clean(model.ModeCensus)
}

// facts are what is stored.
func (w *ward) facts() map[string]fact {
	w.t.Helper()
	ctx := w.t.Context()
	all := map[string]fact{}
	var subjects []engine.Subject
	err := w.store.Hashes(ctx, w.name, func(id []byte, _ model.Kind, _ []byte) error {
		subjects = append(subjects, engine.Subject{Source: w.name, Record: string(id)})
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	for part := range slices.Chunk(subjects, 100) {
		people, err := w.store.Load(ctx, part)
		if err != nil {
			w.t.Fatal(err)
		}
		for i, p := range people {
			if p.Record == nil {
				continue
			}
			if f := w.factOf(p); p.Record.AbsentSince == nil || f.Account == model.AccountActive { // or waits for approval
				all[part[i].Record] = f
			}
		}
	}
	return all
}

func (w *ward) factOf(p engine.Person) fact {
	w.t.Helper()
	r := p.Record
	f := fact{Kind: r.Kind, Name: r.UserName, Active: r.Active}
	if r.Kind == model.KindGroup {
		f.Name = r.DisplayName
		var err error
		if f.Members, err = w.store.MembersAmong(w.t.Context(), w.name, r.ID, nil); err != nil {
			w.t.Fatal(err)
		}
		slices.Sort(f.Members)
		return f
	}
	var attrs struct {
		Title      string
		Enterprise struct{ Manager struct{ Value string } } `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`
	}
	if err := json.Unmarshal([]byte(r.Attrs), &attrs); err != nil {
		w.t.Fatal(err)
	}
	f.Title, f.Manager = attrs.Title, attrs.Enterprise.Manager.Value
	for _, a := range p.Accounts {
		if a.State == model.AccountActive { // who comes suspended gets none, and who is suspended later keeps an inactive one
			f.Account = a.State
		}
	}
	return f
}

// differs compares what is stored with what is true.
func (w *ward) differs() string {
	w.t.Helper()
	truth := w.tree.truth()
	have := w.facts()
	for id, f := range have {
		if len(f.Members) == 0 {
			f.Members = nil
		}
		have[id] = f
	}
	return cmp.Diff(truth, have)
}

// wrongLeavers names the people who were in the directory and are, were known, and are not in the database any more, or have lost
// their account.
func (w *ward) wrongLeavers(before map[string]fact, there map[string]bool) []string {
	w.t.Helper()
	now, still := w.facts(), w.tree.present()
	var list []string
	for id, f := range before {
		if f.Kind == model.KindUser && f.Account != model.AccountActive {
			continue
		}
		if got, ok := now[id]; there[f.Name] && still[f.Name] && (!ok || got.Account != f.Account) {
			list = append(list, fmt.Sprintf("%s (%s)", f.Name, got.Account))
		}
	}
	slices.Sort(list)
	w.last = now
	return list
}
