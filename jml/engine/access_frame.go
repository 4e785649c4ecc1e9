package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"jmld/jml/access"
	"jmld/model"
)

// frameCache keeps the tree of groups without its members. It is as new as the newest person that was loaded who holds something in it: a
// change of the tree bumps the versions of those, so that nothing decided by an older one is stored. Of who gets something by right for the first
// time the tree knows nothing: what gives it is stored with the revision it was decided by, and is stale when there is another by then; see
// IdentityWrite.Given.
type frameCache struct {
	mu       sync.Mutex
	tree     *access.Tree
	revision int64
}

func (f *frameCache) get(revision int64) (*access.Tree, int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.revision < revision {
		return nil, 0
	}
	return f.tree, f.revision
}

func (f *frameCache) put(t *access.Tree, revision int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if revision > f.revision {
		f.tree, f.revision = t, revision
	}
}

// plantTrees gives the tree to the people who hold something in it, and to everybody when rules give roles. How new it has to be for
// somebody who holds nothing is asked after they were loaded.
func (e *Engine) plantTrees(ctx context.Context, people []Person) error {
	policy, newest := e.rules().Policy, int64(0)
	all := policy != nil && policy.GivesRoles()
	if all {
		var err error
		if newest, err = e.o.Store.AccessRevision(ctx); err != nil {
			return fmt.Errorf("groups and roles: %w", err)
		}
	}
	for i := range people {
		p := &people[i]
		if len(p.Access) == 0 && !all {
			continue
		}
		var err error
		if p.Tree, p.TreeFrame, err = e.treeOf(ctx, max(p.AccessFrame, newest)); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) treeOf(ctx context.Context, revision int64) (*access.Tree, int64, error) {
	if t, is := e.frame.get(revision); t != nil {
		return t, is, nil
	}
	s, err := e.o.Store.AccessFrame(ctx) // not under the lock: the others would wait for a database that hangs
	if err != nil {
		return nil, 0, fmt.Errorf("groups and roles: %w", err)
	}
	t, err := access.New(s)
	if err != nil {
		return nil, 0, fmt.Errorf("groups and roles: %w", err)
	}
	e.frame.put(t, s.Revision)
	return t, s.Revision, nil
}

// byFreeKeys is what a new person holds by keys that nobody has.
func byFreeKeys(p Person) []model.AccessMember {
	return slices.DeleteFunc(slices.Clone(p.Access), func(m model.AccessMember) bool {
		name, value, ok := strings.Cut(m.Person, ":")
		owner, asked := p.Owners[model.Key{Name: name, Value: value}]
		return !ok || !asked || owner != ""
	})
}
