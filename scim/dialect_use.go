package scim

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"jmld/model"
)

const (
	dialectFlush   = 5 * time.Second // between two stores of what was counted; a crash loses as much
	dialectTimeout = 5 * time.Second // of one of them
	// maxUses is how many rows of one source are counted between two stores. What is more has one row of each dialect.
	maxUses   = 300
	moreNotes = "more than can be counted one by one"
)

// DialectUses is where it is counted what dialects clients speak; *store.Store is one.
type DialectUses interface {
	// CountDialects adds to what is stored.
	CountDialects(ctx context.Context, uses []model.DialectUse) error
}

// Run stores what was counted of dialects, every few seconds and once more when ctx ends. Requests do not wait for it; without it
// nothing is stored. It returns when ctx has ended.
func (h *Handler) Run(ctx context.Context) {
	if h.o.Dialects == nil {
		return
	}
	tick := time.NewTicker(dialectFlush)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			h.storeUses(ctx)
			return
		case <-tick.C:
			h.storeUses(ctx)
		}
	}
}

// storeUses stores what was counted; what cannot be stored now is kept for the next time.
func (h *Handler) storeUses(ctx context.Context) {
	uses := h.uses.take()
	if len(uses) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dialectTimeout) // the last one is for the end of ctx
	defer cancel()
	if err := h.o.Dialects.CountDialects(ctx, uses); err != nil {
		h.o.Log.Warn("scim dialects not stored", zap.String(model.FieldCode, string(model.CodeOf(err))), zap.Error(err))
		h.uses.giveBack(uses)
	}
}

// countDialect counts the request, when somebody stores it.
func (q *request) countDialect(dialect string, at time.Time) {
	if q.h.o.Dialects == nil {
		return
	}
	record := ""
	if isID(q.record) {
		record = q.record
	}
	q.h.uses.add(q.source.Name, dialect, q.notes.list, safeName(q.id), record, at.UTC())
}

type useKey struct{ dialect, note string }

// useCounts counts dialects and notes of each source in memory.
type useCounts struct {
	mu sync.Mutex
	of map[string]map[useKey]*model.DialectUse
}

// add counts one request.
func (c *useCounts) add(source, dialect string, notes []string, request, record string, now time.Time) {
	one := model.DialectUse{Source: source, Dialect: dialect, Requests: 1, FirstAt: now, LastAt: now, RequestID: request, RecordID: record}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sum(one)
	for _, n := range notes {
		one.Note = n
		c.sum(one)
	}
}

// sum adds u; the caller has the lock.
func (c *useCounts) sum(u model.DialectUse) {
	if c.of == nil {
		c.of = map[string]map[useKey]*model.DialectUse{}
	}
	rows := c.of[u.Source]
	if rows == nil {
		rows = map[useKey]*model.DialectUse{}
		c.of[u.Source] = rows
	}
	key := useKey{u.Dialect, u.Note}
	have := rows[key]
	if have == nil && u.Note != "" && len(rows) >= maxUses {
		u.Note = moreNotes
		key.note = moreNotes
		have = rows[key]
	}
	if have == nil {
		rows[key] = &u
		return
	}
	have.Requests += u.Requests
	if u.FirstAt.Before(have.FirstAt) {
		have.FirstAt = u.FirstAt
	}
	if !u.LastAt.Before(have.LastAt) {
		have.LastAt, have.RequestID, have.RecordID = u.LastAt, u.RequestID, u.RecordID
	}
}

// take returns what was counted since the last time.
func (c *useCounts) take() []model.DialectUse {
	c.mu.Lock()
	of := c.of
	c.of = nil
	c.mu.Unlock()
	var uses []model.DialectUse
	for _, rows := range of {
		for _, u := range rows {
			uses = append(uses, *u)
		}
	}
	return uses
}

// giveBack counts what was taken once more.
func (c *useCounts) giveBack(uses []model.DialectUse) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, u := range uses {
		c.sum(u)
	}
}
