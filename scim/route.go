package scim

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	elimity "github.com/elimity-com/scim/errors"
)

// segmentsOf splits the path after /scim and checks the version: source, then the segments of the route. Empty segments
// do not count, so that a slash too many in a client's configuration does no harm.
func segmentsOf(u *url.URL) ([]string, error) {
	var all []string
	for s := range strings.SplitSeq(u.EscapedPath(), "/") {
		if s == "" {
			continue
		}
		s, err := url.PathUnescape(s)
		if err != nil {
			return nil, invalidSyntax("The path is not well-formed.")
		}
		all = append(all, s)
	}
	if len(all) < 2 || all[0] != "scim" {
		return nil, notFound("There is no such endpoint.")
	}
	if len(all) < 3 {
		return append(all[1:], ""), nil
	}
	return all[1:], nil
}

// on is a method of a route.
type on struct {
	method string
	serve  func() error
}

// dispatch calls the route's handler. Methods a route does not have are refused with those it has (RFC 9110 §15.5.6).
func (q *request) dispatch(seg []string) error {
	switch {
	case seg[0] == "v2":
		seg = seg[1:]
	case len(seg[0]) > 1 && seg[0][0] == 'v' && strings.Trim(seg[0][1:], "0123456789.") == "":
		return refuse(http.StatusBadRequest, elimity.ScimTypeInvalidVersion, "The version of the protocol is v2.")
	default:
		return notFound("There is no such endpoint.")
	}
	if len(seg) == 0 {
		return q.method("/", on{"GET", q.searchAll})
	}
	head := strings.ToLower(seg[0])
	if len(seg) > 2 {
		return notFound("There is no such endpoint.")
	}
	rest := ""
	if len(seg) == 2 {
		rest = seg[1]
	}
	if rest == "" {
		switch head {
		case ".search":
			return q.method("/.search", on{"POST", q.searchAll})
		case "bulk":
			return q.method("/Bulk", on{"POST", q.bulk})
		case "me":
			return q.unsupported("/Me", "A provisioning client has no resource of its own.") // RFC 7644 §3.11
		}
	}
	switch head {
	case "users":
		return q.resourceRoute(q.h.schemas.user, rest)
	case "groups":
		return q.resourceRoute(q.h.schemas.group, rest)
	case "serviceproviderconfig", "resourcetypes", "schemas":
		return q.discoveryRoute(head, rest)
	}
	return notFound("There is no such endpoint.")
}

func (q *request) resourceRoute(rt *resourceType, id string) error {
	switch {
	case id == "":
		return q.method(rt.endpoint, on{"GET", func() error { return q.search(rt) }}, on{"POST", func() error { return q.create(rt) }})
	case strings.EqualFold(id, ".search"):
		return q.method(rt.endpoint+"/.search", on{"POST", func() error { return q.search(rt) }})
	}
	q.record = id
	return q.method(rt.endpoint+"/{id}", on{"GET", func() error { return q.read(rt, id) }}, on{"PUT", func() error { return q.replace(rt, id) }},
		on{"PATCH", func() error { return q.patch(rt, id) }}, on{"DELETE", func() error { return q.remove(rt, id) }})
}

func (q *request) method(route string, verbs ...on) error {
	q.route = route
	method := q.r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, v := range verbs {
		if v.method == method {
			return v.serve()
		}
	}
	var allow []string
	for _, v := range verbs {
		if allow = append(allow, v.method); v.method == http.MethodGet {
			allow = append(allow, http.MethodHead)
		}
	}
	slices.Sort(allow)
	return refusal{
		ScimError: elimity.ScimError{Status: http.StatusMethodNotAllowed, Detail: "This endpoint does not have the method."},
		allow:     strings.Join(allow, ", "),
	}
}

func (q *request) unsupported(route, detail string) error {
	q.route = route
	return refuse(http.StatusNotImplemented, "", "%s", detail)
}
