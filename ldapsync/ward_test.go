package ldapsync_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/store"
	"jmld/jml"
	"jmld/jml/engine"
	"jmld/jml/entry"
	"jmld/jml/policy"
	"jmld/ldapsync"
	"jmld/model"
)

// ward is a database, and an engine that reads a tree into it and gives everybody an account.
type ward struct {
	t      testing.TB
	name   string // of the source
	tree   *tree
	tamper *tamper
	store  *store.Store
	method entry.Method
	engine *engine.Engine
	ahead  time.Duration   // of the engine's clock
	last   map[string]fact // that were stored when it was looked last
}

// pageSize makes several pages of few people.
const pageSize = 3

func newWard(t testing.TB, tr *tree, method entry.Method, url string) *ward {
	t.Helper()
	w := &ward{t: t, name: "corp", tree: tr, method: method, tamper: newTamper(t, tr.dial, tr.layer)}
	if url == "" {
		url = "sqlite:" + filepath.Join(t.TempDir(), "jmld.db")
	}
	var err error
	if w.store, err = store.Open(t.Context(), store.Options{URL: url}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.store.Close() })
	w.engine = w.engineWith(time.Minute)
	return w
}

// engineWith is an engine whose source waits so long for the next byte.
func (w *ward) engineWith(idle time.Duration) *engine.Engine {
	w.t.Helper()
	return w.engineFor(idle, func(*ldapsync.Options) {})
}

// engineFor is one whose source has other options.
func (w *ward) engineFor(idle time.Duration, change func(*ldapsync.Options)) *engine.Engine {
	w.t.Helper()
	t, tr, method := w.t, w.tree, w.method
	o := tr.options
	o.Name, o.URL, o.Password, o.Base, o.Groups, o.PageSize = w.name, w.tamper.url, password, tr.base, &ldapsync.Groups{}, pageSize
	o.Incremental, o.Delta = method, method != entry.MethodNone
	o.Timeouts = ldapsync.Timeouts{Connect: time.Minute, Idle: idle, Run: 5 * time.Minute}
	change(&o)
	rules, mistakes := policy.Compile(policy.Config{Accounts: []policy.Rule{{Name: "everybody", Target: "app", When: "true"}}}, []string{"app"})
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	all := jml.Limit{Count: 1_000_000}
	return engine.New(engine.Options{
		Store: w.store, Replica: "one", Now: func() time.Time { return time.Now().Add(w.ahead) },
		// Wide open: that nobody leaves is shown without it.
		Guard: jml.Limits{Count: 1_000_000, Share: 1, Ceiling: 1, Window: time.Hour, Expiry: time.Hour, Changed: all, Emptied: all,
			Movers: all, Week: all, Joiners: all, Returns: all, Group: all, GroupEmptied: 1_000_000, Shrink: all, Renewed: all, Clock: 10_000 * time.Hour},
		Rules:   &jml.Rules{Precedence: []string{"corp", "other"}, Correlation: []string{"userName"}, Policy: rules, Targets: []string{"app"}},
		Sources: []engine.ReadSource{{Source: source(t, o), Timeout: 5 * time.Minute, Absence: engine.Absence{After: 24 * time.Hour}}},
	})
}

// sync reads.
func (w *ward) sync(ctx context.Context, mode model.Mode) (engine.Synced, error) {
	return w.engine.Sync(ctx, w.name, engine.SyncOptions{Mode: mode, Trigger: "demand", Actor: "test"})
}

// clean reads without faults, which must succeed.
func (w *ward) clean(mode model.Mode) engine.Synced {
	w.t.Helper()
	w.tamper.set(nil)
	out, err := w.sync(w.t.Context(), mode)
	if err != nil || out.Run.Verdict != model.VerdictComplete {
		w.t.Fatalf("a %s without a fault: %s, %v, %q", mode, out.Run.Verdict, err, failedConditions(out.Proof))
	}
	w.last = w.facts()
	return out
}

// settle lets those leave who were deleted: two days and two reads later.
func (w *ward) settle() {
	w.t.Helper()
	w.clean(model.ModeCensus)
	w.ahead += 48 * time.Hour
	w.clean(model.ModeCensus)
}

// facts are what is stored.
func (w *ward) facts() map[string]fact {
	w.t.Helper()
	ctx := w.t.Context()
	all := map[string]fact{}
	var subjects []engine.Subject
	err := w.store.Hashes(ctx, w.name, func(id []byte, _ model.Kind, _ []byte) error {
		subjects = append(subjects, engine.Subject{Source: w.name, Record: string(id)})
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	for part := range slices.Chunk(subjects, 100) {
		people, err := w.store.Load(ctx, part)
		if err != nil {
			w.t.Fatal(err)
		}
		for i, p := range people {
			if p.Record == nil {
				continue
			}
			if f := w.factOf(p); p.Record.AbsentSince == nil || f.Account == model.AccountActive { // or waits for approval
				all[part[i].Record] = f
			}
		}
	}
	return all
}

func (w *ward) factOf(p engine.Person) fact {
	w.t.Helper()
	r := p.Record
	f := fact{Kind: r.Kind, Name: r.UserName, Active: r.Active}
	if r.Kind == model.KindGroup {
		f.Name = r.DisplayName
		var err error
		if f.Members, err = w.store.MembersAmong(w.t.Context(), w.name, r.ID, nil); err != nil {
			w.t.Fatal(err)
		}
		slices.Sort(f.Members)
		return f
	}
	var attrs struct {
		Title      string
		Enterprise struct{ Manager struct{ Value string } } `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`
	}
	if err := json.Unmarshal([]byte(r.Attrs), &attrs); err != nil {
		w.t.Fatal(err)
	}
	f.Title, f.Manager = attrs.Title, attrs.Enterprise.Manager.Value
	for _, a := range p.Accounts {
		if a.State == model.AccountActive { // who comes suspended gets none, and who is suspended later keeps an inactive one
			f.Account = a.State
		}
	}
	return f
}

// differs compares what is stored with what is true.
func (w *ward) differs() string {
	w.t.Helper()
	truth := w.tree.truth()
	have := w.facts()
	for id, f := range have {
		if len(f.Members) == 0 {
			f.Members = nil
		}
		have[id] = f
	}
	return cmp.Diff(truth, have)
}

// wrongLeavers names the people who were in the directory and are, were known, and are not in the database any more, or have lost
// their account.
func (w *ward) wrongLeavers(before map[string]fact, there map[string]bool) []string {
	w.t.Helper()
	now, still := w.facts(), w.tree.present()
	var list []string
	for id, f := range before {
		if f.Kind == model.KindUser && f.Account != model.AccountActive {
			continue
		}
		if got, ok := now[id]; there[f.Name] && still[f.Name] && (!ok || got.Account != f.Account) {
			list = append(list, fmt.Sprintf("%s (%s)", f.Name, got.Account))
		}
	}
	slices.Sort(list)
	w.last = now
	return list
}
