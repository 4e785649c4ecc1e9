package scim

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"jmld/model"
)

// spill is how much of an answer is held back. Up to that an error can still become a proper answer.
const spill = 1 << 20

// fewMembers is up to how many members a group is read at once: they fit into what is held back, and no client can make the
// database wait. The answer to a PATCH repeats the group up to that.
const fewMembers = 200

// timeFormat has milliseconds, so that two changes in a second look different.
const timeFormat = "2006-01-02T15:04:05.000Z"

func shownTime(t time.Time) string { return string(appendTime(nil, t)) }

func appendTime(b []byte, t time.Time) []byte {
	return t.UTC().Truncate(time.Millisecond).AppendFormat(b, timeFormat)
}

// answer collects a body and sends it at once, or from spill on in pieces: a group may have a hundred thousand members.
type answer struct {
	q      *request
	status int
	buf    []byte
	begun  bool
}

func (a *answer) flush() error {
	if len(a.buf) < spill {
		return nil
	}
	return a.send()
}

func (a *answer) send() error {
	if !a.begun {
		a.begun = true
		if len(a.buf) >= spill {
			a.hurry()
		}
		a.q.w.WriteHeader(a.status)
	}
	_, err := a.q.w.Write(a.buf)
	a.buf = a.buf[:0]
	return err
}

// hurry gives a client that takes an answer in pieces the time of one request: a database connection waits for it. The
// deadline stays with the connection, so that ends, too.
func (a *answer) hurry() {
	end, ok := a.q.r.Context().Deadline()
	if ok && http.NewResponseController(a.q.w).SetWriteDeadline(end) == nil {
		a.q.w.Header().Set("Connection", "close")
	}
}

// end sends what is left. An error means the client has gone.
func (a *answer) end() error {
	if !a.begun {
		a.q.w.Header().Set("Content-Length", strconv.Itoa(len(a.buf)))
	}
	if err := a.send(); err != nil {
		return nil //nolint:nilerr // nobody is there to be told
	}
	return nil
}

func (q *request) answer(status int) *answer {
	q.w.Header().Set("Content-Type", q.answerType())
	return &answer{q: q, status: status}
}

func (q *request) location(rt *resourceType, id string) string {
	return q.base + rt.endpoint + "/" + id
}

// stored answers a write with the resource as it is now. The write is durable: whatever goes wrong from here on, the answer is a
// success, or the client would do it again. fresh says that nothing can refer to the resource yet.
func (q *request) stored(rt *resourceType, rec *model.Record, p projection, status int, fresh bool) error {
	err := q.one(rt, rec, p, status, fresh)
	if err == nil || q.w.status != 0 {
		return err
	}
	if !errors.Is(err, errLarge) && !errors.Is(err, context.Canceled) {
		q.h.o.Log.Warn("scim write is stored, and answered without what could not be read", zap.String(model.FieldRequest, safeName(q.id)),
			zap.String(model.FieldRoute, q.route), zap.Error(err))
	}
	if status == http.StatusCreated { // the client needs the id
		q.bare = true
		return q.one(rt, rec, p, status, fresh)
	}
	q.w.Header().Del("Content-Type")
	q.w.Header().Del("Content-Location")
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

// one answers with one resource. fresh says that nothing can refer to it yet.
func (q *request) one(rt *resourceType, rec *model.Record, p projection, status int, fresh bool) error {
	h := q.w.Header()
	h.Set("ETag", etag(rec))
	where := q.location(rt, rec.ID)
	if status == http.StatusCreated {
		h.Set("Location", where)
	}
	if q.part != nil { // a bulk answer has no more of what went well (RFC 7644 §3.7)
		q.w.WriteHeader(status)
		return nil
	}
	h.Set("Content-Location", where) // RFC 7643 §3.1: it is meta.location
	var groups []model.Membership
	switch {
	case rt.kind != model.KindUser || fresh || q.bare || !p.wants(rt.lookup("groups")):
	case q.known:
		groups = q.within
	default:
		of, err := q.h.o.Resources.GroupsOf(q.r.Context(), q.source.Name, []string{rec.ID})
		if err != nil {
			return err
		}
		groups = of[rec.ID]
	}
	a := q.answer(status)
	if err := q.write(a, rt, rec, p, groups); err != nil {
		return err
	}
	return a.end()
}

// write appends one resource. The stored text is spliced into the answer as it is, unless only a part is wanted.
func (q *request) write(a *answer, rt *resourceType, rec *model.Record, p projection, groups []model.Membership) error {
	const around = 512 // what is written about most resources beside what is stored
	b := append(slices.Grow(a.buf, len(rec.Attrs)+around), `{"schemas":`...)
	if p.all() && !rt.masked {
		attrs, err := withoutNones(rec.Attrs)
		if err != nil {
			return err
		}
		b = appendJSON(b, rt.schemasOf(attrs))
		b = appendString(append(b, `,"id":`...), rec.ID)
		if inner := strings.TrimSuffix(strings.TrimPrefix(attrs, "{"), "}"); inner != "" {
			b = append(append(b, ','), inner...)
		}
		if len(groups) > 0 {
			b = appendJSON(append(b, `,"groups":`...), q.groups(groups))
		}
		b = q.appendMeta(append(b, `,"meta":`...), rt, rec)
	} else {
		doc, err := document(rec.Attrs)
		if err != nil {
			return err
		}
		doc["meta"] = q.meta(rt, rec)
		if len(groups) > 0 {
			doc["groups"] = q.groups(groups)
		}
		doc = p.mask(append(append(append([]*attribute(nil), rt.common...), rt.attrs...), rt.extensions...), doc)
		used := []string{rt.urn}
		for _, e := range rt.extensions {
			if doc[e.name] != nil {
				used = append(used, e.name)
			}
		}
		b = appendJSON(b, used)
		b = appendString(append(b, `,"id":`...), rec.ID)
		if text := canonical(doc); len(text) > 2 {
			b = append(append(b, ','), text[1:len(text)-1]...)
		}
	}
	a.buf = b
	if rt.kind == model.KindGroup && !q.bare && p.wants(rt.lookup("members")) {
		if err := q.members(a, rt, rec.ID, p); err != nil {
			return err
		}
	}
	a.buf = append(a.buf, '}')
	return a.flush()
}

// errLarge: the group has more than fewMembers, and the answer is not to have more.
var errLarge = errors.New("large group")

// members writes the members of a group into the answer: a few at once, more as a stream, which waits for its turn.
func (q *request) members(a *answer, rt *resourceType, group string, p projection) error {
	if q.few && q.large {
		return errLarge
	}
	members := rt.lookup("members")
	part := p.above[members] && !p.include[members]
	named := p.wants(members.sub("display"))
	n, most := 0, fewMembers
	each := func(id string, kind model.Kind, name string) error {
		if n++; n%yieldEvery == 0 {
			runtime.Gosched()
		}
		var of *resourceType
		if kind != "" { // else the source has not told us who that is
			of = q.h.schemas.of(kind)
		}
		if !named {
			name = ""
		}
		if n == 1 {
			a.buf = append(a.buf, `,"members":[`...)
		} else {
			a.buf = append(a.buf, ',')
		}
		if part {
			m := map[string]any{"value": id}
			if of != nil {
				m["$ref"], m["type"] = q.location(of, id), of.name
			}
			if name != "" {
				m["display"] = name
			}
			a.buf = appendJSON(a.buf, p.mask(members.subs, m))
		} else {
			a.buf = q.appendMember(a.buf, of, id, name)
		}
		if most > 0 { // the connection to the database is not ours to keep while a client reads
			return nil
		}
		return a.flush()
	}
	err := q.h.o.Resources.Members(q.r.Context(), q.source.Name, group, most, each)
	if errors.Is(err, model.ErrTooMany) {
		if q.few {
			return errLarge
		}
		most = 0
		err = q.h.o.Resources.Members(q.r.Context(), q.source.Name, group, most, each)
	}
	if n > 0 {
		a.buf = append(a.buf, ']')
	}
	return err
}

// yieldEvery is how many members, or values of a body, are worked on before others get their turn on the processor: the runtime takes it away
// only after ten milliseconds, and a short request of another client would wait so long for each of its steps, and for each who does this.
const yieldEvery = 64

// appendMember appends what a group says of a member, as appendJSON would. of is nil for somebody unknown.
func (q *request) appendMember(b []byte, of *resourceType, id, name string) []byte {
	b = append(b, '{')
	if of != nil {
		b = append(appendString(append(b, `"$ref":`...), q.location(of, id)), ',')
	}
	if name != "" {
		b = append(appendString(append(b, `"display":`...), name), ',')
	}
	if of != nil {
		b = append(appendString(append(b, `"type":`...), of.name), ',')
	}
	return append(appendString(append(b, `"value":`...), id), '}')
}

// groups is User.groups (RFC 7643 §4.1.2): read-only, derived from the groups' members.
func (q *request) groups(list []model.Membership) []any {
	out := make([]any, 0, len(list))
	for _, g := range list {
		m := map[string]any{"value": g.GroupID, "$ref": q.location(q.h.schemas.group, g.GroupID), "type": "indirect"}
		if g.Direct {
			m["type"] = "direct"
		}
		if g.DisplayName != "" {
			m["display"] = g.DisplayName
		}
		out = append(out, m)
	}
	return out
}

func (q *request) meta(rt *resourceType, rec *model.Record) map[string]any {
	return map[string]any{
		"resourceType": rt.name,
		"created":      shownTime(rec.CreatedAt),
		"lastModified": shownTime(rec.UpdatedAt),
		"location":     q.location(rt, rec.ID),
		"version":      etag(rec),
	}
}

// appendMeta appends meta as appendJSON would.
func (q *request) appendMeta(b []byte, rt *resourceType, rec *model.Record) []byte {
	b = append(appendTime(append(b, `{"created":"`...), rec.CreatedAt), `","lastModified":"`...)
	b = appendString(append(appendTime(b, rec.UpdatedAt), `","location":`...), q.location(rt, rec.ID))
	b = appendString(append(b, `,"resourceType":`...), rt.name)
	return append(appendString(append(b, `,"version":`...), etag(rec)), '}')
}
