package ldapsync_test

import (
	"strings"
	"testing"

	"jmld/internal/testserver"
	"jmld/jml/engine"
	"jmld/jml/entry"
	"jmld/ldapsync"
	"jmld/model"
)

// M-36: what OpenLDAP says of changes is enough: nobody is listed, and the database says what a full read says.
func TestSyncreplEqualsAFullRead(t *testing.T) {
	t.Parallel()
	s, o := mirrored(t)
	o.Incremental = entry.MethodSyncrepl
	m := newMirror(t, o)
	if out := m.sync(model.ModeFull); out.Proof.Method != "syncrepl" {
		t.Fatalf("%+v", out.Proof)
	}
	if out := m.sync(model.ModeDelta); !out.Proof.Unlisted || out.Proof.Instead != "" {
		t.Fatalf("a delta without a change: %+v", out.Proof)
	}
	for round := 1; round < 4; round++ {
		changeEverything(t, s, round)
		out := m.sync(model.ModeDelta)
		if out.Proof.Instead != "" || !out.Proof.Unlisted || out.Funnel.Missing != 1 || out.Funnel.Absent != 2 || out.Funnel.Users > 12 {
			t.Errorf("round %d: %+v, %+v", round, out.Proof, out.Funnel)
		}
		m.sync(model.ModeCensus) // the second complete read without the deleted one
		m.equals(o, "after the delta")
		if out := m.sync(model.ModeDelta); !out.Proof.Unlisted || out.Funnel.Users > 0 {
			t.Errorf("round %d: the same changes are seen again: %+v", round, out.Funnel)
		}
	}
	s.Delete(testserver.UserDN(60)) // leaves no stamp
	if out := m.sync(model.ModeDelta); out.Funnel.Missing != 1 {
		t.Errorf("%+v", out.Funnel)
	}
	m.sync(model.ModeCensus)
	m.equals(o, "after a deletion")

	s.Rename("ou=inner,"+testserver.PeopleBase, "ou=within", "")
	if out := m.sync(model.ModeDelta); out.Proof.Mode != model.ModeFull || !strings.Contains(out.Proof.Instead, "container") {
		t.Errorf("a renamed container: %+v", out.Proof)
	}
	m.equals(o, "after a container was renamed")
}

// What a server cannot say of changes is looked for otherwise, and the run says how.
func TestAMethodThatCannotBeUsedGivesWay(t *testing.T) {
	t.Parallel()
	without := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(10, 2, 5)})
	with := testserver.Slapd(t, testserver.SlapdOptions{Syncrepl: true, LDIF: testserver.LDIF(10, 2, 5)})
	for name, c := range map[string]struct {
		change func(*ldapsync.Options)
		method string
	}{
		"no overlay": {func(o *ldapsync.Options) { o.URL, o.CAFile = without.TLSURL, without.CAFile },
			"modify-timestamp, because syncrepl cannot be used: "},
		"another id": {func(o *ldapsync.Options) { o.ID = "uid"; o.Groups = nil; o.Base = testserver.PeopleBase },
			"modify-timestamp, because syncrepl cannot be used: it names entries by entryUUID, and id is uid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(with)
			o.Incremental, o.Delta = entry.MethodSyncrepl, true
			c.change(&o)
			if name == "another id" {
				o.People.Base = testserver.PeopleBase
			}
			m := newMirror(t, o)
			out, err := m.engine.Sync(t.Context(), "corp", engine.SyncOptions{Mode: model.ModeFull})
			if err != nil || !strings.HasPrefix(out.Proof.Method, c.method) {
				t.Errorf("%v, %q", err, out.Proof.Method)
			}
			if !out.Proof.Complete { // ids by uid: the base has none
				return
			}
			out = m.sync(model.ModeDelta)
			if want := "modify-timestamp, because syncrepl could not be used when everything was read last"; !out.Proof.Unlisted || out.Proof.Method != want {
				t.Errorf("%+v", out.Proof)
			}
		})
	}
}

// M-36: what OpenLDAP says of itself may be a reason to read everything; a list of what is present is taken by ourselves.
// syncrepl #24, ReOpenLDAP #70: a server that says nothing of what it deleted, or cuts its list of who is present short, had everybody deleted.
func TestSyncreplDoubts(t *testing.T) {
	t.Parallel()
	s, o := mirrored(t)
	o.Incremental = entry.MethodSyncrepl
	m := newMirror(t, o)
	m.sync(model.ModeFull)
	first := m.checkpoint().Mark
	changeEverything(t, s, 1)
	m.sync(model.ModeDelta)
	m.sync(model.ModeCensus)

	// The log of changes is in memory: after a restart the server says who is present, and we list everybody ourselves.
	s.Replace(testserver.UserDN(20), "title", "Changed")
	s.Delete(testserver.UserDN(21))
	s.Stop()
	s.Start()
	if out := m.sync(model.ModeDelta); out.Proof.Instead != "" || out.Proof.Unlisted || out.Funnel.Missing != 1 {
		t.Errorf("after a restart: %+v, %+v", out.Proof, out.Funnel)
	}
	m.sync(model.ModeCensus)
	m.equals(o, "after a restart")

	last := m.checkpoint().Mark
	for name, c := range map[string]struct{ old, new, why string }{
		"another server":     {"sid=001", "sid=002", "another one than before"},
		"no csn":             {"csn=", "xcn=", "has no csn"},
		"an unusable csn":    {"#000000", "", "no usable csn"},
		"not a cookie":       {"rid=", "\u00fc", "not one of OpenLDAP"},
		"another method":     {`"syncrepl"`, `"entry-usn"`, "were by entry-usn"},
		"from before stamps": {`"method":"syncrepl"`, `"at":"20260101000000Z"`, "were by modify-timestamp"},
		"another base":       {`"base":"`, `"base":"x`, "another one than before"},
	} {
		text := strings.ReplaceAll(last, c.old, c.new)
		if name == "another server" { // it must have something to say
			s.Replace(testserver.UserDN(22), "title", "Changed once more")
		}
		m.mark(text)
		if out := m.sync(model.ModeDelta); out.Proof.Mode != model.ModeFull || !strings.Contains(out.Proof.Instead, c.why) {
			t.Errorf("%s: %q", name, out.Proof.Instead)
		}
	}

	// A server that knows less than we have seen was restored, or lags: everything is read, and proves nothing.
	m.mark(strings.Replace(last, "csn=20", "csn=21", 1))
	out, err := m.engine.Sync(t.Context(), "corp", engine.SyncOptions{Mode: model.ModeDelta})
	if err != nil || out.Proof.Complete || out.Proof.Mode != model.ModeFull || !strings.Contains(strings.Join(failedConditions(out.Proof), ";"), "not older than the last read") {
		t.Errorf("a server from the past: %v, %+v", err, out.Proof)
	}
	m.mark(first) // from before everything, again: idempotent
	m.sync(model.ModeDelta)
	m.equals(o, "after the first mark again")
}

func engineDelta() engine.SyncOptions { return engine.SyncOptions{Mode: model.ModeDelta} }
