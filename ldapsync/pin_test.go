package ldapsync_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"jmld/jml/engine"
	"jmld/jml/entry"
	"jmld/model"
)

// asked is a question about everything since a mark.
type asked struct {
	engine.Changes
	mark string
}

func (a asked) Mode() model.Mode { return model.ModeDelta }
func (a asked) Mark() string     { return a.mark }

// On Active Directory a delta goes on at the same domain controller, as long as it was not restored.
// win32 #1372: another controller refuses a cookie, or repeats things.
func TestADeltaGoesOnAtTheSameDomainController(t *testing.T) {
	t.Parallel()
	const stamp = "20260101000000.0Z"
	service, invocation := "CN=NTDS Settings,CN=DC1", "one"
	f := newFake(t)
	f.onSearch = func(_ int, s *fakeSearch) bool {
		switch {
		case s.scope == 0 && s.base == "":
			s.entry("", "dsServiceName", service)
		case s.scope == 0 && s.base == service:
			s.entry(s.base, "invocationId", invocation)
		case s.scope == 0:
			s.entry(s.base, "objectGUID", guid(1, 1))
		case s.filter == "(objectCategory=group)":
		default:
			s.entry(winUser(1), "objectGUID", guid(2, 1), "sAMAccountName", "u1", "userAccountControl", "512", "objectSid", sid(2000), "primaryGroupID", "513",
				"whenChanged", stamp)
		}
		s.done(0, s.page(""))
		return true
	}
	o := fakeOptions(f)
	o.Preset, o.Incremental, o.Delta = entry.ActiveDirectory, entry.MethodModifyTime, true
	src := source(t, o)
	_, p, err := read(t.Context(), src)
	if err != nil || !p.Complete || p.Mark == "" {
		t.Fatalf("%v, %q, mark %q", err, failedConditions(p), p.Mark)
	}
	mark := p.Mark
	changes := func() error {
		_, err := src.Changes(t.Context(), asked{mark: mark}, func(model.Entry) error { return nil })
		return err
	}
	// The stamp is of whole seconds: the entry is looked at once more, and then asked remembers nobody.
	mark = strings.Replace(mark, `"?`, `"`, 1)
	if err := changes(); err != nil {
		t.Fatal(err)
	}
	for _, other := range []struct{ service, invocation string }{{service, "two"}, {"CN=NTDS Settings,CN=DC2", invocation}, {"", ""}} {
		f.mu.Lock()
		service, invocation = other.service, other.invocation
		f.mu.Unlock()
		var doubt *model.Doubt
		if err := changes(); !errors.As(err, &doubt) || !strings.Contains(doubt.Text, "another one") {
			t.Errorf("%+v: %v", other, err)
		}
	}
}

// A replica that shows older stamps than were seen before proves nothing.
func TestAReplicaThatIsOlderThanTheLastReadIsNotComplete(t *testing.T) {
	t.Parallel()
	stamps, people := [3]string{"20260101000000Z", "20260301000000Z", "20260301000001Z"}, 3
	f := newFake(t)
	f.onSearch = func(_ int, s *fakeSearch) bool {
		if s.scope != 0 && !strings.Contains(s.filter, "groupOfNames") {
			for i := range people {
				if from, all := strings.CutPrefix(s.filter, "(modifyTimestamp>="); !all || stamps[i] >= strings.TrimSuffix(from, ")") {
					s.person(i+1, "modifyTimestamp", stamps[i])
				}
			}
			s.done(0, s.page(""))
			return true
		}
		return false
	}
	o := fakeOptions(f)
	o.Incremental, o.Delta = entry.MethodModifyTime, true
	src, mark := source(t, o), ""
	check := func(why string, complete bool) {
		t.Helper()
		p, err := src.ReadAfter(t.Context(), mark, func(model.Entry) error { return nil })
		if p.Complete {
			mark = p.Mark
		}
		if failed := strings.Join(failedConditions(p), "; "); err != nil || p.Complete != complete || !complete && !strings.HasPrefix(failed, "not older than the last read: ") {
			t.Errorf("%s: %v, complete %v, %s", why, err, p.Complete, failed)
		}
	}
	set := func(n int, one, two, three string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		stamps, people = [3]string{one, two, three}, n
	}
	check("first", true)
	set(3, "20260101000000Z", "20260201000000Z", "20260201000000Z")
	check("older stamps", false)
	set(1, "20260101000000Z", "", "")
	check("all that was new is not there", false)
	set(2, "20260101000000Z", "20260401000000Z", "")
	check("newer", true)
	set(1, "20260101000000Z", "", "")
	check("the one that was new is deleted", true)
}

// Servers of 389 Directory Server number changes each by itself: one that cannot be told from its replicas is not asked by number.
func TestANumberOfANamelessServerIsNoPosition(t *testing.T) {
	t.Parallel()
	for _, how := range []entry.Method{entry.MethodEntryUSN, entry.MethodChangelog} {
		for _, name := range []string{"cn=ldap://dc=one:389", ""} {
			f := newFake(t)
			f.onSearch = func(_ int, s *fakeSearch) bool {
				id := func(n int) []string { return []string{"nsUniqueId", fmt.Sprintf("%08d-a11d11f1-8f4b0001-00000000", n)} }
				switch {
				case s.scope == 0 && s.base == "" && name == "":
					s.entry("", "lastusn;userroot", "7", "changelog", "cn=changelog")
				case s.scope == 0 && s.base == "":
					s.entry("", "lastusn;userroot", "7", "changelog", "cn=changelog", "netscapemdsuffix", name)
				case s.scope == 0:
					s.entry(s.base, id(1)...)
				case s.filter == "(objectClass=nsTombstone)" || strings.Contains(s.filter, "groupOf"):
				default:
					s.person(2, append(id(2), "modifyTimestamp", "20260101000000Z")...)
				}
				s.done(0, s.page(""))
				return true
			}
			o := fakeOptions(f)
			o.Preset, o.Incremental, o.Delta = entry.DS389, how, true
			_, p, err := read(t.Context(), source(t, o))
			if got := strings.Contains(p.Method, "cannot be used: the server does not show netscapemdsuffix"); err != nil || got != (name == "") {
				t.Errorf("%s, name %q: %v, %q", how, name, err, p.Method)
			}
		}
	}
}
