package scim

import (
	"errors"
	"net/http"
	"strconv"

	elimity "github.com/elimity-com/scim/errors"

	"jmld/model"
)

// page is the part of an answer that one resource type has.
type page struct {
	rt      *resourceType
	p       projection
	records []model.Record
	groups  map[string][]model.Membership
}

// list answers a query for one or several resource types, one after the other.
func (q *request) list(s searchRequest, types ...*resourceType) error {
	var filter *expr
	var err error
	if s.filter != "" {
		if filter, err = parseFilter(s.filter, q.source.Bounds); err != nil {
			return err
		}
		if !spaced(s.filter) {
			q.notes.filter("filter: spaces that its grammar does not have")
		}
	}
	var at cursor
	binding := types[0].name + " " + strconv.Itoa(len(types)) + " " + s.filter
	if s.cursor != "" {
		if at, err = unseal(s.cursor, q.token.Hash, binding, s.count, q.h.o.Now()); err != nil {
			return err
		}
	}
	if len(types) == 2 && s.sortBy != "" {
		// Resources of a type that does not have the attribute have no value of it: they are last, and first in a descending order.
		first, second := types[0].lookup(s.sortBy) != nil, types[1].lookup(s.sortBy) != nil
		if first != second && first == s.descending {
			types = []*resourceType{types[1], types[0]}
		}
	}
	var pages []page
	total, found, more := 0, 0, false
	for i, rt := range types {
		part := page{rt: rt}
		if part.p, err = project(rt, s.attributes, s.excluded); err != nil {
			return err
		}
		groups := rt.kind == model.KindUser && part.p.wants(rt.lookup("groups"))
		query := model.Query{Source: q.source.Name, Kind: rt.kind, Descending: s.descending, Limit: max(0, s.count-found), Groups: groups}
		var other *resourceType
		if len(types) > 1 {
			other = types[1-i]
		}
		some, err := q.resolve(&query, rt, other, filter, s.sortBy)
		if err != nil {
			return err
		}
		if !some {
			continue
		}
		var got model.Page
		if s.byCursor {
			got, err = q.following(query, at, more || s.count == 0)
		} else {
			query.Offset = max(0, s.start-1-total)
			got, err = q.query(query)
		}
		if err != nil {
			return err
		}
		part.records, part.groups = got.Records, got.Groups
		if n := s.count - found; s.byCursor && len(part.records) > n {
			part.records, more = part.records[:n], true
		}
		total += got.Total
		found += len(part.records)
		if groups && part.groups == nil && len(part.records) > 0 {
			ids := make([]string, len(part.records))
			for i := range part.records {
				ids[i] = part.records[i].ID
			}
			if part.groups, err = q.h.o.Resources.GroupsOf(q.r.Context(), q.source.Name, ids); err != nil {
				return err
			}
		}
		if len(part.records) > 0 {
			pages = append(pages, part)
		}
	}
	next := ""
	if more && found > 0 {
		last := pages[len(pages)-1].records
		rec := &last[len(last)-1]
		c := cursor{kind: rec.Kind, created: rec.CreatedAt, id: rec.ID, count: s.count, issued: q.h.o.Now()}
		next = c.seal(q.token.Hash, binding)
	}
	return q.pages(s, pages, total, found, next)
}

func (q *request) query(query model.Query) (model.Page, error) {
	if err := q.notes.refused; err != nil {
		return model.Page{}, err
	}
	query.Most = q.source.Bounds.Scan
	p, err := q.h.o.Resources.Query(q.r.Context(), query)
	if errors.Is(err, model.ErrTooMany) { // totalResults is exact: part of an answer would be a wrong one
		err = refuse(http.StatusBadRequest, elimity.ScimTypeTooMany, "The filter needs more than %d resources looked at one by one. Join it by and with "+
			"what an index finds: id, userName, externalId, displayName or emails.value with eq or sw.", query.Most)
	}
	return p, err
}

// following selects what comes after the cursor, one more than there is room for, and counts all. Types before the
// cursor's, and those after a page that is full, are only counted.
func (q *request) following(query model.Query, at cursor, full bool) (model.Page, error) {
	past := at.kind == model.KindGroup && query.Kind == model.KindUser
	switch {
	case past || full:
		query.Limit = 0
		return q.query(query)
	case at.id == "" || at.kind != query.Kind:
		query.Limit++
		return q.query(query)
	}
	count := query
	count.Limit = 0
	all, err := q.query(count)
	if err != nil {
		return model.Page{}, err
	}
	match := query.Match
	after := at.after()
	later := matcher(after, q.h.schemas.of(query.Kind))
	if query.Filter == nil {
		query.Filter, query.Match = after, later
	} else {
		query.Filter = model.And{Terms: []model.Filter{query.Filter, after}}
		query.Match = func(r *model.Record, related []bool) bool { return match(r, related) && later(r, nil) }
	}
	query.Limit++
	page, err := q.query(query)
	page.Total = all.Total
	return page, err
}

// pages writes a ListResponse (RFC 7644 §3.4.2).
func (q *request) pages(s searchRequest, pages []page, total, found int, next string) error {
	a := q.answer(http.StatusOK)
	room := 1 << 10
	for _, part := range pages {
		for i := range part.records {
			room += len(part.records[i].Attrs) + 512
		}
	}
	a.buf = make([]byte, 0, min(room, spill+spill/4))
	a.buf = append(a.buf, `{"schemas":["`+urnList+`"],"totalResults":`...)
	a.buf = strconv.AppendInt(a.buf, int64(total), 10)
	a.buf = strconv.AppendInt(append(a.buf, `,"itemsPerPage":`...), int64(found), 10)
	switch {
	case !s.byCursor:
		a.buf = strconv.AppendInt(append(a.buf, `,"startIndex":`...), int64(s.start), 10)
	case next != "":
		a.buf = append(append(a.buf, `,"nextCursor":`...), canonical(next)...)
	}
	a.buf = append(a.buf, `,"Resources":[`...) // also when there are none: some clients read a list without asking
	separator := ""
	for _, part := range pages {
		for i := range part.records {
			rec := &part.records[i]
			a.buf = append(a.buf, separator...)
			separator = ","
			if err := q.write(a, part.rt, rec, part.p, part.groups[rec.ID]); err != nil {
				return err
			}
		}
	}
	a.buf = append(a.buf, ']', '}')
	return a.end()
}

// resolve puts filter and order into the query. some is false when no resource of the type can be in the answer.
func (q *request) resolve(query *model.Query, rt, other *resourceType, filter *expr, sortBy string) (some bool, err error) {
	if sortBy != "" {
		a := rt.lookup(sortBy)
		switch {
		case a == nil && other != nil && other.lookup(sortBy) != nil:
			query.Descending = false // all are equal
		case a == nil:
			return false, invalidValue("sortBy names no attribute of %s.", rt.name)
		case a.returned == never:
			return false, invalidValue("%s cannot be sorted by: it is never returned.", a.label())
		case a.extension:
			return false, invalidValue("%s cannot be sorted by: name one of its attributes.", a.label())
		case a.top().tabled(): // RFC 7644 §3.4.2.3 takes the primary value or the first, and they have neither
			return false, invalidValue("%s cannot be sorted by: they are a set, in which no value is primary or the first.", a.label())
		default:
			if read, ok := rt.misnamed(a, sortBy); ok {
				q.notes.add("sortBy: %s read as %s", safeName(sortBy), read)
			}
			if s := a.index["value"]; s != nil {
				a = s
			}
			if a.typ == typeComplex {
				return false, invalidValue("%s cannot be sorted by: name one of its sub-attributes.", a.label())
			}
			ref := a.ref()
			query.SortBy = &ref
		}
	}
	if filter == nil {
		return true, nil
	}
	place := func(kind model.Kind) string { return q.location(q.h.schemas.of(kind), "") }
	r := resolver{rt: rt, other: other, notes: &q.notes, place: place}
	f, err := r.filter(filter)
	if err != nil {
		return false, err
	}
	if holds, ok := isConstant(f); ok {
		return holds, nil
	}
	query.Filter, query.Match = f, matcher(f, rt)
	return true, nil
}
