package scim

import (
	"net/url"
	"strings"
	"testing"
	"time"

	elimity "github.com/elimity-com/scim/errors"
	"github.com/google/go-cmp/cmp"

	"jmld/model"
)

func resolveText(t *testing.T, rt *resourceType, text string) (model.Filter, []string, error) {
	t.Helper()
	e, err := parseFilter(text, Bounds{}.filled())
	if err != nil {
		return nil, nil, err
	}
	r := resolver{rt: rt, notes: &notes{}, place: placeOf}
	f, err := r.filter(e)
	return f, r.notes.list, err
}

func placeOf(kind model.Kind) string { return "https://jmld.example.org/" + string(kind) + "/" }

func eq(value any, exact bool, path ...string) model.Filter {
	return model.Compare{Attr: model.AttrRef{Path: path, CaseExact: exact}, Op: model.OpEq, Value: value}
}

func TestFilterMeans(t *testing.T) {
	t.Parallel()
	s := newSchemas()
	at := time.Date(2026, 11, 22, 8, 0, 0, 5e6, time.UTC)
	ext := func(value any, path ...string) model.Filter {
		return model.Compare{Attr: model.AttrRef{Schema: urnEnterprise, Path: path}, Op: model.OpEq, Value: value}
	}
	modified := func(op model.CompareOp, at time.Time) model.Filter {
		return model.Compare{Attr: model.AttrRef{Path: []string{"meta", "lastModified"}}, Op: op, Value: at}
	}
	for text, want := range map[string]model.Filter{
		`userName eq "ada"`: eq("ada", false, "userName"),
		`USERNAME EQ "Ada"`: eq("Ada", false, "userName"),
		`userName eq "Å"`:   eq("Å", false, "userName"), // compatibility form
		`urn:ietf:params:scim:schemas:core:2.0:User:name.familyName eq "x"`: eq("x", false, "name", "familyName"),
		`meta.location pr`: model.And{},
		`meta[location co "/user/" and resourceType eq "User"] and active pr and not (id eq null)`: model.And{},
		`meta[version eq "x" or resourceType eq "Group"]`:                                          eq("x", true, "meta", "version"),
		`name[familyName eq "x"].givenName eq "y"`: model.And{Terms: []model.Filter{model.Compare{Attr: model.AttrRef{Path: []string{"name"}}, Op: model.OpPr},
			model.And{Terms: []model.Filter{eq("x", false, "name", "familyName"), eq("y", false, "name", "givenName")}}}},
		`externalId eq ada`:                     eq("ada", true, "externalId"),
		`userName eq 'ada'`:                     eq("ada", false, "userName"),
		`(userName eq 'O'Neil \' "x"')`:         eq(`O'Neil ' "x"`, false, "userName"),
		`userName eq 'tHooft`:                   eq("'tHooft", false, "userName"),
		`id eq "1" and not (active eq "False")`: model.And{Terms: []model.Filter{eq("1", true, "id"), model.Not{Term: eq(false, false, "active")}}},
		`title eq "a" or title eq "b" and title eq "c"`: model.Or{Terms: []model.Filter{eq("a", false, "title"),
			model.And{Terms: []model.Filter{eq("b", false, "title"), eq("c", false, "title")}}}},
		`emails eq "a"`: eq("a", false, "emails", "value"),
		`emails[type eq "work"].value eq "a"`: model.ValuePath{Attr: model.AttrRef{Path: []string{"emails"}},
			Term: model.And{Terms: []model.Filter{eq("work", false, "type"), eq("a", false, "value")}}},
		`emails[type eq "work" and value eq "a"]`: model.ValuePath{Attr: model.AttrRef{Path: []string{"emails"}},
			Term: model.And{Terms: []model.Filter{eq("work", false, "type"), eq("a", false, "value")}}},
		`manager eq "7"`: ext("7", "manager", "value"),
		`urn:ietf:params:scim:schemas:extension:enterprise:2.0:user:department eq "D"`: ext("D", "department"),
		`title pr`:                       model.Compare{Attr: model.AttrRef{Path: []string{"title"}}, Op: model.OpPr},
		`title eq null`:                  eq(nil, false, "title"),
		`displayName eq "a\"b\\c\u00e9"`: eq(`a"b\cé`, false, "displayName"),
		`meta.lastModified gt "2026-11-22T09:00:00.005+01:00"`: modified(model.OpGe, at.Add(time.Millisecond)),
		`meta.lastModified le "2026-11-22T08:00:00.005Z"`:      modified(model.OpLt, at.Add(time.Millisecond)),
		`meta.lastModified ge "2026-11-22T08:00:00.005Z"`:      modified(model.OpGe, at),
		`meta.resourceType eq "user" and userName eq "a"`:      model.Or{}, // the name of the type is case-exact
		`meta.resourceType eq "User" and userName eq "a"`:      eq("a", false, "userName"),
		`meta.resourceType eq "Group" or userName eq "a"`:      eq("a", false, "userName"),
		`not (meta.resourceType eq "Group")`:                   model.And{},
		`employeeNumber eq 7`:                                  ext("7", "employeeNumber"),
	} {
		got, _, err := resolveText(t, s.user, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
	member := func(f model.Filter, number int) model.Filter {
		return model.Related{Attr: model.RelatedMembers, Term: f, Number: number}
	}
	of := func(op model.CompareOp, sub, value string) model.Filter {
		c := model.Compare{Attr: model.AttrRef{Path: []string{sub}, CaseExact: sub == "value"}, Op: op}
		if value != "" {
			c.Value = value
		}
		return c
	}
	address := "https://jmld.example.org/"
	for text, want := range map[string]model.Filter{
		`members eq "1"`:        member(of("eq", "value", "1"), 0),
		`members.value eq "1"`:  member(of("eq", "value", "1"), 0),
		`members[value eq "1"]`: member(of("eq", "value", "1"), 0),
		`members.display co ""`: member(of("pr", "display", ""), 0),
		`members.display eq ""`: model.Or{},
		`members.value ne "1"`:  model.Or{Terms: []model.Filter{model.Not{Term: member(of("pr", "value", ""), 0)}, member(model.And{Terms: []model.Filter{of("pr", "value", ""), of("ne", "value", "1")}}, 1)}},
		`members[$ref pr]`:      member(model.Or{Terms: []model.Filter{of("eq", "type", "User"), of("eq", "type", "Group")}}, 0),
		`members.$ref eq "x"`:   model.Or{},
		`displayName sw "a"`:    model.Compare{Attr: model.AttrRef{Path: []string{"displayName"}}, Op: model.OpSw, Value: "a"},
		`members[$ref eq "` + address + `user/7" and value pr]`: member(model.And{Terms: []model.Filter{
			model.And{Terms: []model.Filter{of("eq", "type", "User"), of("eq", "value", "7")}}, of("pr", "value", "")}}, 0),
	} {
		got, _, err := resolveText(t, s.group, text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", text, err, diff)
		}
	}
}

func TestFilterIsRefused(t *testing.T) { // Casdoor SCIM
	t.Parallel()
	s := newSchemas()
	for _, text := range []string{
		``, ` `, `userName`, `userName eq`, `userName regex "x"`, `userName eq "x`, `userName eq "x" and`, `(userName pr`, `userName pr)`,
		`nickname[value pr]`, `unknown eq "x"`, `urn:none:attr eq "x"`, `password eq "x"`, `password pr`, `password sw "a"`,
		`active gt true`, `active co "t"`, `active eq "perhaps"`, `userName gt null`, `meta.created gt "soon"`,
		`name eq "x"`, `groups.type eq true and groups.kind pr`, `groups.display gt null`, `groups.display eq "` + strings.Repeat("é", 951) + `"`, `emails[type eq "work"`, `emails[].value eq "x"`,
		`emails[emails[type pr]]`, `emails[nothing eq "x"]`, `not userName pr`, `userName eq "\ud800"`, `userName eq "a" userName eq "b"`,
		`x509Certificates.value gt "a"`, strings.Repeat("(", 33) + "userName pr" + strings.Repeat(")", 33),
		"userName pr" + strings.Repeat(" or userName pr", 100), strings.Repeat("a", 5000),
	} {
		f, _, err := resolveText(t, s.user, text)
		if r := refusalOf(err); err == nil || r.Status != 400 || r.ScimType != elimity.ScimTypeInvalidFilter {
			t.Errorf("%.80q: %v, %v", text, f, err)
		}
	}
	for _, text := range []string{`members[nothing pr]`, `members.$ref gt null`, `members[type[value pr]]`, `userName eq "x"`} {
		if _, _, err := resolveText(t, s.group, text); err == nil || refusalOf(err).ScimType != elimity.ScimTypeInvalidFilter {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestFilterMatches(t *testing.T) {
	t.Parallel()
	s := newSchemas()
	rec := &model.Record{ID: "r1", Kind: model.KindUser, Active: true, Version: 3, CreatedAt: time.Date(2026, 1, 1, 0, 0, 0, 123456000, time.UTC),
		UpdatedAt: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC),
		Attrs: `{"active":true,"emails":[{"primary":true,"type":"work","value":"Ada@example.org"},{"type":"home","value":"a@home.example.org"}],` +
			`"externalId":"E1","name":{"familyName":"Straße"},"userName":"Ada",` +
			`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"R&D","manager":{"value":"m1"}},` +
			`"urn:ietf:params:scim:schemas:extension:jmld:2.0:User":{"endDate":"2026-12-31"}}`}
	for text, want := range map[string]bool{
		`userName eq "ADA"`: true, `userName eq "ａｄａ"`: true, `userName ne "ada"`: false, `userName sw "a"`: true, `userName ew "DA"`: true,
		`userName co "d"`: true, `userName gt "ad"`: true, `userName lt "ad"`: false, `userName ge "ada"`: true, `userName le "ada"`: true,
		`externalId eq "e1"`: false, `externalId eq "E1"`: true, `id eq "r1"`: true, `id eq "R1"`: false,
		`title pr`: false, `title eq null`: true, `title ne "x"`: true, `title ne null`: false, `title eq "x"`: false, `title gt "a"`: false,
		`emails pr`: true, `emails.value co "@home"`: true, `emails[type eq "work" and value co "home"]`: false,
		`emails[type eq "work"].value eq "ada@EXAMPLE.org"`: true, `emails[primary eq "True"]`: true, `emails[not (type eq "work") and value pr]`: true,
		`emails[type eq "other" or type eq "home"]`: true, `emails.type eq "other"`: false,
		`name.familyName eq "strasse"`: false, `name.familyName eq "STRAßE"`: true, `name pr`: true,
		`active eq true`: true, `active eq "true"`: true, `active ne true`: false, `not (active eq true)`: false,
		`department eq "r&d"`: true, `manager eq "m1"`: true, `manager.value eq "m2"`: false,
		`endDate gt "2026-12-30T23:00:00Z"`: true, `endDate lt "2026-12-30"`: false,
		`meta.created eq "2026-01-01T00:00:00.123Z"`: true, `meta.created gt "2026-01-01T00:00:00.123Z"`: false,
		`meta.created ne "2026-01-01T00:00:00.123Z"`: false, `meta.lastModified ge "2026-02-01T00:00:00Z"`: true, `meta pr`: true,
		`meta.version eq "W/\"3\""`: true,
		`schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`: true, `schemas eq "urn:x"`: false,
		`title pr or (active eq true and userName pr)`: true, `title pr and active eq true`: false,
	} {
		f, _, err := resolveText(t, s.user, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := matcher(f, s.user)(rec, nil); got != want {
			t.Errorf("%s is %t", text, got)
		}
	}
	group := &model.Record{ID: "g1", Kind: model.KindGroup, Attrs: `{"displayName":"G"}`}
	f, _, err := resolveText(t, s.group, `displayName pr and (members eq "u1" or members[display eq "a"])`)
	if err != nil {
		t.Fatal(err)
	}
	for _, related := range [][]bool{{true, false}, {false, true}, {false, false}} { // what the store says
		if got := matcher(f, s.group)(group, related); got != (related[0] || related[1]) {
			t.Errorf("%v: %t", related, got)
		}
	}
}

// FuzzFilter: no text crashes the parser or the resolver, and what is accepted can be decided.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{`userName eq "a" and (title pr or not (emails[type eq "w"].value co "x"))`, `a.b:c[d ne 1e5] or x eq null`, `emails[`, `"`, `not(active eq true)`} {
		f.Add(s)
	}
	s := newSchemas()
	rec := &model.Record{ID: "1", Attrs: `{"emails":[{"type":"work","value":"a@example.org"}],"userName":"a"}`}
	f.Fuzz(func(t *testing.T, text string) {
		for _, rt := range []*resourceType{s.user, s.group} {
			if got, _, err := resolveText(t, rt, text); err == nil {
				matcher(got, rt)(rec, make([]bool, 400))
			} else if refusalOf(err).Status != 400 {
				t.Fatalf("%q: %v", text, err)
			}
		}
	})
}

// D-15: a plus sign that is not read as a blank is noted; to RFC 3986 it is one, so that no strict source refuses it.
func TestPlusInAFilterIsNoted(t *testing.T) {
	t.Parallel()
	for query, want := range map[string][]string{
		`filter=userName%20eq%20%22a+b%22`:              {"filter: a plus sign read as itself, as blanks are %20"},
		`filter=userName%20eq%20%22a%2Bb%22`:            nil,
		`filter=userName+eq+%22a%2Bb%22`:                nil,
		`filter=userName+eq%20%22a+b%22`:                nil,
		`filter=userName%20eq%20%22a%22&attributes=a+b`: nil,
	} {
		n := notes{strict: true}
		if _, err := queryOf(&url.URL{RawQuery: query}, &n); err != nil || n.refused != nil || n.differently {
			t.Errorf("%s: %v %v", query, err, n.refused)
		}
		if diff := cmp.Diff(want, n.list); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
}

// FuzzPath: no text crashes the parser of paths, and what is accepted is what was given.
func FuzzPath(f *testing.F) {
	for _, s := range []string{`emails[type eq "work"].value`, `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager`, `a[b eq 1`, `members[value eq "x"]`, `.`, `a]b`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePath(text, Bounds{}.filled())
		if err != nil {
			if r := refusalOf(err); r.ScimType != elimity.ScimTypeInvalidPath {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if p.attr == "" || !strings.Contains(text, p.attr) || !strings.Contains(text, p.sub) {
			t.Fatalf("%q read as %+v", text, p)
		}
	})
}

func BenchmarkParseFilter(b *testing.B) {
	s := newSchemas()
	for name, text := range map[string]string{
		"userName": `userName eq "nora.lindqvist@example.org"`,
		"email":    `emails[type eq "work"].value eq "nora.lindqvist@example.org"`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				e, err := parseFilter(text, Bounds{}.filled())
				if err != nil {
					b.Fatal(err)
				}
				r := resolver{rt: s.user, notes: &notes{}}
				if _, err := r.filter(e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
