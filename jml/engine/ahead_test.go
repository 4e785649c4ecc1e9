package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
)

// unhurried is a store whose first transaction of many people is not done before the next people are loaded.
type unhurried struct {
	engine.Store
	first func(loaded <-chan struct{}) error // instead of that; its error is the transaction's

	mu     sync.Mutex
	begun  bool
	loads  atomic.Int64
	loaded chan struct{} // closed by the second large Load
	stored []string      // the first record of each such transaction
	failed int
}

const manyRecords = 40 // of a transaction that counts

func (s *unhurried) Load(ctx context.Context, subjects []engine.Subject) ([]engine.Person, error) {
	if len(subjects) >= manyRecords && s.loads.Add(1) == 2 {
		close(s.loaded)
	}
	return s.Store.Load(ctx, subjects)
}

func (s *unhurried) Commit(ctx context.Context, c *engine.Commit) error {
	if len(c.Records) < manyRecords {
		return s.Store.Commit(ctx, c)
	}
	s.mu.Lock()
	first := !s.begun
	s.begun = true
	s.mu.Unlock()
	var err error
	if first {
		err = s.first(s.loaded)
	}
	if err == nil {
		err = s.Store.Commit(ctx, c)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.failed++
		return err
	}
	s.stored = append(s.stored, c.Records[0].New.ID)
	return nil
}

func (h *house) unhurried(first func(loaded <-chan struct{}) error) (*engine.Engine, *unhurried) {
	s := &unhurried{Store: h.store, first: first, loaded: make(chan struct{})}
	o := h.opts
	o.Store = s
	return engine.New(o), s
}

func untilLoaded(loaded <-chan struct{}) error {
	select {
	case <-loaded:
		return nil
	case <-time.After(2 * time.Minute):
		return errors.New("nobody is decided about meanwhile")
	}
}

func TestPeopleAreDecidedAboutWhileTheLastOnesAreStored(t *testing.T) {
	t.Parallel()
	all := []string{"dir-person000", "dir-person200", "dir-person400"}
	for name, test := range map[string]struct {
		first  func(<-chan struct{}) error
		alike  bool // one of the second transaction has the keys of one of the first
		failed int
	}{
		"and in their order": {first: untilLoaded},
		"and again when those are not": {first: func(loaded <-chan struct{}) error {
			return errors.Join(untilLoaded(loaded), fmt.Errorf("overtaken: %w", model.ErrStale))
		}, failed: 1},
		"but not who may be one of those": {first: func(loaded <-chan struct{}) error {
			select {
			case <-loaded:
				return errors.New("the second was loaded too early")
			case <-time.After(100 * time.Millisecond):
				return nil
			}
		}, alike: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, h *house) {
				h.dir.users = people(450)
				persons := 450
				if test.alike {
					h.dir.users[250].Attrs = h.dir.users[3].Attrs
					persons--
				}
				e, s := h.unhurried(test.first)
				out, err := e.Sync(h.ctx, "corp", engine.SyncOptions{Trigger: "demand", Actor: "test"})
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(all, s.stored); d != "" || s.failed != test.failed {
					t.Errorf("%d failed, stored (-want +got):\n%s", s.failed, d)
				}
				got := [...]int{out.Funnel.Users, out.Funnel.New, out.Funnel.Create, out.Funnel.Skipped, len(h.identities())}
				if want := [...]int{450, 450, persons, 0, persons}; got != want {
					t.Errorf("users, new, accounts, skipped, persons: %v, want %v", got, want)
				}
			})
		})
	}
}

func TestARunThatEndsWaitsForWhatIsBeingStored(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(250)
		h.dir.stop, h.dir.fail = 210, fmt.Errorf("cut off: %w", model.ErrUnavailable)
		e, s := h.unhurried(func(<-chan struct{}) error { time.Sleep(100 * time.Millisecond); return nil })
		out, err := e.Sync(h.ctx, "corp", engine.SyncOptions{Trigger: "demand", Actor: "test"})
		if !errors.Is(err, model.ErrUnavailable) || out.Funnel.New != 200 || len(s.stored) != 1 {
			t.Errorf("%v; %d new, %d transactions", err, out.Funnel.New, len(s.stored))
		}
	})
}

// M-16, D-21: of two administrators who become ordinary users in one read, in transactions one after the other, one stays.
func TestAdministratorsAreNotDecidedAboutAhead(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		said := func(title string) {
			h.dir.users = people(250)
			for i := range h.dir.users {
				attrs := jml.Decode(h.dir.users[i].Attrs)
				attrs["nickName"] = "nick " + title
				if title != "" && (i == 3 || i == 240) {
					attrs["title"] = title
				}
				h.dir.users[i].Attrs = jml.Canonical(attrs)
			}
		}
		name := map[string]string{"userName": "person.userName"}
		r := *h.opts.Rules
		r.Policy = compiled(t,
			policy.Rule{Name: "admins", Target: "app", When: `has(person.title)`, Attributes: name, Administrator: true},
			policy.Rule{Name: "everybody", Target: "app", When: "true", Attributes: name})
		h.SetRules(&r)
		said("Architect")
		h.sync()
		if !h.accountOf("person003").Administrator || !h.accountOf("person240").Administrator {
			t.Fatal("they administer nothing")
		}
		said("")
		e, s := h.unhurried(untilLoaded)
		e.SetRules(&r)
		if _, err := e.Sync(h.ctx, "corp", engine.SyncOptions{Trigger: "demand", Actor: "test"}); err != nil || len(s.stored) != 2 {
			t.Fatal(err, s.stored)
		}
		if first, second := h.accountOf("person003").Administrator, h.accountOf("person240").Administrator; first == second {
			t.Errorf("administrators: %t and %t", first, second)
		}
	})
}
