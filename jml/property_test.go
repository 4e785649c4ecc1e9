package jml_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"jmld/jml"
	"jmld/jml/access"
	"jmld/jml/policy"
	"jmld/model"
)

// drawn makes a small world with a past: random things said by three sources about a handful of people.
func drawn(rt *rapid.T, rules *jml.Rules) *world {
	w := newWorld(rules)
	for range rapid.IntRange(1, 12).Draw(rt, "steps") {
		w.now = w.now.Add(time.Hour)
		w.holding = rapid.IntRange(0, 3).Draw(rt, "guard") == 0
		source := rapid.SampledFrom([]string{"corp", "entra", "okta"}).Draw(rt, "source")
		id := rapid.SampledFrom([]string{"1", "2", "3"}).Draw(rt, "record")
		switch rapid.IntRange(0, 5).Draw(rt, "what") {
		case 0:
			w.say(source, id, nil, "deleted by "+source)
		case 1:
			if rec, ok := w.records[at(source, id)]; ok && rec.AbsentSince == nil {
				rec.AbsentSince = &w.now
				w.say(source, id, &rec, "missing in a complete read of "+source)
			}
		case 2:
			if owner := w.records[at(source, id)].IdentityID; owner != "" {
				w.groups[at(source, id)] = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"builders", "readers", "canteen"}), 0, 3,
					rapid.ID).Draw(rt, "groups")
				w.decide(owner, jml.Cause{Source: source, Record: id, Text: "groups changed"})
			}
		default:
			w.say(source, id, drawRecord(rt), "said by "+source)
		}
	}
	return w
}

func drawRecord(rt *rapid.T) *model.Record {
	name := rapid.SampledFrom([]string{"ada", "ADA", "bob", "eve", "mallory"}).Draw(rt, "name")
	attrs := map[string]any{"userName": name, "displayName": name}
	if n := rapid.SampledFrom([]string{"", "1", "2", "3"}).Draw(rt, "number"); n != "" {
		attrs[jml.EnterpriseUser] = map[string]any{"employeeNumber": n, "department": rapid.SampledFrom([]string{"A", "B"}).Draw(rt, "department")}
	}
	if t := rapid.SampledFrom([]string{"", "Engineer", "Architect"}).Draw(rt, "title"); t != "" {
		attrs["title"] = t
	}
	if m := rapid.SampledFrom([]string{"", "x@example.org", "y@example.org", "x@mail.example"}).Draw(rt, "mail"); m != "" {
		attrs["emails"] = []any{map[string]any{"value": m}}
	}
	return &model.Record{UserName: name, DisplayName: name, Active: rapid.Bool().Draw(rt, "active"), Attrs: jml.Canonical(attrs)}
}

// shaky is a policy whose rules often cannot be evaluated.
func shaky() policy.Config {
	c := usual()
	c.Accounts[1].When = `person.department == "A"`
	return c
}

func drawRules(t *testing.T, rt *rapid.T) *jml.Rules {
	r := usualRules(t)
	if rapid.Bool().Draw(rt, "shaky") {
		r.Policy = compile(t, shaky())
	}
	if rapid.Bool().Draw(rt, "authority") {
		r.Authority = map[string][]string{"active": {"okta"}, "title": {"entra"}}
	}
	return r
}

func TestSameInputSamePlanAndAppliedPlanEmptyPlan(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := drawn(rt, drawRules(t, rt))
		w.holding = false
		for id := range w.identities {
			s := w.situation(id, jml.Cause{Source: "corp", Text: "looked at again"})
			first, second := w.rules.Decide(s), w.rules.Decide(s)
			if d := cmp.Diff(first, second); d != "" {
				rt.Fatal("same input, another plan:", d)
			}
			w.apply(first)
			after := w.rules.Decide(w.situation(id, s.Cause))
			if len(after.Steps)+len(after.Settled)+len(after.Findings)+len(after.DropKeys) > 0 {
				rt.Fatalf("an applied plan is not empty: %+v", after)
			}
		}
	})
}

func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := drawn(rt, drawRules(t, rt))
		for id := range w.identities {
			s := w.situation(id, jml.Cause{Source: "corp"})
			mixed := s
			mixed.Records = rapid.Permutation(s.Records).Draw(rt, "records")
			mixed.Groups = rapid.Permutation(s.Groups).Draw(rt, "groups")
			mixed.Accounts = rapid.Permutation(s.Accounts).Draw(rt, "accounts")
			mixed.Keys = rapid.Permutation(s.Keys).Draw(rt, "keys")
			other := *w.rules
			other.Targets = rapid.Permutation(w.rules.Targets).Draw(rt, "targets")
			byKey := func(a, b model.Key) int { return slices.Compare([]string{a.Name, a.Value}, []string{b.Name, b.Value}) }
			one, two := w.rules.Decide(s), other.Decide(mixed)
			slices.SortFunc(one.DropKeys, byKey)
			slices.SortFunc(two.DropKeys, byKey)
			if d := cmp.Diff(one, two); d != "" {
				rt.Fatal(d)
			}
		}
	})
}

func TestNothingIsTakenAwayWithoutEvidence(t *testing.T) { // invariants 1, 2 and 5; D-21
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := drawn(rt, drawRules(t, rt))
		for id, p := range w.identities {
			for key, a := range w.accounts {
				if key[0] == id && rapid.IntRange(0, 4).Draw(rt, "protect") == 0 {
					a.Origin = model.OriginProtected
					w.accounts[key] = a
				}
			}
			s := w.situation(id, jml.Cause{Source: "corp", Record: "r", Text: "looked at again"})
			d := w.rules.Decide(s)
			present := slices.ContainsFunc(s.Records, func(r model.Record) bool { return r.AbsentSince == nil })
			inactive := slices.ContainsFunc(s.Records, func(r model.Record) bool { return r.AbsentSince == nil && !r.Active })
			for _, step := range d.Steps {
				why := reason(step.Change.Because)
				if why.Text == "" || why.At.IsZero() || step.Change.Op.Leaves() != (step.Account.Priority == 0) {
					rt.Fatalf("no reason, or the wrong priority: %+v", step)
				}
				if a := w.accounts[[2]string{id, step.Account.Target}]; a.Origin == model.OriginProtected {
					rt.Fatalf("a protected account was touched: %+v", step)
				}
				if !step.Change.Op.Leaves() || step.Change.Event == model.EventMover {
					continue
				}
				if present && !inactive {
					rt.Fatalf("a leaver without evidence: %+v of %+v", step, s.Records)
				}
			}
			if d.Identity.Findings != "" && present && !inactive { // somebody about whom a rule says nothing
				for _, step := range d.Steps {
					if step.Change.Op.Leaves() && step.Account.Target == "app" {
						rt.Fatalf("a rule that could not be evaluated took something away: %+v of %+v", step, p)
					}
				}
			}
		}
	})
}

// The same records in any order are the same people, unless somebody is asked: then nobody guessed.
func TestTheOrderOfRecordsDoesNotMakePeople(t *testing.T) { // D-20
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		rules := usualRules(t)
		type said struct {
			source, id string
			rec        model.Record
		}
		var all []said
		for i := range rapid.IntRange(2, 6).Draw(rt, "records") {
			source := rapid.SampledFrom([]string{"corp", "entra", "okta"}).Draw(rt, "source")
			all = append(all, said{source, fmt.Sprint(i), *drawRecord(rt)})
		}
		play := func(order []said) (people map[string][]string, asked bool) {
			w := newWorld(rules)
			for range 2 { // what was disputed is looked at again
				for _, x := range order {
					rec := x.rec
					w.say(x.source, x.id, &rec, "said")
				}
			}
			people = map[string][]string{}
			for key, rec := range w.records {
				asked = asked || rec.Link != model.Linked
				people[rec.IdentityID] = append(people[rec.IdentityID], key)
			}
			return people, asked
		}
		one, asked := play(all)
		two, askedToo := play(rapid.Permutation(all).Draw(rt, "order"))
		if asked || askedToo {
			return
		}
		flat := func(people map[string][]string) (out []string) {
			for _, records := range people {
				slices.Sort(records)
				out = append(out, strings.Join(records, " = "))
			}
			slices.Sort(out)
			return out
		}
		if d := cmp.Diff(flat(one), flat(two)); d != "" {
			rt.Fatal(d)
		}
	})
}

// With everybody asked about, a person's word holds whatever the sources say afterwards.
func TestADecisionHoldsWhateverIsSaid(t *testing.T) { // D-20
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := drawn(rt, usualRules(t))
		w.say("okta", "new", drawRecord(rt), "created by okta")
		if rec := w.records[at("okta", "new")]; rec.Link != model.Disputed {
			return
		}
		w.rule(t, "okta", "new", "new")
		mine := w.records[at("okta", "new")].IdentityID
		for range rapid.IntRange(1, 4).Draw(rt, "times") {
			if rapid.Bool().Draw(rt, "gone") {
				w.say("okta", "new", nil, "deleted by okta")
			}
			w.say("okta", "new", drawRecord(rt), "said by okta")
			if got := w.records[at("okta", "new")].IdentityID; mine == "" || got != mine {
				rt.Fatalf("%q became %q", mine, got)
			}
		}
	})
}

func TestADisputedRecordChangesNobody(t *testing.T) { // D-20
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := drawn(rt, usualRules(t))
		before := w.people()
		accounts := maps.Clone(w.accounts)
		rec := drawRecord(rt)
		w.say("okta", "new", rec, "created by okta")
		if w.records[at("okta", "new")].Link != model.Disputed {
			return
		}
		if d := cmp.Diff(before, w.people()); d != "" {
			rt.Fatal(d)
		}
		if d := cmp.Diff(accounts, w.accounts); d != "" {
			rt.Fatal(d)
		}
	})
}

func TestGuardIsMonotone(t *testing.T) { // D-04
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		l := jml.Limits{Count: rapid.IntRange(0, 20).Draw(rt, "count"), Share: rapid.Float64Range(0, 1).Draw(rt, "share"),
			Ceiling: rapid.Float64Range(0, 1).Draw(rt, "ceiling"), Floor: rapid.IntRange(0, 100).Draw(rt, "floor"), Window: time.Hour, Week: drawLimit(rt, "week")}
		toll := jml.Toll{Lost: rapid.IntRange(0, 200).Draw(rt, "lost"), Before: rapid.IntRange(0, 200).Draw(rt, "before"),
			Supported: rapid.IntRange(0, 1000).Draw(rt, "supported"), Run: rapid.Bool().Draw(rt, "run")}
		toll.Week = toll.Before + rapid.IntRange(0, 100).Draw(rt, "week")
		more := toll
		more.Lost += rapid.IntRange(0, 50).Draw(rt, "more")
		before := rapid.IntRange(0, 50).Draw(rt, "more before")
		more.Before, more.Week = more.Before+before, more.Week+before+rapid.IntRange(0, 20).Draw(rt, "more in the week")
		if toll.Lost > 0 && l.Judge(toll) != "" && l.Judge(more) == "" {
			rt.Fatalf("%+v is held and %+v is not, by %+v", toll, more, l)
		}
		strict := l
		strict.Count = rapid.IntRange(0, l.Count).Draw(rt, "stricter")
		if l.Judge(toll) != "" && strict.Judge(toll) == "" {
			rt.Fatalf("%+v lets go what %+v holds: %+v", strict, l, toll)
		}
		if toll.Lost > 0 && (jml.Limits{}).Judge(toll) == "" {
			rt.Fatalf("no limits let go %+v", toll)
		}
	})
}

func TestGuardLimits(t *testing.T) { // D-04; lsc #172
	t.Parallel()
	l := jml.DefaultLimits()
	for _, c := range []struct {
		name string
		toll jml.Toll
		held string
	}{
		{"nobody", jml.Toll{Supported: 100}, ""},
		{"the floor lets five go, however few there are", jml.Toll{Lost: 5, Supported: 5}, ""},
		{"six are too many", jml.Toll{Lost: 6, Supported: 40}, "6 of 40 people would lose access; the limit is 5 (the larger of 5 and 1 %)"},
		{"one percent of many", jml.Toll{Lost: 29, Supported: 2900}, ""},
		{"more than one percent of many", jml.Toll{Lost: 30, Supported: 2900},
			"30 of 2900 people would lose access; the limit is 29 (the larger of 5 and 1 %)"},
		{"pushes are added up over the window", jml.Toll{Lost: 1, Before: 5, Supported: 40},
			"1 of 40 people would lose access (with 5 in the last 24h0m0s); the limit is 5 (the larger of 5 and 1 %)"},
		{"a read is counted by itself", jml.Toll{Lost: 5, Before: 3, Supported: 100, Run: true}, ""},
		{"but not above the ceiling", jml.Toll{Lost: 4, Before: 7, Supported: 100, Run: true},
			"4 of 100 people would lose access (with 7 in the last 24h0m0s); more than 10 % always needs approval"},
		{"a week of few", jml.Toll{Lost: 4, Week: 12, Supported: 100, Run: true},
			"4 of 112 people would lose access (with 12 in the last 7 days); the limit is 15 (the larger of 15 and 3 %)"},
		{"a week of many", jml.Toll{Lost: 10, Week: 20, Supported: 1000, Run: true}, ""},
	} {
		if d := cmp.Diff(c.held, l.Judge(c.toll)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
	if held := (jml.Limits{Share: 0.29, Ceiling: 1, Week: jml.Limit{Share: 1}}).Judge(jml.Toll{Lost: 29, Supported: 100}); held != "" {
		t.Errorf("29 of 100 is 29 %%: %s", held)
	}
}

func TestFoldAndKeysAreIdempotent(t *testing.T) {
	t.Parallel()
	rules := usualRules(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.String().Draw(rt, "text")
		if once := jml.Fold(s); jml.Fold(once) != once {
			rt.Fatalf("%q folds to %q and that to %q", s, once, jml.Fold(once))
		}
		rec := drawRecord(rt)
		rec.Kind, rec.UserName = model.KindUser, s
		keys := rules.Keys(*rec)
		rec.UserName = jml.Fold(s)
		if d := cmp.Diff(keys, rules.Keys(*rec)); d != "" {
			rt.Fatal(d)
		}
	})
}

func TestCanonicalIsCanonical(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := rapid.MapOf(rapid.String(), rapid.String()).Draw(rt, "object")
		text := jml.Canonical(m)
		if again := jml.Canonical(jml.Decode(text)); again != text {
			rt.Fatalf("%s became %s", text, again)
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	w := newWorld(usualRules(b))
	rec := func(source, title string) {
		attrs := map[string]any{"userName": "ada@example.org", "displayName": "Ada Example", "title": title,
			"emails": []any{map[string]any{"value": "ada@example.org", "type": "work"}}, jml.EnterpriseUser: map[string]any{"employeeNumber": "1"}}
		w.say(source, "1", &model.Record{UserName: "ada@example.org", Active: true, Attrs: jml.Canonical(attrs)}, "said")
	}
	for n, sources := range [][]string{{"entra"}, {"entra", "corp"}} {
		for _, s := range sources {
			rec(s, "Engineer")
		}
		s := w.situation("person-1", jml.Cause{Source: "entra"})
		b.Run(fmt.Sprintf("unchanged/sources=%d", n+1), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.rules.Decide(s)
			}
		})
		s.Accounts = nil
		b.Run(fmt.Sprintf("joiner/sources=%d", n+1), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.rules.Decide(s)
			}
		})
	}
}

// A letter that folds to @ makes an address of a name as @ does: whose domain is not ours, has no key by it.
func TestAnAddressInOtherLettersIsOne(t *testing.T) {
	t.Parallel()
	rules := usualRules(t)
	for name, want := range map[string]int{"eve": 1, "eve@elsewhere.example": 0, "eve＠elsewhere.example": 0, "eve＠example.org": 1} {
		if got := rules.Keys(model.Record{Kind: model.KindUser, UserName: name}); len(got) != want {
			t.Errorf("%s: %v, want %d", name, got, want)
		}
	}
}

// M-42: whatever is given and taken, in whatever order rules stand, nobody has two things that one of them keeps apart.
func TestNobodyHasWhatIsKeptApart(t *testing.T) {
	t.Parallel()
	tree := houseTree()
	things := []access.Thing{{Kind: access.KindRole, ID: "administrator"}, {Kind: access.KindRole, ID: "auditor"}, {Kind: access.KindRole, ID: "developer"},
		{Kind: access.KindGroup, ID: "berlin"}, {Kind: access.KindGroup, ID: "operations"}}
	rapid.Check(t, func(rt *rapid.T) {
		r := usualRules(t)
		for i := range rapid.IntRange(1, 4).Draw(rt, "rules") {
			r.Separation = append(r.Separation, jml.Separation{Name: fmt.Sprint("rule ", i),
				Things: rapid.SliceOfNDistinct(rapid.SampledFrom(things), 2, 3, rapid.ID).Draw(rt, "things")})
		}
		w := newWorld(r)
		w.say("entra", "e1", &model.Record{UserName: "ada", DisplayName: "ada", Active: true, Attrs: `{"displayName":"ada","userName":"ada"}`}, "created by entra")
		id := w.records[at("entra", "e1")].IdentityID
		for range rapid.IntRange(1, 10).Draw(rt, "steps") {
			w.now = w.now.Add(time.Hour)
			m := model.AccessMember{Person: id, Place: "group:" + rapid.SampledFrom([]string{"builders", "berlin", "operations"}).Draw(rt, "group"),
				Role: rapid.SampledFrom([]string{"administrator", "auditor", "developer"}).Draw(rt, "role"), Reason: "x", Approver: "y", ManagedBy: model.ManagedByOperator}
			is := func(x model.AccessMember) bool { return x.Place == m.Place && x.Role == m.Role }
			if slices.ContainsFunc(w.gave[id], is) {
				w.gave[id] = slices.DeleteFunc(w.gave[id], is)
			} else {
				w.gave[id] = append(w.gave[id], m)
			}
			w.decide(id, jml.Cause{Text: "given"})
			var e model.Entitlements
			if text := w.identities[id].Entitlements; text != "" {
				if err := json.Unmarshal([]byte(text), &e); err != nil {
					rt.Fatal(err)
				}
			}
			for _, s := range r.Separation {
				if has := s.Together(tree, access.Counting(id, w.gave[id], e), w.now); len(has) > 1 {
					rt.Fatalf("rule %v: has %v of %v", s.Things, has, w.gave[id])
				}
			}
		}
	})
}
