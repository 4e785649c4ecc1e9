package jml_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"jmld/jml"
	"jmld/model"
)

func drawLimit(rt *rapid.T, name string) jml.Limit {
	return jml.Limit{Count: rapid.IntRange(0, 20).Draw(rt, name), Share: rapid.Float64Range(0, 1).Draw(rt, name+" share")}
}

func drawCounts(rt *rapid.T) []model.ChangeCount {
	return rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) model.ChangeCount {
		c := model.ChangeCount{Target: rapid.SampledFrom([]string{"app", "platform"}).Draw(rt, "target"), N: rapid.IntRange(1, 60).Draw(rt, "n"),
			Op:   rapid.SampledFrom([]model.Op{model.OpUpdate, model.OpUpdate, model.OpReactivate, model.OpCreate, model.OpDeactivate}).Draw(rt, "op"),
			Held: rapid.Bool().Draw(rt, "held")}
		if c.Op == model.OpUpdate {
			for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"emails", "manager", "title"}), 1, 3, rapid.ID).Draw(rt, "attrs") {
				c.Attrs += " " + rapid.SampledFrom([]string{"", "", "+", "-"}).Draw(rt, "mark") + name
			}
			c.Attrs = strings.TrimSpace(c.Attrs)
		}
		return c
	}), 0, 12).Draw(rt, "counts")
}

// D-04: what goes never exceeds a limit, what stays below the floor is never held, and the order of what is counted does not matter.
func TestNoBrakeLetsMoreThroughThanItsLimit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		l := jml.Limits{Changed: drawLimit(rt, "changed"), Emptied: drawLimit(rt, "emptied"), Movers: drawLimit(rt, "movers"), Returns: drawLimit(rt, "returns")}
		f := jml.Figures{Supported: map[string]int{"app": rapid.IntRange(0, 300).Draw(rt, "app"), "platform": rapid.IntRange(0, 300).Draw(rt, "platform")},
			Counts: drawCounts(rt)}
		v := l.JudgeMoves(f)
		mixed := f
		mixed.Counts = rapid.Permutation(f.Counts).Draw(rt, "order")
		if d := cmp.Diff(v, l.JudgeMoves(mixed), cmp.AllowUnexported(jml.Verdicts{})); d != "" {
			rt.Fatal("the order matters:", d)
		}
		total, gone := map[string]int{}, map[string]int{}
		for _, c := range f.Counts {
			some := false
			for _, mark := range cmpMarks(c) {
				hold, held := v.Hold(c.Target, c.Op, mark)
				keys := []string{}
				name := strings.TrimLeft(mark, "+-")
				switch {
				case c.Op == model.OpReactivate:
					keys = append(keys, "returns "+c.Target)
				case c.Op != model.OpUpdate || strings.HasPrefix(mark, "+"):
					if held {
						rt.Fatalf("%+v takes nothing away, and %s of it is held", c, mark)
					}
					continue
				case strings.HasPrefix(mark, "-"):
					keys = append(keys, "emptied "+c.Target+" "+name)
					fallthrough
				default:
					keys = append(keys, "changed "+c.Target+" "+name)
				}
				for _, k := range keys {
					total[k] += c.N
					if !held {
						gone[k] += c.N
					}
				}
				if kind, _ := hold.Brake.Kind(); c.Op == model.OpUpdate && !some && (!held || kind == model.BrakeMovers) {
					some, total["movers "+c.Target] = true, total["movers "+c.Target]+c.N
					if !held {
						gone["movers "+c.Target] += c.N
					}
				}
			}
		}
		limit := func(key string) int {
			kind, rest, _ := strings.Cut(key, " ")
			target, _, _ := strings.Cut(rest, " ")
			return map[string]jml.Limit{"returns": l.Returns, "emptied": l.Emptied, "changed": l.Changed, "movers": l.Movers}[kind].Most(f.Supported[target])
		}
		small := true
		for key, n := range total {
			if gone[key] > limit(key) {
				rt.Fatalf("%d went of %s, and the limit is %d: %+v", gone[key], key, limit(key), f)
			}
			small = small && n <= limit(key)
		}
		if small != v.None() {
			rt.Fatalf("within every limit: %t; nothing held: %t; %+v", small, v.None(), f)
		}
	})
}

func cmpMarks(c model.ChangeCount) []string {
	if c.Op == model.OpUpdate {
		return strings.Fields(c.Attrs)
	}
	return []string{""}
}

// D-04: the example of the requirement, and the figures in each reason.
func TestBrakesOnAttributes(t *testing.T) {
	t.Parallel()
	l, of := jml.DefaultLimits(), map[string]int{"app": 100}
	update := func(attrs string, n int) model.ChangeCount {
		return model.ChangeCount{Target: "app", Op: model.OpUpdate, Attrs: attrs, N: n}
	}
	const manager = jml.EnterpriseUser + ":manager"
	for _, c := range []struct {
		name   string
		counts []model.ChangeCount
		op     model.Op
		mark   string
		want   string
	}{
		{"a manager changed for 90 %", []model.ChangeCount{update(manager, 90)}, model.OpUpdate, manager,
			"manager would change for 90 of 100 accounts in app; the limit is 20 (the larger of 10 and 20 %)"},
		{"a title changed for as many as may", []model.ChangeCount{update("title", 20)}, model.OpUpdate, "title", ""},
		{"the others' attributes go on", []model.ChangeCount{update(manager, 90), update("title", 3)}, model.OpUpdate, "title", ""},
		{"a mail emptied for six", []model.ChangeCount{update("-emails", 6)}, model.OpUpdate, "-emails",
			"emails would be emptied for 6 of 100 accounts in app; the limit is 5 (the larger of 5 and 5 %)"},
		{"and for five", []model.ChangeCount{update("-emails", 5)}, model.OpUpdate, "-emails", ""},
		{"a first value takes nothing away", []model.ChangeCount{update("+title", 100)}, model.OpUpdate, "+title", ""},
		{"those that wait and those that went count, too", []model.ChangeCount{update("title", 1), {Target: "app", Op: model.OpUpdate, Attrs: "-title", Held: true, N: 20}},
			model.OpUpdate, "title", "title would change for 21 of 100 accounts in app; the limit is 20 (the larger of 10 and 20 %)"},
		{"many accounts, each in another attribute", []model.ChangeCount{update("a", 16), update("b", 16)}, model.OpUpdate, "a",
			"32 of 100 accounts in app would change; the limit is 30 (the larger of 20 and 30 %)"},
		{"a status that nobody can read", []model.ChangeCount{{Target: "app", Op: model.OpReactivate, N: 40}}, model.OpReactivate, "",
			"40 people would come back at once to app, where 100 accounts are active; the limit is 5 (the larger of 5 and 2 %)"},
	} {
		h, held := l.JudgeMoves(jml.Figures{Supported: of, Counts: c.counts}).Hold("app", c.op, c.mark)
		if d := cmp.Diff(c.want, h.Text); d != "" || held != (c.want != "") {
			t.Errorf("%s: %t %s", c.name, held, d)
		}
	}
}

// D-04: a group emptied, also one member at a time.
func TestBrakeOnGroups(t *testing.T) {
	t.Parallel()
	l, start := jml.DefaultLimits(), time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name      string
		had, drop int
		want      string
	}{
		{"emptied", 1498, 1498, "group builders lost all of its 1498 members; 5 or more need approval"},
		{"a small one emptied", 5, 5, "group builders lost all of its 5 members; 5 or more need approval"},
		{"a tiny one emptied", 4, 4, ""},
		{"a quarter", 40, 10, ""},
		{"more than a quarter", 40, 11, "group builders lost 11 of its 40 members; the limit is 10 (the larger of 10 and 25 %)"},
	} {
		if _, held := l.GroupLoss(model.GroupLoss{}, "builders", c.had, c.drop, start); held != c.want {
			t.Errorf("%s: %q, want %q", c.name, held, c.want)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		had := rapid.IntRange(5, 100).Draw(rt, "members")
		var loss model.GroupLoss
		went := 0
		for members := had; members > 0; {
			drop := rapid.IntRange(1, members).Draw(rt, "drop")
			var held string
			loss, held = l.GroupLoss(loss, "builders", members, drop, start.Add(time.Duration(had-members)*time.Minute))
			if members -= drop; held == "" {
				went += drop
			}
		}
		was := model.GroupLoss{Since: start, Had: rapid.IntRange(0, 2*had).Draw(rt, "had"), Lost: rapid.IntRange(0, had).Draw(rt, "lost")}
		many, drop := rapid.IntRange(had, 4000).Draw(rt, "many"), rapid.IntRange(1, had).Draw(rt, "drop of many")
		_, exact := l.GroupLoss(was, "builders", many, drop, start)
		if _, bounded := l.GroupLoss(was, "builders", min(many, l.GroupMatters(was, drop, start)), drop, start); bounded != exact {
			rt.Fatalf("%d of %d after %+v: %q, counted as far as it matters %q", drop, many, was, exact, bounded)
		}
		if most := l.Group.Most(had); went > most || went == had {
			rt.Fatalf("%d of %d members went, step by step; the limit is %d", went, had, most)
		}
		if later, held := l.GroupLoss(loss, "builders", 100, 1, start.Add(l.Window+2*time.Hour)); held != "" || later.Lost != 1 {
			rt.Fatalf("a window later: %q, %+v", held, later)
		}
	})
}

func TestAReadThatIsSuspectAsAWhole(t *testing.T) { // D-04
	t.Parallel()
	l := jml.DefaultLimits()
	for _, c := range []struct {
		name string
		seen jml.Circumstances
		want model.Brake
	}{
		{"as always", jml.Circumstances{Listed: 995, Before: 1000, Supported: 1000}, ""},
		{"the first one", jml.Circumstances{Listed: 10}, ""},
		{"a few fewer", jml.Circumstances{Listed: 980, Before: 1000}, ""},
		{"two percent fewer", jml.Circumstances{Listed: 979, Before: 1000}, model.BrakeShrunk},
		{"and all of them deleted", jml.Circumstances{Listed: 900, Before: 1000, Explained: 90}, ""},
		{"known people under new ids", jml.Circumstances{Listed: 1000, Before: 1000, Renewed: 101, Supported: 1000}, model.BrakeRenewed},
		{"a clock that went back", jml.Circumstances{Listed: 1000, Before: 1000, Ahead: -6 * time.Minute, Clock: "the database's"}, model.BrakeClock},
		{"a clock that is ahead", jml.Circumstances{Listed: 1000, Before: 1000, Ahead: 6 * time.Minute}, model.BrakeClock},
	} {
		if hold, held := l.JudgeRead(c.seen); hold.Brake != c.want || held != (c.want != "") || held && hold.Text == "" {
			t.Errorf("%s: %+v", c.name, hold)
		}
	}
}

// What is held of an update stays as it is, whatever else becomes of the account; what comes back waits no longer.
func TestWhatIsHeldStays(t *testing.T) { // D-03, D-04
	t.Parallel()
	rules := usualRules(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rules)
		say := func(title, nick string) jml.Decision {
			attrs := map[string]any{"userName": "ada", "displayName": "ada", "nickName": nick, jml.EnterpriseUser: map[string]any{"employeeNumber": "1", "department": nick}}
			if title != "" {
				attrs["title"] = title
			}
			rec := &model.Record{Source: "corp", ID: "1", Kind: model.KindUser, UserName: "ada", Active: true, Attrs: jml.Canonical(attrs), Link: model.Linked, IdentityID: "p"}
			w.records[at("corp", "1")] = *rec
			return rules.Decide(w.situation("p", jml.Cause{Source: "corp", Text: "said"}))
		}
		w.apply(say("a", "x"))
		title := rapid.SampledFrom([]string{"", "b"}).Draw(rt, "title")
		d := say(title, rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "nick"))
		mark := "title"
		if title == "" {
			mark = "-title"
		}
		i := slices.IndexFunc(d.Steps, func(s jml.Step) bool { return s.Change.Target == "app" })
		rest, later := d.Steps[i].Divide([]string{mark}, "plan")
		if strings.Contains(" "+rest.Change.Attrs+" ", " "+mark+" ") || later.Attrs != mark {
			rt.Fatalf("%q and %q", rest.Change.Attrs, later.Attrs)
		}
		d.Steps[i] = rest
		w.apply(d)
		if got := jml.Decode(w.accounts[[2]string{"p", "app"}].Desired)["title"]; got != "a" {
			rt.Fatalf("the title that is held became %v", got)
		}
		for n := range rapid.IntRange(0, 3).Draw(rt, "more") { // others change
			next := say(title, fmt.Sprint("n", n))
			for _, s := range next.Steps {
				if s.Change.Target == "app" && (jml.Decode(s.Account.Desired)["title"] != "a" || len(next.Settled) > 0) {
					rt.Fatalf("%+v, %+v", s, next.Settled)
				}
			}
			w.apply(next)
		}
		nick, _ := jml.Decode(w.accounts[[2]string{"p", "app"}].Desired)["nickName"].(string)
		back := say("a", nick)
		if len(back.Settled) != 1 || back.Settled[0].Plan != "plan" || back.Settled[0].Account.Waits() || len(back.Steps) > 0 {
			rt.Fatalf("it is what it was, and still: %+v", back)
		}
		third := say("c", nick)
		if len(third.Settled) != 1 || len(third.Steps) != 1 || third.Steps[0].Change.Attrs != "title" {
			rt.Fatalf("a third value is decided anew: %+v", third)
		}
		freed := w.accounts[[2]string{"p", "app"}]
		w.accounts[[2]string{"p", "app"}] = jml.Freed(freed, "plan")
		let := say(title, nick)
		if len(let.Steps) != 1 || jml.Part(let.Steps[0].Change, []string{mark}).After != later.After {
			rt.Fatalf("approved: %+v, held: %s", let.Steps, later.After)
		}
	})
}
