package ldapsync_test

import (
	"errors"
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
	o.Preset, o.Incremental, o.Delta = entry.ActiveDirectory, entry.MethodUSN, true
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
