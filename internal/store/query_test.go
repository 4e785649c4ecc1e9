package store_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"jmld/internal/store"
	"jmld/jml/engine"
	"jmld/model"
)

const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

func attr(name string) model.AttrRef {
	exact := name == "id" || name == "externalId" || strings.HasPrefix(name, "members")
	if number, ok := strings.CutPrefix(name, enterprise+":"); ok {
		return model.AttrRef{Schema: enterprise, Path: []string{number}}
	}
	return model.AttrRef{Path: strings.Split(name, "."), CaseExact: exact}
}

func compare(name string, op model.CompareOp, value any) model.Compare {
	return model.Compare{Attr: attr(name), Op: op, Value: value}
}

// holds is what filters mean, said once more, slowly.
func holds(f model.Filter, r *model.Record, attrs map[string]any) bool {
	switch f := f.(type) {
	case model.And:
		return !slices.ContainsFunc(f.Terms, func(t model.Filter) bool { return !holds(t, r, attrs) })
	case model.Or:
		return slices.ContainsFunc(f.Terms, func(t model.Filter) bool { return holds(t, r, attrs) })
	case model.Not:
		return !holds(f.Term, r, attrs)
	case model.ValuePath:
		list, _ := attrs[f.Attr.Path[0]].([]any)
		return slices.ContainsFunc(list, func(e any) bool { return holds(f.Term, &model.Record{}, e.(map[string]any)) })
	case model.Compare:
		return compared(f, valuesOf(f.Attr, r, attrs))
	}
	panic("unknown filter")
}

func valuesOf(a model.AttrRef, r *model.Record, attrs map[string]any) []any {
	switch a.String() {
	case "id":
		return []any{r.ID}
	case "meta.created":
		return []any{r.CreatedAt}
	case "meta.lastModified":
		return []any{r.UpdatedAt}
	}
	if a.Schema != "" {
		attrs, _ = attrs[a.Schema].(map[string]any)
	}
	values := []any{attrs}
	for _, name := range a.Path {
		var next []any
		for _, v := range values {
			m, _ := v.(map[string]any)
			switch v := m[name].(type) {
			case nil:
			case []any:
				next = append(next, v...)
			default:
				next = append(next, v)
			}
		}
		values = next
	}
	return values
}

func compared(c model.Compare, values []any) bool {
	if c.Op == model.OpPr {
		return len(values) > 0
	}
	if len(values) == 0 {
		return c.Op == model.OpNe
	}
	return slices.ContainsFunc(values, func(v any) bool {
		var order int
		switch want := c.Value.(type) {
		case bool:
			got, ok := v.(bool)
			return (ok && got == want) == (c.Op == model.OpEq)
		case time.Time:
			order = v.(time.Time).Compare(want)
		case string:
			got, ok := v.(string)
			if at, isTime := v.(time.Time); isTime {
				got, ok = shown(at), true
			}
			if !ok {
				return c.Op == model.OpNe
			}
			if !c.Attr.CaseExact {
				got, want = model.FoldKey(got), model.FoldKey(want)
			}
			switch c.Op {
			case model.OpCo:
				return strings.Contains(got, want)
			case model.OpSw:
				return strings.HasPrefix(got, want)
			case model.OpEw:
				return strings.HasSuffix(got, want)
			}
			order = cmp.Compare(got, want)
		}
		switch c.Op {
		case model.OpEq:
			return order == 0
		case model.OpNe:
			return order != 0
		case model.OpGt:
			return order > 0
		case model.OpGe:
			return order >= 0
		case model.OpLt:
			return order < 0
		case model.OpLe:
			return order <= 0
		}
		return false
	})
}

func shown(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func matcherOf(f model.Filter) func(*model.Record, []bool) bool {
	return func(r *model.Record, _ []bool) bool {
		var attrs map[string]any
		if err := json.Unmarshal([]byte(r.Attrs), &attrs); err != nil {
			panic(err)
		}
		return holds(f, r, attrs)
	}
}

// crowd are people with and without attributes, in mixed case, with long and strange values.
func crowd(t *testing.T, s *store.Store) []model.Record {
	t.Helper()
	names := []string{"ada", "Ada Lovelace", "BOB", "bobby", "zoë", "100%", "a_b", "straße", "STRASSE", "Émile"}
	long := strings.Repeat("long ", 200)
	c := &engine.Commit{}
	var all []model.Record
	for i := range 60 {
		name := fmt.Sprintf("%s%d", names[i%len(names)], i/len(names))
		if i%15 == 11 { // longer than an index holds, with more behind
			name += " " + strings.Repeat(long, 3) + name
		}
		r := user("entra", fmt.Sprintf("ID%02d", i), name, "")
		r.Active = i%3 != 0
		r.CreatedAt, r.UpdatedAt = at(i/2), at(i)
		attrs := map[string]any{"userName": name, "active": r.Active}
		r.ExternalID, r.DisplayName, r.DisplayNameKey = "", "", ""
		if i%2 == 0 {
			r.ExternalID = strings.ToUpper(name)
			attrs["externalId"] = r.ExternalID
		}
		if i%4 != 0 {
			r.DisplayName = names[(i*7)%len(names)]
			r.DisplayNameKey = model.FoldKey(r.DisplayName)
			attrs["displayName"] = r.DisplayName
		}
		if i%5 != 0 {
			attrs["emails"] = []any{
				map[string]any{"value": strings.ReplaceAll(name, " ", ".") + "@Example.org", "type": "Work", "primary": true},
				map[string]any{"value": names[i%7] + "@home.example.org", "type": "home"},
			}
		} else {
			attrs["emails"] = []any{map[string]any{"type": "work"}, map[string]any{"value": long + name}}
		}
		if i%3 == 1 {
			attrs[enterprise] = map[string]any{"employeeNumber": fmt.Sprint("N", i%9), "manager": map[string]any{"value": fmt.Sprintf("ID%02d", i/2)}}
		}
		if i%2 == 1 {
			attrs["title"] = names[i%3]
			attrs["name"] = map[string]any{"familyName": names[(i*3)%len(names)]}
		}
		text, err := json.Marshal(attrs)
		must(t, err)
		r.Attrs = string(text)
		all = append(all, r)
		c.Records = append(c.Records, engine.Write{New: &r, AddValues: model.Values(attrs, model.FoldKey)})
	}
	must(t, s.Commit(ctxOf(t), c))
	slices.SortFunc(all, func(a, b model.Record) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return all
}

func anyFilter(depth int) *rapid.Generator[model.Filter] {
	return rapid.Custom(func(t *rapid.T) model.Filter {
		if depth > 0 && rapid.IntRange(0, 2).Draw(t, "nest") == 0 {
			terms := rapid.SliceOfN(anyFilter(depth-1), 1, 3).Draw(t, "terms")
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				return model.And{Terms: terms}
			case 1:
				return model.Or{Terms: terms}
			}
			return model.Not{Term: terms[0]}
		}
		ops := rapid.SampledFrom([]model.CompareOp{
			model.OpEq, model.OpNe, model.OpCo, model.OpSw, model.OpEw, model.OpPr, model.OpGt, model.OpGe, model.OpLt, model.OpLe,
		})
		texts := rapid.SampledFrom([]string{
			"ada0", "ADA", "bob", "BOB1", "zoë", "ZOË2", "straße", "%", "_", "a_b", "100%3", "N4", "n", "ID0", "id07", "ID31", "",
			" ", "b ", "lovelace", "ada0@example.org", "Bob@home", "example.ORG", "long", strings.Repeat("long ", 200) + "ada0",
			strings.Repeat("long ", 400) + "BOB0", strings.Repeat("long ", 120), "émile", "work",
			"ada1 " + strings.Repeat("long ", 600) + "ada1", "Ada Lovelace2 " + strings.Repeat("long ", 500), "g bo", "G ADA", "ada1", strings.Repeat("LONG ", 500) + "A",
		})
		name := rapid.SampledFrom([]string{
			"id", "externalId", "userName", "displayName", "active", "meta.created", "meta.lastModified", "emails.value", "emails.type",
			enterprise + ":employeeNumber", "title", "name.familyName", "path", "exactly",
		}).Draw(t, "attribute")
		switch name {
		case "active":
			op := rapid.SampledFrom([]model.CompareOp{model.OpEq, model.OpNe, model.OpPr}).Draw(t, "op")
			return compare(name, op, rapid.Bool().Draw(t, "value"))
		case "meta.created", "meta.lastModified":
			if rapid.IntRange(0, 2).Draw(t, "as text") == 0 {
				op := rapid.SampledFrom([]model.CompareOp{model.OpCo, model.OpSw, model.OpEw}).Draw(t, "op")
				return compare(name, op, rapid.SampledFrom([]string{"20", "2026-", "T", "z", ".000Z", "0", ":00.", shown(at(7)), shown(at(12))[:19], ""}).Draw(t, "part"))
			}
			op := rapid.SampledFrom([]model.CompareOp{model.OpEq, model.OpNe, model.OpGt, model.OpGe, model.OpLt, model.OpLe}).Draw(t, "op")
			return compare(name, op, at(rapid.IntRange(-1, 60).Draw(t, "second")))
		case "path":
			var terms []model.Filter
			for range rapid.IntRange(1, 3).Draw(t, "n") {
				sub := rapid.SampledFrom([]string{"value", "value", "type"}).Draw(t, "sub")
				terms = append(terms, compare(sub, ops.Draw(t, "op"), texts.Draw(t, "value")))
			}
			return model.ValuePath{Attr: attr("emails"), Term: model.And{Terms: terms}}
		case "exactly": // attributes whose case matters against columns that are folded, and the other way round
			c := compare(rapid.SampledFrom([]string{"userName", "emails.value", "externalId"}).Draw(t, "name"), ops.Draw(t, "op"), texts.Draw(t, "value"))
			c.Attr.CaseExact = !c.Attr.CaseExact
			return c
		}
		return compare(name, ops.Draw(t, "op"), texts.Draw(t, "value"))
	})
}

// What SQL finds is what the filter means, page by page, with the exact total.
func TestQueryFindsWhatTheFilterMeans(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		all := crowd(t, s)
		ctx := ctxOf(t)
		rapid.Check(t, func(t *rapid.T) {
			q := model.Query{Source: "entra", Kind: model.KindUser, Offset: rapid.IntRange(0, 20).Draw(t, "offset"), Limit: rapid.IntRange(0, 12).Draw(t, "limit")}
			q.Filter = anyFilter(2).Draw(t, "filter")
			q.Match = matcherOf(q.Filter)
			var want []string
			for i := range all {
				if q.Match(&all[i], nil) {
					want = append(want, all[i].ID)
				}
			}
			total := len(want)
			want = want[min(q.Offset, total):min(q.Offset+q.Limit, total)]
			page, err := s.Query(ctx, q)
			if err != nil {
				t.Fatalf("%+v: %v", q.Filter, err)
			}
			if page.Total != total || !slices.Equal(want, idsOf(page.Records)) {
				t.Fatalf("%+v: got %d %v, want %d %v", q.Filter, page.Total, idsOf(page.Records), total, want)
			}
		})
	})
}

func idsOf(records []model.Record) []string {
	var ids []string
	for _, r := range records {
		ids = append(ids, r.ID)
	}
	return ids
}

func TestQueryFiltersGroupsByMember(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		g, h := group("entra", "g", "Group G"), group("entra", "h", "Group H")
		must(t, s.Commit(ctx, &engine.Commit{Records: []engine.Write{{New: &g, AddMembers: []string{"a", "b"}}, {New: &h, AddMembers: []string{"b"}}}}))
		for id, want := range map[string][]string{"a": {"g"}, "b": {"g", "h"}, "c": nil} {
			f := model.And{Terms: []model.Filter{model.Related{Attr: model.RelatedMembers, Term: compare("value", model.OpEq, id)}, compare("displayName", model.OpSw, "GROUP")}}
			page := get[model.Page](t)(s.Query(ctx, model.Query{Source: "entra", Kind: model.KindGroup, Filter: f, Limit: 10, Match: func(*model.Record, []bool) bool {
				t.Error("asked record by record")
				return false
			}}))
			if diff := gocmp.Diff(want, idsOf(page.Records)); diff != "" {
				t.Errorf("%s: %s", id, diff)
			}
		}
	})
}

// However many a lookup finds, and whoever puts them in order.
func TestQueryFindsAFewInTheOrderTheyWereMade(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		all, ctx := crowd(t, s), ctxOf(t)
		q := model.Query{Source: "entra", Kind: model.KindUser, Filter: compare("emails.value", model.OpEq, "bob@home.example.org"), Groups: true}
		q.Match = matcherOf(q.Filter)
		var made []string
		for i := range all {
			if q.Match(&all[i], nil) {
				made = append(made, all[i].ID)
			}
		}
		if len(made) < 5 {
			t.Fatalf("only %v", made)
		}
		for _, q.Descending = range []bool{false, true} {
			want := slices.Clone(made)
			if q.Descending {
				slices.Reverse(want)
			}
			for _, q.Limit = range []int{0, 1, len(want) - 1, len(want), len(want) + 1, 100} {
				page := get[model.Page](t)(s.Query(ctx, q))
				if page.Total != len(want) || !slices.Equal(want[:min(q.Limit, len(want))], idsOf(page.Records)) {
					t.Errorf("limit %d: %d, %v of %v", q.Limit, page.Total, idsOf(page.Records), want)
				}
			}
		}
	})
}

// RFC 7644 §3.4.2.3: records without the attribute come last in ascending order, first in descending order.
func TestQuerySorts(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		all, ctx := crowd(t, s), ctxOf(t)
		for _, name := range []string{
			"id", "externalId", "userName", "displayName", "meta.created", "meta.lastModified", "title", "emails.value", "active",
		} {
			for _, descending := range []bool{false, true} {
				ref := attr(name)
				page := get[model.Page](t)(s.Query(ctx, model.Query{Source: "entra", Kind: model.KindUser, SortBy: &ref, Descending: descending, Limit: 100}))
				if page.Total != 60 || len(page.Records) != 60 {
					t.Fatalf("%s: %d of %d", name, len(page.Records), page.Total)
				}
				if name == "meta.created" || name == "active" || strings.HasPrefix(name, "emails") {
					continue // the total is what matters: their order is not that of a text
				}
				keys := map[string]string{}
				for i := range all {
					var attrs map[string]any
					must(t, json.Unmarshal([]byte(all[i].Attrs), &attrs))
					for _, v := range valuesOf(ref, &all[i], attrs) {
						switch v := v.(type) {
						case string:
							if keys[all[i].ID] = v; !ref.CaseExact {
								keys[all[i].ID] = model.FoldKey(v)
							}
						case time.Time:
							keys[all[i].ID] = v.String()
						}
					}
				}
				previous, seen := "", false
				for _, r := range page.Records {
					key := keys[r.ID]
					before, after := previous, key
					if descending {
						before, after = key, previous
					}
					if seen && (before == "" && after != "" || after != "" && before > after) {
						t.Errorf("%s descending %t: %q before %q", name, descending, previous, key)
					}
					previous, seen = key, true
				}
			}
		}
	})
}

func TestQueryRefusesToLookAtTooManyRecords(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		for chunk := range 51 {
			c := &engine.Commit{}
			for i := range 1000 {
				r := model.Record{Source: "entra", ID: fmt.Sprintf("%02d-%03d", chunk, i), Kind: model.KindUser, Attrs: `{"title":"é"}`, CreatedAt: at(1), UpdatedAt: at(1)}
				if chunk == 50 {
					r.UserName, r.UserNameKey = "last", "last"
				}
				c.Records = append(c.Records, engine.Write{New: &r})
			}
			must(t, s.Commit(ctx, c))
		}
		title := compare("title", model.OpEq, "x")
		q := model.Query{Source: "entra", Kind: model.KindUser, Limit: 10, Filter: title, Match: func(*model.Record, []bool) bool { return true }}
		if _, err := s.Query(ctx, q); !errors.Is(err, model.ErrTooMany) {
			t.Errorf("got %v", err)
		}
		for _, none := range []model.Filter{compare("nickName", model.OpEq, "x"), model.ValuePath{Attr: attr("emails"), Term: compare("display", model.OpPr, nil)}} {
			q.Filter = none // what nobody has is not looked for in everybody
			if page := get[model.Page](t)(s.Query(ctx, q)); page.Total != 0 {
				t.Errorf("%v: %d", none, page.Total)
			}
		}
		q.Filter = model.And{Terms: []model.Filter{title, compare("userName", model.OpEq, "last")}}
		if page := get[model.Page](t)(s.Query(ctx, q)); page.Total != 1000 || len(page.Records) != 10 {
			t.Errorf("%d of %d", len(page.Records), page.Total)
		}
		q.Filter, q.Match, q.Offset = nil, nil, 50_995
		if page := get[model.Page](t)(s.Query(ctx, q)); page.Total != 51_000 || len(page.Records) != 5 {
			t.Errorf("%d of %d", len(page.Records), page.Total)
		}
	})
}

func TestRecordMembersAndGroups(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		c := joined("entra", "1", "ada")
		must(t, s.Commit(ctx, c))
		nameless := user("entra", "r-2", "bob", "")
		nameless.DisplayName, nameless.DisplayNameKey = "", ""
		g, h, cycle := group("entra", "g", "Top"), group("entra", "h", "mid"), group("entra", "z", "Cycle")
		must(t, s.Commit(ctx, &engine.Commit{Records: []engine.Write{
			{New: &nameless}, {New: &g, AddMembers: []string{"h", "r-2"}}, {New: &h, AddMembers: []string{"r-1", "gone", "z"}},
			{New: &cycle, AddMembers: []string{"h"}},
		}}))
		if diff := gocmp.Diff(*c.Records[0].New, get[model.Record](t)(s.Record(ctx, "entra", model.KindUser, "r-1"))); diff != "" {
			t.Error(diff)
		}
		for _, id := range []string{"g", "none"} {
			if _, err := s.Record(ctx, "entra", model.KindUser, id); !errors.Is(err, model.ErrNotFound) {
				t.Errorf("%s: %v", id, err)
			}
		}
		type member struct {
			ID   string
			Kind model.Kind
			Name string
		}
		var got []member
		for _, id := range []string{"g", "h"} {
			must(t, s.Members(ctx, "entra", id, 0, func(id string, kind model.Kind, name string) error {
				got = append(got, member{id, kind, name})
				return nil
			}))
		}
		want := []member{
			{"h", model.KindGroup, "mid"}, {"r-2", model.KindUser, "bob"},
			{"gone", "", ""}, {"r-1", model.KindUser, "Name of ada"}, {"z", model.KindGroup, "Cycle"},
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		groups := map[string][]model.Membership{
			"r-1": {{Source: "entra", GroupID: "z", DisplayName: "Cycle"}, {Source: "entra", GroupID: "g", DisplayName: "Top"},
				{Source: "entra", GroupID: "h", DisplayName: "mid", Direct: true}},
			"r-2": {{Source: "entra", GroupID: "g", DisplayName: "Top", Direct: true}},
		}
		if diff := gocmp.Diff(groups, get[map[string][]model.Membership](t)(s.GroupsOf(ctx, "entra", []string{"r-1", "r-2", "r-3"}))); diff != "" {
			t.Error(diff)
		}
		for _, id := range []string{"r-1", "r-2", "r-3"} { // one has a statement of its own
			if diff := gocmp.Diff(groups[id], get[map[string][]model.Membership](t)(s.GroupsOf(ctx, "entra", []string{id}))[id]); diff != "" {
				t.Error(diff)
			}
			rec, of, err := s.WithGroups(ctx, "entra", id)
			if want, wantErr := s.Record(ctx, "entra", model.KindUser, id); !errors.Is(err, wantErr) || !gocmp.Equal(want, rec) || !gocmp.Equal(groups[id], of) {
				t.Errorf("%s with its groups: %+v, %+v, %v", id, rec, of, err)
			}
		}
		named := func(name string) model.Query {
			f := model.Compare{Attr: model.AttrRef{Path: []string{"userName"}}, Op: model.OpEq, Value: name}
			return model.Query{Source: "entra", Kind: model.KindUser, Filter: f, Limit: 10, Groups: true, Match: func(*model.Record, []bool) bool { return true }}
		}
		for id, want := range groups { // a lookup brings them
			rec := get[model.Record](t)(s.Record(ctx, "entra", model.KindUser, id))
			page := get[model.Page](t)(s.Query(ctx, named(rec.UserName)))
			if diff := gocmp.Diff(model.Page{Total: 1, Records: []model.Record{rec}, Groups: map[string][]model.Membership{id: want}}, page); diff != "" {
				t.Error(diff)
			}
		}
		everybody := named("")
		everybody.Filter, everybody.Match = nil, nil
		if page := get[model.Page](t)(s.Query(ctx, everybody)); page.Groups != nil { // of many they are asked for
			t.Errorf("%+v", page.Groups)
		}
		among := get[[]string](t)(s.MembersAmong(ctx, "entra", "h", []string{"r-1", "r-2", "z"}))
		if diff := gocmp.Diff([]string{"r-1", "z"}, among); diff != "" {
			t.Error(diff)
		}
	})
}
