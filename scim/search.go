package scim

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	elimity "github.com/elimity-com/scim/errors"

	"jmld/model"
)

// Pages of a list.
const (
	defaultCount = 100
	maxCount     = 1000
	maxStart     = 1 << 30
)

// searchRequest is a query, from the URL or from a SearchRequest message (RFC 7644 §3.4.2, §3.4.3).
type searchRequest struct {
	attributes, excluded []string
	filter               string
	sortBy               string
	descending           bool
	start, count         int
}

// searchRequest reads the query of the request.
func (q *request) searchRequest() (searchRequest, error) {
	values, err := q.parameters()
	if err != nil {
		return searchRequest{}, err
	}
	if q.r.Method == http.MethodPost {
		o, err := q.body()
		if err != nil {
			return searchRequest{}, err
		}
		for _, m := range o {
			name := strings.ToLower(m.key)
			switch v := m.value.(type) {
			case string:
				values[name] = []string{v}
			case json.Number:
				values[name] = []string{string(v)}
			case []any:
				for _, e := range v {
					if s, ok := e.(string); ok {
						values[name] = append(values[name], s)
					}
				}
			case nil:
			default:
				return searchRequest{}, invalidValue("%s has the wrong type.", safeName(m.key))
			}
		}
	}
	s := searchRequest{
		attributes: names(values["attributes"]), excluded: names(values["excludedattributes"]),
		filter: first(values["filter"]), sortBy: strings.TrimSpace(first(values["sortby"])),
	}
	switch order := strings.ToLower(first(values["sortorder"])); order {
	case "", "ascending":
	case "descending":
		s.descending = true
	default:
		return s, invalidValue("sortOrder is ascending or descending.")
	}
	if s.start, err = integer(values, "startindex", 1, 1, maxStart); err != nil {
		return s, err
	}
	s.count, err = integer(values, "count", defaultCount, 0, maxCount)
	return s, err
}

// parameters are those of the URL, by name in lower case. A query that is not well-formed is refused: a filter must not
// get lost and the answer be everybody.
func (q *request) parameters() (url.Values, error) {
	given, err := url.ParseQuery(q.r.URL.RawQuery)
	if err != nil {
		return nil, invalidSyntax("The query of the URL is not well-formed.")
	}
	values := make(url.Values, len(given))
	for name, v := range given {
		name = strings.ToLower(name)
		values[name] = append(values[name], v...)
	}
	if len(values["filter"]) > 1 {
		return nil, invalidFilter("There is more than one filter.")
	}
	return values, nil
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

func names(list []string) []string {
	var out []string
	for _, s := range list {
		for name := range strings.SplitSeq(s, ",") {
			if name = strings.TrimSpace(name); name != "" {
				out = append(out, name)
			}
		}
	}
	return out
}

// integer reads a parameter and brings it into its range (RFC 7644 §3.4.2.4).
func integer(values url.Values, name string, absent, least, most int) (int, error) {
	s := strings.TrimSpace(first(values[name]))
	if s == "" {
		return absent, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, invalidValue("%s is not an integer.", name)
	}
	return max(least, min(n, most)), nil
}

// projection reads attributes and excludedAttributes of the URL.
func (q *request) projection(rt *resourceType) (projection, error) {
	values, err := q.parameters()
	if err != nil {
		return projection{}, err
	}
	return project(rt, names(values["attributes"]), names(values["excludedattributes"]))
}

// search answers a query for one resource type.
func (q *request) search(rt *resourceType) error {
	s, err := q.searchRequest()
	if err != nil {
		return err
	}
	return q.list(s, rt)
}

// searchAll answers a query for all resource types (RFC 7644 §3.4.2.1): users, then groups.
func (q *request) searchAll() error {
	s, err := q.searchRequest()
	if err != nil {
		return err
	}
	if s.filter == "" {
		return refuse(http.StatusBadRequest, elimity.ScimTypeTooMany, "A query for all resource types needs a filter.")
	}
	return q.list(s, q.h.schemas.user, q.h.schemas.group)
}

func (q *request) list(s searchRequest, types ...*resourceType) error {
	var filter *expr
	var err error
	if s.filter != "" {
		if filter, err = parseFilter(s.filter); err != nil {
			return err
		}
	}
	type part struct {
		rt      *resourceType
		p       projection
		records []model.Record
		groups  map[string][]model.Membership
	}
	var parts []part
	total, found := 0, 0
	for _, rt := range types {
		p, err := project(rt, s.attributes, s.excluded)
		if err != nil {
			return err
		}
		query := model.Query{
			Source: q.source.Name, Kind: rt.kind, Descending: s.descending,
			Offset: max(0, s.start-1-total), Limit: max(0, s.count-found),
		}
		other := q.h.schemas.group
		if rt == other {
			other = q.h.schemas.user
		}
		if len(types) == 1 {
			other = nil
		}
		some, err := q.resolve(&query, rt, other, filter, s.sortBy)
		if err != nil {
			return err
		}
		if !some {
			continue
		}
		page, err := q.h.o.Resources.Query(q.r.Context(), query)
		if err != nil {
			return err
		}
		total += page.Total
		found += len(page.Records)
		next := part{rt: rt, p: p, records: page.Records}
		if rt.kind == model.KindUser && len(page.Records) > 0 && p.wants(rt.lookup("groups")) {
			ids := make([]string, len(page.Records))
			for i := range page.Records {
				ids[i] = page.Records[i].ID
			}
			if next.groups, err = q.h.o.Resources.GroupsOf(q.r.Context(), q.source.Name, ids); err != nil {
				return err
			}
		}
		parts = append(parts, next)
	}
	a := q.answer(http.StatusOK)
	a.buf = append(a.buf, `{"schemas":["`+urnList+`"],"totalResults":`...)
	a.buf = strconv.AppendInt(a.buf, int64(total), 10)
	a.buf = strconv.AppendInt(append(a.buf, `,"itemsPerPage":`...), int64(found), 10)
	a.buf = strconv.AppendInt(append(a.buf, `,"startIndex":`...), int64(s.start), 10)
	separator := `,"Resources":[`
	for _, part := range parts {
		for i := range part.records {
			rec := &part.records[i]
			a.buf = append(a.buf, separator...)
			separator = ","
			if err := q.write(a, part.rt, rec, part.p, part.groups[rec.ID]); err != nil {
				return err
			}
		}
	}
	if found > 0 {
		a.buf = append(a.buf, ']')
	}
	a.buf = append(a.buf, '}')
	return a.end()
}

// resolve puts filter and order into the query. some is false when no resource of the type can be in the answer.
func (q *request) resolve(query *model.Query, rt, other *resourceType, filter *expr, sortBy string) (some bool, err error) {
	if sortBy != "" {
		a := rt.lookup(sortBy)
		switch {
		case a == nil && other != nil:
		case a == nil:
			return false, invalidValue("sortBy names no attribute of %s.", rt.name)
		case a.returned == never || a.extension || a.top().name == "members" || a.top().name == "groups":
			return false, invalidValue("%s cannot be sorted by.", a.label())
		default:
			if s := a.index["value"]; s != nil {
				a = s
			}
			if a.typ == typeComplex {
				return false, invalidValue("%s cannot be sorted by.", a.label())
			}
			ref := a.ref()
			query.SortBy = &ref
		}
	}
	if filter == nil {
		return true, nil
	}
	r := resolver{rt: rt, other: other, notes: &q.notes}
	f, err := r.filter(filter)
	if err != nil {
		return false, err
	}
	if holds, ok := isConstant(f); ok {
		return holds, nil
	}
	groups := map[string]map[string]bool{}
	if len(r.members) > 0 {
		of, err := q.h.o.Resources.GroupsOf(q.r.Context(), q.source.Name, r.members)
		if err != nil {
			return false, err
		}
		for id, list := range of {
			groups[id] = map[string]bool{}
			for _, g := range list {
				if g.Direct {
					groups[id][g.GroupID] = true
				}
			}
		}
	}
	query.Filter, query.Match = f, matcher(f, rt, groups)
	return true, nil
}
