package scim

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	elimity "github.com/elimity-com/scim/errors"
)

// maxStart is the last index that a page can begin with.
const maxStart = 1 << 30

const urnSearch = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"

// searchRequest is a query, from the URL or from a SearchRequest message (RFC 7644 §3.4.2, §3.4.3).
type searchRequest struct {
	attributes, excluded []string
	filter               string
	sortBy               string
	descending           bool
	start, count         int
	byCursor             bool // pages by cursor (RFC 9865), not by index
	cursor               string
}

// searchNames are the attributes of a SearchRequest, in lower case.
func searchNames() []string {
	return []string{"attributes", "excludedattributes", "filter", "sortby", "sortorder", "startindex", "count", "cursor"}
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
		if s, ok := o.get("schemas"); !ok || !new(compiler).lists(s, urnSearch) {
			q.notes.syntax("schemas: SearchRequest assumed")
		}
		for _, m := range o {
			name := strings.ToLower(m.key)
			if !slices.Contains(searchNames(), name) {
				continue
			}
			switch v := m.value.(type) {
			case string:
				switch name {
				case "attributes", "excludedattributes":
					q.notes.add("%s: text read as a list", name)
				case "count", "startindex":
					q.notes.add("%s: text read as a number", name)
				}
				values[name] = []string{v}
			case json.Number:
				values[name] = []string{whole(v)}
			case []any:
				one := name != "attributes" && name != "excludedattributes"
				if one && len(v) != 1 { // none, or which?
					return searchRequest{}, invalidValue("%s takes one value.", safeName(m.key))
				}
				values[name] = nil
				for _, e := range v {
					s, ok := e.(string)
					if !ok && one { // a filter must not get lost
						return searchRequest{}, invalidValue("%s has the wrong type.", safeName(m.key))
					}
					if ok {
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
	case "asc", "desc":
		q.notes.add("sortOrder: %s read as %sending", order, order)
		s.descending = order == "desc"
	default:
		return s, invalidValue("sortOrder is ascending or descending.")
	}
	if s.start, err = integer(values, "startIndex", 1, 1, maxStart); err != nil {
		return s, err
	}
	s.byCursor = values.Has("cursor")
	if s.count, err = integer(values, "count", q.source.Bounds.Page, 0, q.source.Bounds.MaxPage); err != nil {
		if s.byCursor { // RFC 9865 §2.1
			err = refuse(http.StatusBadRequest, invalidCount, "count is not an integer.")
		}
		return s, err
	}
	if s.byCursor {
		s.cursor = first(values["cursor"])
		if s.sortBy != "" || s.descending {
			return s, invalidValue("Pages by cursor come in the order in which the resources were made.")
		}
	}
	return s, nil
}

// parameters are those of the URL, by name in lower case. A query that is not well-formed is refused: a filter must not
// get lost and the answer be everybody.
func (q *request) parameters() (url.Values, error) {
	given := q.params
	if given == nil {
		var err error
		if given, err = queryOf(q.r.URL, &q.notes); err != nil {
			return nil, invalidSyntax("The query of the URL is not well-formed.")
		}
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

// queryOf reads the query of a URL; nil when there is none, or when only a part of it can be read.
func queryOf(u *url.URL, n *notes) (url.Values, error) {
	if u.RawQuery == "" {
		return nil, nil
	}
	// A semicolon is an ordinary character (RFC 3986 §3.4, and what browsers leave as it is); ParseQuery refuses it. In front of a filter
	// it is meant to be an ampersand: taken for a part of what stands there, the filter would be lost.
	if strings.Contains(strings.ToLower(u.RawQuery), ";filter=") {
		return nil, errors.New("a semicolon in front of a filter")
	}
	values, err := url.ParseQuery(strings.ReplaceAll(u.RawQuery, ";", "%3B"))
	if err != nil {
		return nil, err
	}
	if keepPlus(u.RawQuery, values) {
		n.remark("filter: a plus sign read as itself, as blanks are %%20")
	}
	return values, nil
}

// keepPlus puts the plus signs of a filter back that ParseQuery took for blanks, where blanks come as %20: who writes those encodes by
// RFC 3986, to which a plus is a plus, and somebody with one in the address would not be found. A filter that is one only with blanks
// in their place stays as it is. It reports whether it did.
func keepPlus(query string, values url.Values) bool {
	kept := false
	for part := range strings.SplitSeq(query, "&") {
		name, text, _ := strings.Cut(part, "=")
		if !strings.EqualFold(name, "filter") || !strings.Contains(text, "+") || !strings.Contains(text, "%20") || len(values[name]) != 1 {
			continue
		}
		filter, err := url.PathUnescape(text)
		if err != nil {
			continue
		}
		if _, err = parseFilter(filter, Bounds{}.filled()); err == nil {
			values[name], kept = []string{filter}, true
		}
	}
	return kept
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
	s := strings.TrimSpace(first(values[strings.ToLower(name)]))
	if s == "" {
		return absent, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil && !errors.Is(err, strconv.ErrRange) { // beyond any range n is the last number in that direction
		return 0, invalidValue("%s is not an integer.", name)
	}
	return max(least, min(n, most)), nil
}

// projection reads attributes and excludedAttributes of the URL.
func (q *request) projection(rt *resourceType) (projection, error) {
	if q.r.URL.RawQuery == "" {
		return projection{}, nil
	}
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

// searchAll answers a query for all resource types (RFC 7644 §3.4.2.1): users, then groups. A GET without a filter is
// refused as too broad: it is a base URL opened by mistake. A search request says that everything is meant.
func (q *request) searchAll() error {
	s, err := q.searchRequest()
	if err != nil {
		return err
	}
	if s.filter == "" && q.r.Method != http.MethodPost {
		return refuse(http.StatusBadRequest, elimity.ScimTypeTooMany, "A query for all resource types needs a filter.")
	}
	return q.list(s, q.h.schemas.user, q.h.schemas.group)
}
