package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"jmld/jml/engine"
	"jmld/model"
)

// The statements of Load. Parameters: $1, $2 the subjects' records as pairs, $3, $4 their keys as pairs, $5 identities.
const (
	loadOwners = "SELECT k.name, k.value, k.identity_id FROM pairs($1, $2) " +
		"JOIN EACH identity_keys k ON (k.name = p.a AND k.value = p.b)"

	loadRecords = "SELECT " + recordColumns + " FROM pairs($1, $2) JOIN EACH records r ON (r.source = p.a AND r.id = p.b)"

	// ids are the identities that matter: of the records, of the keys, and those asked for.
	loadIDs = "ids AS (" +
		"SELECT r.identity_id AS iid FROM pairs($1, $2) JOIN EACH records r ON (r.source = p.a AND r.id = p.b) WHERE r.identity_id <> '' " +
		"UNION SELECT k.identity_id FROM pairs($3, $4) JOIN EACH identity_keys k ON (k.name = p.a AND k.value = p.b) " +
		"UNION SELECT p.a FROM items($5))"

	// On SQLite, where a round trip costs nothing, they are put together here.
	liteIDs = "ids AS (SELECT p.a AS iid FROM items($$1))"

	// One record, the most common subject: the identity that matters is found by its key. On SQLite it is known by then.
	loadOne = "ids AS (SELECT identity_id AS iid FROM records WHERE source = $1 AND id = $2 AND identity_id <> '')"
	liteOne = "ids AS (SELECT $1 AS iid)"

	twinsOf = "SELECT " + recordColumns + " FROM records r WHERE r.source = $1 AND r.external_id = $2 AND r.external_id <> '' " +
		"AND r.kind || '' = $3 LIMIT 2"

	oneRecord = "SELECT " + recordColumns + " FROM records r WHERE r.source = $1 AND r.id = $2"

	identitiesOf = " SELECT " + identityColumns + " FROM ids JOIN EACH identities i ON (i.id = ids.iid)"

	// kind is no condition for an index: see query.where.
	linkedOf = " SELECT " + recordColumns +
		" FROM ids JOIN EACH records r ON (r.identity_id = ids.iid AND r.identity_id <> '' AND r.kind || '' = 'user')"

	keysOf = " SELECT k.name, k.value, k.identity_id FROM ids JOIN EACH identity_keys k ON (k.identity_id = ids.iid)"

	accountsOf = " SELECT " + accountColumns + " FROM ids JOIN EACH accounts a ON (a.identity_id = ids.iid)"

	// Upward from the records, each group once as direct and once as inherited: a cycle ends by itself.
	groupsOf = ", up(iid, source, group_id, direct) AS (" +
		"SELECT ids.iid, r.source, m.group_id, 1 FROM ids " +
		"JOIN EACH records r ON (r.identity_id = ids.iid AND r.identity_id <> '' AND r.kind || '' = 'user') " +
		"JOIN SOME members m group_id ON (m.source = r.source AND m.member_id = r.id) " +
		"UNION SELECT up.iid, up.source, m.group_id, 0 FROM up " +
		"JOIN SOME members m group_id ON (m.source = up.source AND m.member_id = up.group_id)) " +
		"SELECT up.iid, up.source, up.group_id, g.display_name, max(up.direct), " +
		"coalesce((SELECT string_agg(n.name, '\n') FROM group_names n WHERE n.source = up.source AND n.group_id = up.group_id), '') FROM up " +
		"JOIN EACH records g ON (g.source = up.source AND g.id = up.group_id) " +
		"GROUP BY up.iid, up.source, up.group_id, g.display_name"
)

// oneGroup says of the ids $3 whether each is a member of the group, what its record is, and whether the group has more members than
// the text says: see Members. The group's own version is read before: members that are newer make a commit stale, older ones
// would be believed.
const oneGroup = "SELECT p.a, EXISTS (SELECT 1 FROM members m WHERE m.source = $1 AND m.group_id = $2 AND m.member_id = p.a), " +
	"coalesce((SELECT r.kind FROM records r WHERE r.source = $1 AND r.id = p.a), ''), " +
	"EXISTS (SELECT 1 FROM members m WHERE m.source = $1 AND m.group_id = $2 LIMIT 1 OFFSET %d) FROM items($3)"

// loaded is what Load found, by identity.
type loaded struct {
	records    map[engine.RecordRef]*model.Record
	owners     map[model.Key]string
	identities map[string]*model.Identity
	linked     map[string][]model.Record
	keys       map[string][]model.Key
	accounts   map[string][]model.Account
	groups     map[string][]model.Membership
	deep       bool // there are more groups than those that are here
	access     granted
}

// Load returns one Person for each subject, in order. On SQLite everything is of one moment. On PostgreSQL each kind of
// row is of its own moment, but what belongs to an identity is never older than its version, and records and keys have
// versions and uniqueness of their own: Commit compares them, so what is decided from a mixture is never stored.
func (s *Store) Load(ctx context.Context, subjects []engine.Subject) ([]engine.Person, error) {
	if len(subjects) == 0 {
		return nil, nil
	}
	var records, keys [][2]string
	var ids []string
	alone := true
	for i := range subjects {
		alone = alone && subjects[i].Alone && len(subjects[i].Keys) == 0
		if sub := &subjects[i]; sub.Record != "" {
			records = append(records, [2]string{sub.Source, sub.Record})
		}
		if subjects[i].Identity != "" {
			ids = append(ids, subjects[i].Identity)
		}
		for _, k := range subjects[i].Keys {
			if !usable(k) {
				continue
			}
			keys = append(keys, [2]string{k.Name, k.Value})
		}
	}
	read := func(ops []op) error { return s.read(ctx, ops...) }
	if len(subjects) == 1 {
		read = func(ops []op) error { return s.lookup(ctx, ops...) }
	}
	if alone && len(subjects) == 1 {
		p, err := s.alone(read, &subjects[0])
		return []engine.Person{p}, err
	}
	var twins []op
	people := make([]engine.Person, len(subjects))
	for i := range subjects {
		if sub := &subjects[i]; sub.ExternalID != "" {
			twins = append(twins, op{text: s.sql(twinsOf), args: []any{sub.Source, cut(sub.ExternalID, maxKey), string(sub.Kind)}, each: func(row scanner) error {
				var r model.Record
				err := scanRecord(row, &r)
				people[i].Twins = append(people[i].Twins, r)
				return err
			}})
		}
	}
	got, err := s.load(read, records, keys, ids, alone, twins)
	if err != nil {
		return nil, err
	}
	for i := range subjects {
		found := people[i].Twins
		people[i] = got.person(&subjects[i])
		people[i].Twins = found
	}
	return people, nil
}

// alone loads a record that is nobody's.
func (s *Store) alone(read func([]op) error, sub *engine.Subject) (engine.Person, error) {
	p := engine.Person{Owners: map[model.Key]string{}}
	ops := []op{{text: s.sql(oneRecord), args: []any{sub.Source, sub.Record}, each: func(row scanner) error {
		p.Record = &model.Record{}
		return scanRecord(row, p.Record)
	}}}
	if len(sub.Members) > 0 {
		p.Members = make(map[string]engine.Member, len(sub.Members))
		ops = append(ops, op{text: s.sql(fmt.Sprintf(oneGroup, sub.Most)), args: []any{sub.Source, sub.Record, s.list(sub.Members)},
			each: func(row scanner) error {
				var id string
				var m engine.Member
				var more bool
				err := row.Scan(&id, &m.In, (*string)(&m.Kind), &more)
				p.Members[id], p.More = m, more && sub.Most > 0
				return err
			}})
	}
	if sub.Count > 0 {
		p.Losing = &engine.Losing{}
		ops = append(ops, s.losing(sub.Source, sub.Record, sub.Count, p.Losing))
	}
	return p, read(ops)
}

// load asks for everything at once. But who brings keys is most often new: then it asks for their owners first, and for the rest
// only when there are any.
func (s *Store) load(read func([]op) error, records, keys [][2]string, ids []string, alone bool, first []op) (*loaded, error) {
	got := &loaded{
		records: map[engine.RecordRef]*model.Record{}, owners: map[model.Key]string{},
		identities: map[string]*model.Identity{}, linked: map[string][]model.Record{}, keys: map[string][]model.Key{},
		accounts: map[string][]model.Account{}, groups: map[string][]model.Membership{},
		access: granted{rows: map[string][]model.AccessMember{}},
	}
	recordA, recordB := s.pairs(records)
	keyA, keyB := s.pairs(keys)
	if len(keys) > 0 {
		first = append(first, op{text: s.sql(loadOwners), args: []any{keyA, keyB}, each: got.owner},
			op{text: s.sql(accessByKey), args: []any{keyA, keyB}, each: got.access.row})
	}
	if len(records) > 0 {
		first = append(first, op{text: s.sql(loadRecords), args: []any{recordA, recordB}, each: got.record})
	}
	if alone {
		return got, read(first)
	}
	if len(first) == 1 && len(records) == 1 && len(ids) == 0 {
		ops, above := s.loadOne(got, engine.RecordRef{Source: records[0][0], ID: records[0][1]})
		if err := read(ops); err != nil || !got.deep || s.lite {
			return got, err
		}
		clear(got.groups)
		return got, read([]op{above})
	}
	rest := s.loadRest(got)
	switch {
	case s.lite: // one transaction, and nothing travels
		var found []any
		for i := range rest {
			rest[i].late = func() []any {
				if all := got.ids(ids); found == nil && len(all) > 0 {
					found = []any{s.list(all)}
				}
				return found
			}
		}
		return got, read(append(first, rest...))
	case len(keys) > 0:
		if err := read(first); err != nil {
			return nil, err
		}
		if ids = got.ids(ids); len(ids) == 0 {
			return got, nil
		}
		first = nil
		recordA, recordB = s.pairs(nil)
		keyA, keyB = s.pairs(nil)
	}
	for i := range rest {
		rest[i].args = []any{recordA, recordB, keyA, keyB, s.list(ids)}
	}
	return got, read(append(rest, first...)) // identities first: see Load
}

// about are statements about identities that are selected in one way, as the database wants them.
type about struct{ identities, linked, keys, accounts, groups, access string }

func (d *dialect) asking() about {
	text := func(with, rest string) string { return d.sql(with + loadIDs + rest) }
	return about{
		identities: text("WITH ", identitiesOf), linked: text("WITH ", linkedOf), keys: text("WITH ", keysOf), accounts: text("WITH ", accountsOf),
		groups: text("WITH RECURSIVE ", groupsOf), access: text("WITH ", accessOf),
	}
}

// loadRest are the statements about the identities, which come first: see Load.
func (s *Store) loadRest(got *loaded) []op {
	a := &s.about
	return []op{
		{text: a.identities, each: got.identity}, {text: a.linked, each: got.link}, {text: a.keys, each: got.key},
		{text: a.accounts, each: got.account}, {text: a.groups, each: got.group}, {text: a.access, each: got.access.row},
	}
}

// ids are the identities that matter, once the records and the owners are known.
func (l *loaded) ids(asked []string) []string {
	all := slices.Clone(asked)
	for _, r := range l.records {
		if r.IdentityID != "" {
			all = append(all, r.IdentityID)
		}
	}
	for _, owner := range l.owners {
		all = append(all, owner)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (l *loaded) owner(row scanner) error {
	var k model.Key
	var owner string
	err := row.Scan(&k.Name, &k.Value, &owner)
	l.owners[k] = owner
	return err
}

func (l *loaded) record(row scanner) error {
	var r model.Record
	err := scanRecord(row, &r)
	l.records[engine.RecordRef{Source: r.Source, ID: r.ID}] = &r
	return err
}

func (l *loaded) identity(row scanner) error {
	var i model.Identity
	err := scanIdentity(row, &i)
	l.identities[i.ID] = &i
	return err
}

func (l *loaded) link(row scanner) error {
	var r model.Record
	err := scanRecord(row, &r)
	l.linked[r.IdentityID] = append(l.linked[r.IdentityID], r)
	return err
}

func (l *loaded) key(row scanner) error {
	var k model.Key
	var owner string
	err := row.Scan(&k.Name, &k.Value, &owner)
	l.keys[owner] = append(l.keys[owner], k)
	return err
}

func (l *loaded) account(row scanner) error {
	var a model.Account
	err := scanAccount(row, &a)
	l.accounts[a.IdentityID] = append(l.accounts[a.IdentityID], a)
	return err
}

func (l *loaded) group(row scanner) error {
	var m model.Membership
	var owner string
	var direct int64
	err := row.Scan(&owner, &m.Source, &m.GroupID, &m.DisplayName, &direct, &m.Former)
	m.Direct = direct == 1
	l.groups[owner] = append(l.groups[owner], m)
	return err
}

func (l *loaded) person(sub *engine.Subject) engine.Person {
	p := engine.Person{Owners: map[model.Key]string{}}
	for _, k := range sub.Keys {
		if owner, ok := l.owners[k]; ok {
			p.Owners[k] = owner
		}
	}
	if sub.Record != "" {
		p.Record = clone(l.records[engine.RecordRef{Source: sub.Source, ID: sub.Record}])
	}
	id := sub.Identity
	if id == "" && p.Record != nil {
		id = p.Record.IdentityID
	}
	if id == "" {
		id = only(p.Owners)
	}
	p.Identity = clone(l.identities[id])
	l.access.of(&p, sub)
	if p.Identity == nil {
		return p
	}
	// Two subjects may be about one person: each gets its own rows.
	p.Records, p.Keys = slices.Clone(l.linked[id]), slices.Clone(l.keys[id])
	p.Accounts, p.Groups = slices.Clone(l.accounts[id]), slices.Clone(l.groups[id])
	slices.SortFunc(p.Records, func(a, b model.Record) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.ID, b.ID))
	})
	slices.SortFunc(p.Keys, func(a, b model.Key) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
	})
	slices.SortFunc(p.Accounts, func(a, b model.Account) int { return cmp.Compare(a.Target, b.Target) })
	sortGroups(p.Groups)
	return p
}

func sortGroups(groups []model.Membership) {
	slices.SortFunc(groups, func(a, b model.Membership) int {
		return cmp.Or(cmp.Compare(a.DisplayName, b.DisplayName), cmp.Compare(a.Source, b.Source), cmp.Compare(a.GroupID, b.GroupID))
	})
}

// only is the one identity that owns all of the keys that have an owner, or "".
func only(owners map[model.Key]string) string {
	id := ""
	for _, owner := range owners {
		if id != "" && owner != id {
			return ""
		}
		id = owner
	}
	return id
}

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}

// MembersAmong returns which of the ids are members of the group, all members when ids is nil, in order.
func (s *Store) MembersAmong(ctx context.Context, source, group string, ids []string) ([]string, error) {
	const all = "SELECT member_id FROM members WHERE source = $1 AND group_id = $2 ORDER BY member_id"
	const among = "SELECT member_id FROM members WHERE source = $1 AND group_id = $2 AND member_id IN list($3) ORDER BY member_id"
	var found []string
	o := op{text: s.sql(all), args: []any{source, group}, each: func(row scanner) error {
		var id string
		err := row.Scan(&id)
		found = append(found, id)
		return err
	}}
	if ids != nil {
		o.text, o.args = s.sql(among), append(o.args, s.list(ids))
	}
	err := s.read(ctx, o)
	return found, err
}

// Lost counts the people of a source whose accounts were deactivated or deleted since t, without approval by a person: for each
// target, and altogether as "".
func (s *Store) Lost(ctx context.Context, source string, since time.Time) (map[string]int, error) {
	const text = "WITH gone AS (SELECT DISTINCT target, identity_id FROM changes WHERE source = $1 AND at >= $2 " +
		"AND state = 'committed' AND op IN ('!', '-') AND decided_by IN ('', 'guard')) " +
		"SELECT '', CASE WHEN min(target) = max(target) THEN count(*) ELSE (SELECT count(DISTINCT identity_id) FROM gone) END FROM gone " +
		"UNION ALL SELECT target, count(*) FROM gone GROUP BY target"
	return s.counts(ctx, s.read, text, source, stamp(since))
}

// supported walks two indexes in the order of the people and reads no row: for each set of targets that people have active accounts in, how
// many have just these.
const supported = "SELECT t, count(*) FROM (SELECT string_agg(a.target, ' ') AS t FROM accounts a WHERE a.state = 'active' AND EXISTS (" +
	"SELECT 1 FROM records r WHERE r.identity_id = a.identity_id AND r.identity_id <> '' AND r.source = $1) GROUP BY a.identity_id) x GROUP BY t"

// Supported counts the people with an active account whose identity has a record of the source: for each target, and altogether
// as "". It looks at all of them: a caller on a hot path remembers the answer for a while.
func (s *Store) Supported(ctx context.Context, source string) (map[string]int, error) {
	sets, err := s.counts(ctx, s.survey, supported, source)
	out := map[string]int{"": 0}
	for set, n := range sets {
		out[""] += n
		for _, target := range strings.Fields(set) { // names of targets have no spaces
			out[target] += n
		}
	}
	return out, err
}

func (s *Store) counts(ctx context.Context, read func(context.Context, ...op) error, text string, args ...any) (map[string]int, error) {
	out := map[string]int{}
	err := read(ctx, op{text: s.sql(text), args: args, each: func(row scanner) error {
		var key string
		var n int
		err := row.Scan(&key, &n)
		out[key] = n
		return err
	}})
	return out, err
}
