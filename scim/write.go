package scim

import (
	"net/http"
	"slices"

	"jmld/jml/engine"
	"jmld/model"
)

// What the audit calls the writes.
const (
	actionCreate  = "scim.create"
	actionReplace = "scim.replace"
	actionPatch   = "scim.patch"
	actionDelete  = "scim.delete"
	actionRehire  = "scim.rehire"
)

// read answers a GET of one resource (RFC 7644 §3.4.1).
func (q *request) read(rt *resourceType, id string) error {
	p, err := q.projection(rt)
	if err != nil {
		return err
	}
	tags := q.r.Header.Values("If-None-Match")
	var rec model.Record
	if rt.kind == model.KindUser && len(tags) == 0 && p.wants(rt.lookup("groups")) {
		rec, q.within, err = q.h.o.Resources.WithGroups(q.r.Context(), q.source.Name, id)
		q.known = true
	} else {
		rec, err = q.h.o.Resources.Record(q.r.Context(), q.source.Name, rt.kind, id)
	}
	if err != nil {
		return err
	}
	if want := q.r.Header.Values("If-Match"); len(want) > 0 && !matchesTag(want, etag(&rec)) {
		return otherVersion()
	}
	if len(tags) > 0 && matchesTag(tags, etag(&rec)) {
		q.w.Header().Set("ETag", etag(&rec))
		q.w.Header().Set("Content-Location", q.location(rt, rec.ID)) // RFC 9110 §15.4.5
		q.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return q.one(rt, &rec, p, http.StatusOK, false)
}

// create answers a POST (RFC 7644 §3.3). When it answers 201, the resource and all that follows from it are durable.
func (q *request) create(rt *resourceType) error {
	id := q.newID()
	c, p, err := q.resource(rt, id)
	if err != nil {
		return err
	}
	q.record = id
	change := collapse(c.members)
	change.Replace = false // there is nothing to replace
	done, err := q.created(rt, id, func() (*model.Record, error) {
		doc := map[string]any{}
		if err := apply(rt, doc, c.ops); err != nil {
			return nil, err
		}
		return rt.record(nil, q.source.Name, id, doc, q.saidNone(rt, nil, doc, c.ops, true)), nil
	}, change)
	if err != nil {
		return err
	}
	q.record = done.Record.ID
	return q.stored(rt, &done.Record, p.said(c.ops), http.StatusCreated, done.Record.ID == id)
}

// replace answers a PUT (RFC 7644 §3.5.1): what the request does not name is unassigned, except active.
func (q *request) replace(rt *resourceType, id string) error {
	c, p, err := q.resource(rt, id)
	if err != nil {
		return err
	}
	change := collapse(c.members)
	change.Replace, change.Drop = rt.kind == model.KindGroup, nil
	done, err := q.push(rt, id, actionReplace, func(cur *model.Record) (*model.Record, engine.MemberChange, error) {
		if err := q.current(rt, cur); err != nil {
			return nil, engine.MemberChange{}, err
		}
		doc := map[string]any{}
		if rt.kind == model.KindUser {
			doc["active"] = cur.Active // clients leave it out of a PUT and must not bring a leaver back by that
		}
		if err := keepUnheard(cur, doc, c.unheard); err != nil {
			return nil, engine.MemberChange{}, err
		}
		if err := applyOver(rt, cur, doc, c.ops, true); err != nil {
			return nil, engine.MemberChange{}, err
		}
		return rt.record(cur, q.source.Name, id, doc, q.saidNone(rt, cur, doc, c.ops, true)), change, nil
	})
	if err != nil {
		return err
	}
	q.within, q.known = done.Groups, done.GroupsKnown
	return q.stored(rt, &done.Record, p.said(c.ops), http.StatusOK, false)
}

// patch answers a PATCH (RFC 7644 §3.5.2) with the resource; 204 for a group too large to repeat it after each change of a
// member, unless the client says what of it is wanted.
func (q *request) patch(rt *resourceType, id string) error {
	p, err := q.projection(rt)
	if err != nil {
		return err
	}
	o, err := q.body()
	if err != nil {
		return err
	}
	c := compiler{normaliser: normaliser{&q.notes, q.source.Bounds}, rt: rt, id: id, base: q.base}
	if err := c.request(o); err != nil {
		return err
	}
	change := collapse(c.members)
	q.few = p.all()
	push := engine.Push{Kind: rt.kind, ID: id, Action: actionPatch, Notes: q.notes.list}
	if rt.kind == model.KindGroup && !change.Replace {
		push.Add, push.Drop = change.Add, change.Drop
		if q.few && q.part == nil {
			push.Most = fewMembers
		}
	}
	push.Change = func(cur *model.Record) (*model.Record, engine.MemberChange, error) {
		if err := q.current(rt, cur); err != nil {
			return nil, engine.MemberChange{}, err
		}
		doc, err := document(cur.Attrs)
		if err != nil {
			return nil, engine.MemberChange{}, err
		}
		if err := applyOver(rt, cur, doc, c.ops, false); err != nil {
			return nil, engine.MemberChange{}, err
		}
		return rt.record(cur, q.source.Name, id, doc, q.saidNone(rt, cur, doc, c.ops, false)), change, nil
	}
	done, err := q.pushed(push)
	if err != nil {
		return err
	}
	q.large, q.within, q.known = done.More, done.Groups, done.GroupsKnown
	return q.stored(rt, &done.Record, p.said(c.ops), http.StatusOK, false)
}

// remove answers a DELETE (RFC 7644 §3.6).
func (q *request) remove(rt *resourceType, id string) error {
	_, err := q.push(rt, id, actionDelete, func(cur *model.Record) (*model.Record, engine.MemberChange, error) {
		return nil, engine.MemberChange{}, q.current(rt, cur)
	})
	if err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

// newID is the id of what is about to be made; one that is referred to in a bulk request has it already.
func (q *request) newID() string {
	if q.part != nil && q.part.id != "" {
		return q.part.id
	}
	return model.NewID(q.h.o.Now())
}

// resource reads and compiles the resource in a POST or PUT.
func (q *request) resource(rt *resourceType, id string) (*compiler, projection, error) {
	p, err := q.projection(rt)
	if err != nil {
		return nil, p, err
	}
	o, err := q.body()
	if err != nil {
		return nil, p, err
	}
	c := &compiler{normaliser: normaliser{&q.notes, q.source.Bounds}, rt: rt, id: id, base: q.base}
	return c, p, c.body(o)
}

// saidNone is what the source says there is none of, where that counts.
func (q *request) saidNone(rt *resourceType, cur *model.Record, doc map[string]any, ops []operation, put bool) nones {
	if q.source.NullIsSilence {
		return nil
	}
	return rt.saidNone(cur, doc, ops, put)
}

// current refuses a resource that is not there, is of another type, or is not the version that was meant.
func (q *request) current(rt *resourceType, cur *model.Record) error {
	if cur == nil || cur.Kind != rt.kind {
		return notFound("There is no such %s.", rt.name)
	}
	return q.precondition(cur)
}

func (q *request) push(rt *resourceType, id, action string,
	change func(*model.Record) (*model.Record, engine.MemberChange, error),
) (engine.Pushed, error) {
	return q.pushed(engine.Push{Kind: rt.kind, ID: id, Action: action, Notes: q.notes.list, Change: change})
}

// pushed makes a write durable, with what the audit says of the request.
func (q *request) pushed(p engine.Push) (engine.Pushed, error) {
	if err := q.notes.refused; err != nil {
		return engine.Pushed{}, err
	}
	if q.part != nil {
		p.Notes = slices.Concat([]string{bulkNote}, p.Notes)
	}
	p.Source, p.Actor, p.Dialect, p.Index = q.source.Name, q.actor(), q.dialect(), q.h.schemas.of(p.Kind).index()
	return q.h.o.Pusher.Push(q.r.Context(), p)
}

// body reads the request's JSON object, as far as the source's limit.
func (q *request) body() (object, error) {
	if q.part != nil {
		q.shape = shapeOf(q.r.Method, nil, q.part.data)
		return q.part.data, nil
	}
	if err := q.mediaType(); err != nil {
		return nil, err
	}
	text, err := q.readBody(q.source.MaxBody)
	if err != nil {
		return nil, err
	}
	o, err := decodeObject(text, q.source.Bounds.Depth)
	if err == nil {
		q.shape = shapeOf(q.r.Method, q.params, o)
	}
	return o, err
}
