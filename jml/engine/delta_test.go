package engine_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/jml/engine"
	"jmld/model"
)

// changing is a directory that can be asked for changes. It lists everybody all the same.
type changing struct {
	*directory
	mark  string // of the next read
	asked string // the mark of the last question
	doubt bool
}

func (c *changing) Read(ctx context.Context, emit func(model.Entry) error) (model.Proof, error) {
	p, err := c.directory.Read(ctx, emit)
	p.Mark = c.mark
	return p, err
}

func (c *changing) Changes(ctx context.Context, q engine.Changes, emit func(model.Entry) error) (model.Proof, error) {
	if c.asked = q.Mark(); c.doubt {
		return model.Proof{}, &model.Doubt{Text: "scripted"}
	}
	return c.Read(ctx, emit)
}

// incremental makes the house's directory one that can be asked for changes.
func (h *house) incremental() *changing {
	c := &changing{directory: h.dir, mark: "one"}
	h.opts.Sources[0].Source = c
	h.Engine = engine.New(h.opts)
	return c
}

func (h *house) read(mode model.Mode) engine.Synced {
	h.t.Helper()
	out, err := h.Sync(h.ctx, "corp", engine.SyncOptions{Trigger: "demand", Actor: "test", Mode: mode})
	if err != nil {
		h.t.Fatal(err)
	}
	h.work()
	return out
}

// A read every minute may not take a full read's share every minute.
func TestReadsOfChangesAreCountedOverTheWindow(t *testing.T) { // D-04
	t.Parallel()
	for name, mode := range map[string]model.Mode{"delta": model.ModeDelta, "census": model.ModeCensus} {
		for how, doubt := range map[string]bool{"": false, " that reads everything": true} {
			t.Run(name+how, func(t *testing.T) {
				t.Parallel()
				onBoth(t, func(t *testing.T, h *house) {
					c := h.incremental()
					h.dir.users = people(40)
					h.sync()
					c.doubt = doubt
					for left := 2; left <= 8; left += 2 {
						h.dir.users = people(40 - left)
						h.read(mode)
					}
					if d := cmp.Diff(names(36), h.app.active()); d != "" { // 5 are the limit
						t.Error(d)
					}
				})
			})
		}
	}
}
