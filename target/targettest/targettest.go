// Package targettest is what every engine.Target must do, as tests: one suite for all targets.
package targettest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml"
	"jmld/jml/engine"
	"jmld/model"
)

// Open makes an empty target; what it needs ends with the test.
type Open func(t testing.TB) engine.Target

// Run runs the suite. Accounts are invented people at example.org.
func Run(t *testing.T, open Open) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(t *testing.T, target engine.Target)
	}{
		{"an account is created as wanted and listed", created},
		{"ensuring again changes nothing", idempotent},
		{"an update replaces what is wanted and drops what no longer is", updated},
		{"a rename keeps the account", renamed},
		{"deactivation is reversible and keeps the attributes", deactivated},
		{"a deleted account is gone, and deleting it again is no error", deleted},
		{"somebody to be inactive who has no account gets none", nothingToDeactivate},
		{"an account whose native id was never stored is found, not made again", foundAgain},
		{"an account that vanished is made again", vanished},
		{"two people cannot have one userName, whatever its case", conflict},
		{"values with quotes and other letters arrive as they are", hostileValues},
		{"an account without a userName is refused for good", noUserName},
		{"many at once for one account make one account", concurrentSame},
		{"many accounts at once", concurrentMany},
		{"a cancelled context ends the work with an error", cancelled},
		{"a listing ends when nobody wants more", listingStops},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t))
		})
	}
	t.Run("after any sequence the target is as the last want says", func(t *testing.T) {
		t.Parallel()
		sequences(t, open)
	})
}

// Want is an active account of an invented person.
func Want(target, user string) model.Account {
	return model.Account{
		IdentityID: "identity-" + user,
		Target:     target,
		State:      model.AccountActive,
		UserName:   user + "@example.org",
		Desired: jml.Canonical(map[string]any{
			"userName":    user + "@example.org",
			"externalId":  "identity-" + user,
			"displayName": "Invented " + user,
			"title":       "Tester",
			"name":        map[string]any{"givenName": "Invented", "familyName": user},
			"emails":      []any{map[string]any{"primary": true, "type": "work", "value": user + "@example.org"}},
		}),
		DesiredRev: 1,
	}
}

// ensure expects success and that what was read back is what was wanted.
func ensure(t testing.TB, target engine.Target, want model.Account) model.Account {
	t.Helper()
	got, err := target.Ensure(limited(t), want)
	if err != nil {
		t.Fatalf("ensure %s %s: %v", want.State, want.UserName, err)
	}
	if got.AppliedState != want.State {
		t.Fatalf("ensure %s: applied state %q, want %q", want.UserName, got.AppliedState, want.State)
	}
	if want.State == model.AccountAbsent {
		if got.NativeID != "" || got.Applied != "" {
			t.Fatalf("an absent account still has native id %q and attributes %q", got.NativeID, got.Applied)
		}
		return got
	}
	if got.NativeID == "" {
		t.Fatal("no native id")
	}
	if d := cmp.Diff(want.Desired, got.Applied); d != "" {
		t.Fatalf("applied attributes are not the desired ones (-want +got):\n%s", d)
	}
	got.AppliedRev = want.DesiredRev
	return got
}

// Seen is an account as a listing shows it.
type Seen struct {
	NativeID, UserName, Applied string
	State                       model.AccountState
}

// List reads the whole listing, by native id.
func List(t testing.TB, target engine.Target) map[string]Seen {
	t.Helper()
	seen := map[string]Seen{}
	for a, err := range target.Accounts(limited(t)) {
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		if _, twice := seen[a.NativeID]; twice || a.NativeID == "" {
			t.Fatalf("native id %q listed twice, or empty", a.NativeID)
		}
		seen[a.NativeID] = Seen{NativeID: a.NativeID, UserName: a.UserName, Applied: a.Applied, State: a.AppliedState}
	}
	return seen
}

// holds expects the listing to be exactly these accounts.
func holds(t testing.TB, target engine.Target, accounts ...model.Account) {
	t.Helper()
	want := map[string]Seen{}
	for _, a := range accounts {
		want[a.NativeID] = Seen{NativeID: a.NativeID, UserName: a.UserName, Applied: a.Applied, State: a.AppliedState}
	}
	if d := cmp.Diff(want, List(t, target)); d != "" {
		t.Fatalf("the target does not hold what it should (-want +got):\n%s", d)
	}
}

// limited is a context that ends a test that hangs.
func limited(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func created(t *testing.T, target engine.Target) {
	got := ensure(t, target, Want(target.Name(), "ada"))
	if got.Origin != model.OriginOurs {
		t.Errorf("origin %q, want %q", got.Origin, model.OriginOurs)
	}
	holds(t, target, got)
}

func idempotent(t *testing.T, target engine.Target) {
	first := ensure(t, target, Want(target.Name(), "ada"))
	second := ensure(t, target, first)
	if d := cmp.Diff(first, second); d != "" {
		t.Fatalf("the second time differs:\n%s", d)
	}
	holds(t, target, second)
}

func updated(t *testing.T, target engine.Target) {
	a := ensure(t, target, Want(target.Name(), "ada"))
	a.Desired = jml.Canonical(map[string]any{
		"userName":   "ada@example.org",
		"externalId": a.IdentityID,
		"nickName":   "A",
		"name":       map[string]any{"givenName": "Ada"},
		"emails": []any{
			map[string]any{"primary": true, "type": "work", "value": "a.new@example.org"},
			map[string]any{"type": "home", "value": "ada@example.net"},
		},
	})
	holds(t, target, ensure(t, target, a))
}

func renamed(t *testing.T, target engine.Target) {
	before := ensure(t, target, Want(target.Name(), "ada"))
	want := before
	want.UserName = "lovelace@example.org"
	want.Desired = jml.Canonical(map[string]any{"userName": "lovelace@example.org", "externalId": want.IdentityID})
	after := ensure(t, target, want)
	if after.NativeID != before.NativeID {
		t.Errorf("native id %q became %q", before.NativeID, after.NativeID)
	}
	holds(t, target, after)
	other := Want(target.Name(), "ada") // the old name is free
	other.IdentityID = "identity-other"
	other.Desired = jml.Canonical(map[string]any{"userName": "ada@example.org", "externalId": other.IdentityID})
	holds(t, target, after, ensure(t, target, other))
}

func deactivated(t *testing.T, target engine.Target) {
	a := ensure(t, target, Want(target.Name(), "ada"))
	a.State = model.AccountInactive
	a = ensure(t, target, a)
	holds(t, target, a)

	bare := a
	bare.Desired = ""
	got, err := target.Ensure(limited(t), bare)
	if err != nil || got.AppliedState != model.AccountInactive || got.NativeID != a.NativeID {
		t.Fatalf("deactivating without attributes: %+v, %v", got, err)
	}
	holds(t, target, a)

	a.State = model.AccountActive
	holds(t, target, ensure(t, target, a))
}

func deleted(t *testing.T, target engine.Target) {
	stays := ensure(t, target, Want(target.Name(), "grace"))
	a := ensure(t, target, Want(target.Name(), "ada"))
	a.State = model.AccountAbsent
	gone := ensure(t, target, a)
	holds(t, target, stays)
	ensure(t, target, a) // still with the native id: the answer to the first time was lost
	ensure(t, target, gone)
	holds(t, target, stays)

	gone.State = model.AccountActive // a rehire
	holds(t, target, stays, ensure(t, target, gone))
}

func nothingToDeactivate(t *testing.T, target engine.Target) {
	for _, state := range []model.AccountState{model.AccountInactive, model.AccountAbsent} {
		want := Want(target.Name(), "ada")
		want.State = state
		got, err := target.Ensure(limited(t), want)
		if err != nil || got.AppliedState != model.AccountAbsent || got.NativeID != "" || got.Applied != "" {
			t.Fatalf("%s: %+v, %v; want absent", state, got, err)
		}
	}
	holds(t, target)
}

func foundAgain(t *testing.T, target engine.Target) {
	first := ensure(t, target, Want(target.Name(), "ada"))
	second := ensure(t, target, Want(target.Name(), "ada")) // the process died before the native id was stored
	if first.NativeID != second.NativeID {
		t.Fatalf("native id %q, then %q", first.NativeID, second.NativeID)
	}
	holds(t, target, first)

	leaver := Want(target.Name(), "ada")
	leaver.State = model.AccountAbsent
	ensure(t, target, leaver)
	holds(t, target)
}

func vanished(t *testing.T, target engine.Target) {
	a := ensure(t, target, Want(target.Name(), "ada"))
	drop := a
	drop.State = model.AccountAbsent
	ensure(t, target, drop)
	holds(t, target, ensure(t, target, a)) // a still names the native id of the account that is gone
}

func conflict(t *testing.T, target engine.Target) {
	a := ensure(t, target, Want(target.Name(), "ada"))
	other := Want(target.Name(), "ada")
	other.IdentityID, other.UserName = "identity-other", "ADA@example.org"
	other.Desired = jml.Canonical(map[string]any{"userName": "ADA@example.org", "externalId": other.IdentityID})
	_, err := target.Ensure(limited(t), other)
	if model.CodeOf(err) != model.CodeTargetConflict || !engine.IsPermanent(err) {
		t.Fatalf("error %v (code %s, permanent %v), want a permanent conflict", err, model.CodeOf(err), engine.IsPermanent(err))
	}
	holds(t, target, a)

	for _, state := range []model.AccountState{model.AccountInactive, model.AccountAbsent} { // nor does a leaver take it away
		other.State = state
		if got, err := target.Ensure(limited(t), other); err != nil || got.AppliedState != model.AccountAbsent {
			t.Fatalf("%s of somebody who never had it: %+v, %v; want absent", state, got, err)
		}
	}
	holds(t, target, a)

	b := ensure(t, target, Want(target.Name(), "grace")) // and not by a rename either
	b.Desired = jml.Canonical(map[string]any{"userName": "Ada@example.org", "externalId": b.IdentityID})
	if _, err := target.Ensure(limited(t), b); model.CodeOf(err) != model.CodeTargetConflict || !engine.IsPermanent(err) {
		t.Fatalf("rename: error %v (code %s), want a permanent conflict", err, model.CodeOf(err))
	}
}

func hostileValues(t *testing.T, target engine.Target) {
	var all []model.Account
	for i, name := range []string{
		`o"brien`, `back\slash`, `x" or userName pr or userName eq "y`, "a&b=c+d%20e#f?g", "<script>alert(1)</script>",
		"Zoë Brontë", "李小龙", "ünïcödé/../..", "tab\tand space", "percent%2F", "'; drop table platform_users; --", "\U0001F600",
	} {
		want := Want(target.Name(), fmt.Sprint("person", i))
		want.UserName = name
		want.Desired = jml.Canonical(map[string]any{
			"userName": name, "externalId": "id " + name, "displayName": name,
			"name": map[string]any{"familyName": name, "givenName": name}, "title": name,
		})
		first := ensure(t, target, want)
		again := ensure(t, target, want)
		if first.NativeID != again.NativeID {
			t.Errorf("%q: native id %q, then %q", name, first.NativeID, again.NativeID)
		}
		all = append(all, again)
	}
	for i, a := range all {
		all[i] = ensure(t, target, a)
	}
	holds(t, target, all...)
}

func noUserName(t *testing.T, target engine.Target) {
	for _, desired := range []string{"", "{}", `{"displayName":"Nobody"}`, `{"userName":""}`, `[]`, `{`} {
		want := Want(target.Name(), "ada")
		want.Desired = desired
		if _, err := target.Ensure(limited(t), want); model.CodeOf(err) != model.CodeTargetRefused || !engine.IsPermanent(err) {
			t.Errorf("desired %q: error %v (code %s), want a permanent refusal", desired, err, model.CodeOf(err))
		}
	}
	want := Want(target.Name(), "ada")
	want.State = model.AccountUnknown
	if _, err := target.Ensure(limited(t), want); !engine.IsPermanent(err) {
		t.Errorf("unknown state: error %v, want a permanent one", err)
	}
	holds(t, target)
}

func concurrentSame(t *testing.T, target engine.Target) {
	const n = 8
	got, errs := make([]model.Account, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { got[i], errs[i] = target.Ensure(limited(t), Want(target.Name(), "ada")) })
	}
	wg.Wait()
	for i := range n {
		if errs[i] != nil || got[i].NativeID != got[0].NativeID {
			t.Fatalf("%d: native id %q, error %v; want %q", i, got[i].NativeID, errs[i], got[0].NativeID)
		}
	}
	holds(t, target, got[0])
}

func concurrentMany(t *testing.T, target engine.Target) {
	const n = 24
	got, errs := make([]model.Account, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { got[i], errs[i] = target.Ensure(limited(t), Want(target.Name(), fmt.Sprint("person", i))) })
	}
	wg.Wait()
	for i := range n {
		if errs[i] != nil {
			t.Fatalf("%d: %v", i, errs[i])
		}
	}
	holds(t, target, got...)
}

func cancelled(t *testing.T, target engine.Target) {
	a := ensure(t, target, Want(target.Name(), "ada"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := target.Ensure(ctx, Want(target.Name(), "grace")); err == nil || engine.IsPermanent(err) {
		t.Errorf("ensure: error %v, want one that is tried again", err)
	}
	var last error
	for _, err := range target.Accounts(ctx) {
		last = err
	}
	if last == nil {
		t.Error("the listing ended as if it were whole")
	}
	holds(t, target, a)
}

func listingStops(t *testing.T, target engine.Target) {
	for i := range 3 {
		ensure(t, target, Want(target.Name(), fmt.Sprint("person", i)))
	}
	n := 0
	for _, err := range target.Accounts(limited(t)) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("listed %d, want 2", n)
	}
}
