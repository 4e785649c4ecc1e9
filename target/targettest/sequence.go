package targettest

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"jmld/jml"
	"jmld/model"
)

// sequences: three people, each with names of their own, are wanted in one state after the other; now and then the
// native id is forgotten, as when the process dies between the target's answer and its own commit. After every step the
// answer, and at the end the listing, are what was wanted last.
func sequences(t *testing.T, open Open) {
	rapid.Check(t, func(rt *rapid.T) {
		target := open(t)
		last := map[string]model.Account{}
		for step := range rapid.IntRange(1, 12).Draw(rt, "steps") {
			person := rapid.SampledFrom([]string{"ada", "grace", "edith"}).Draw(rt, "person")
			want := next(rt, last[person], target.Name(), person)
			got, err := target.Ensure(limited(t), want)
			if err != nil {
				rt.Fatalf("step %d: ensure %s %s: %v", step, want.State, want.Desired, err)
			}
			existed := last[person].NativeID != ""
			switch {
			case want.State == model.AccountAbsent, want.State == model.AccountInactive && !existed:
				if got.AppliedState != model.AccountAbsent || got.NativeID != "" || got.Applied != "" {
					rt.Fatalf("step %d: %+v, want absent", step, got)
				}
			case got.AppliedState != want.State || got.Applied != want.Desired || got.NativeID == "":
				rt.Fatalf("step %d: applied %s %s, want %s %s", step, got.AppliedState, got.Applied, want.State, want.Desired)
			case existed && got.NativeID != last[person].NativeID:
				rt.Fatalf("step %d: native id %q became %q", step, last[person].NativeID, got.NativeID)
			}
			last[person] = got
		}
		want := map[string]Seen{}
		for _, a := range last {
			if a.NativeID != "" {
				want[a.NativeID] = Seen{NativeID: a.NativeID, UserName: a.UserName, Applied: a.Applied, State: a.AppliedState}
			}
		}
		if got := List(t, target); !maps.Equal(want, got) {
			rt.Fatalf("the target holds %v, want %v", slices.Collect(maps.Values(got)), slices.Collect(maps.Values(want)))
		}
	})
}

func next(rt *rapid.T, a model.Account, target, person string) model.Account {
	a.IdentityID, a.Target = "identity-"+person, target
	a.State = rapid.SampledFrom([]model.AccountState{
		model.AccountActive, model.AccountActive, model.AccountInactive, model.AccountAbsent,
	}).Draw(rt, "state")
	a.UserName = fmt.Sprintf("%s%d@example.org", person, rapid.IntRange(0, 2).Draw(rt, "name"))
	attrs := map[string]any{"userName": a.UserName, "externalId": a.IdentityID}
	text := rapid.StringOfN(rapid.RuneFrom([]rune(`aB"\é <&`)), 1, 4, -1)
	if rapid.Bool().Draw(rt, "has title") {
		attrs["title"] = text.Draw(rt, "title")
	}
	if rapid.Bool().Draw(rt, "has name") {
		attrs["name"] = map[string]any{"givenName": text.Draw(rt, "given name")}
	}
	if rapid.Bool().Draw(rt, "has emails") {
		attrs["emails"] = []any{
			map[string]any{"type": "work", "value": a.UserName, "primary": true},
			map[string]any{"type": "home", "value": person + "@example.net"},
		}[:rapid.IntRange(1, 2).Draw(rt, "e-mails")]
	}
	a.Desired = jml.Canonical(attrs)
	a.DesiredRev++
	if rapid.IntRange(0, 3).Draw(rt, "forget") == 0 {
		a.NativeID = ""
	}
	return a
}
