package scim

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	elimity "github.com/elimity-com/scim/errors"
)

// bulkJob reads a BulkRequest. What is wrong with one operation is that operation's own result; what leaves open which
// operations are meant refuses the request before anything is done.
func (q *request) bulkJob(o object) (*bulkJob, error) {
	v, _ := o.get("Operations")
	list, ok := v.([]any)
	if single, isObject := v.(object); isObject {
		q.notes.syntax("Operations: single operation read as an array of one")
		list, ok = []any{single}, true
	}
	if !ok || len(list) == 0 {
		return nil, invalidSyntax("Operations is missing or empty.")
	}
	if most := q.source.Bounds.BulkOperations; len(list) > most {
		return nil, refuse(http.StatusRequestEntityTooLarge, "", "The request has more operations than maxOperations, %d.", most)
	}
	if s, ok := o.get("schemas"); !ok || !new(compiler).lists(s, urnBulkRequest) {
		q.notes.syntax("schemas: BulkRequest assumed")
	}
	j := &bulkJob{q: q, ops: make([]bulkOperation, len(list)), maker: map[string]int{}}
	var err error
	if j.failOn, err = q.failOnErrors(o); err != nil {
		return nil, err
	}
	for i, e := range list {
		op, ok := e.(object)
		if !ok {
			return nil, invalidSyntax("Operation %d is not an object.", i+1)
		}
		j.ops[i] = q.bulkOperation(op)
		if id := j.ops[i].bulkID; id != "" && j.ops[i].method == http.MethodPost {
			if _, taken := j.maker[id]; taken {
				return nil, invalidValue("Two operations have the bulkId %s.", safeName(id))
			}
			j.maker[id] = i
		}
	}
	return j, nil
}

func (q *request) failOnErrors(o object) (int, error) {
	v, _ := o.get("failOnErrors")
	text, isText := v.(string)
	number, isNumber := v.(json.Number)
	switch {
	case v == nil:
		return 0, nil
	case isText:
		q.notes.add("failOnErrors: text read as a number")
		text = strings.TrimSpace(text)
	case isNumber:
		text = whole(number)
	default:
		return 0, invalidValue("failOnErrors is not an integer.")
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, invalidValue("failOnErrors is not a positive integer.")
	}
	if n == 0 {
		q.notes.add("failOnErrors: 0 read as any number")
	}
	return n, nil
}

// bulkOperation reads one operation. An error in it is kept, not returned.
func (q *request) bulkOperation(o object) (op bulkOperation) {
	text := func(key string) string {
		v, _ := o.get(key)
		switch v := v.(type) {
		case nil:
		case string:
			return v
		case json.Number:
			if key == "bulkId" {
				q.notes.add("bulkId: number read as text")
				return string(v)
			}
			op.wrong = invalidSyntax("%s is not text.", key)
		default:
			op.wrong = invalidSyntax("%s is not text.", key)
		}
		return ""
	}
	given := text("method")
	op.method = strings.ToUpper(given)
	op.bulkID, op.version = text("bulkId"), text("version")
	path := text("path")
	if op.wrong != nil {
		op.method = safeName(op.method)
		return op
	}
	if !slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, op.method) {
		op.method = safeName(given)
		op.wrong = invalidSyntax("The method is none of POST, PUT, PATCH and DELETE.")
		return op
	}
	if op.method != given {
		q.notes.syntax("method: %q read as %q", given, op.method)
	}
	if op.rt, op.target, op.wrong = q.bulkPath(path); op.wrong != nil {
		return op
	}
	switch {
	case op.method != http.MethodPost:
	case op.target != "": // else it could be in a circle of resources to make
		op.wrong = refuse(http.StatusMethodNotAllowed, "", "This endpoint does not have the method.")
		return op
	case op.bulkID == "":
		op.wrong = invalidValue("A POST needs a bulkId.")
		return op
	}
	if op.method == http.MethodDelete {
		return op
	}
	data, _ := o.get("data")
	op.notes.strict = q.notes.strict
	data = normaliser{&op.notes, q.source.Bounds}.unpacked("data", data, either)
	if list, ok := data.([]any); ok && op.method == http.MethodPatch { // so RFC 7644 §3.7.3 prints it
		op.notes.remark("data: list read as the operations of a PATCH")
		data = object{{"schemas", []any{urnPatch}}, {"Operations", list}}
	}
	q.notes.include(&op.notes)
	q.notes.refused = cmp.Or(q.notes.refused, op.notes.refused)
	var ok bool
	if op.data, ok = data.(object); !ok {
		op.wrong = invalidSyntax("data is missing or not an object.")
	}
	return op
}

// bulkPath reads the path of an operation: an endpoint of resources, or one resource.
func (q *request) bulkPath(text string) (rt *resourceType, id string, err error) {
	switch {
	case text == "":
		return nil, "", invalidSyntax("path is missing.")
	case len(text) > q.source.Bounds.URL:
		return nil, "", refuse(http.StatusRequestURITooLong, "", "The path is longer than %d bytes.", q.source.Bounds.URL)
	case strings.ContainsAny(text, "?#"):
		return nil, "", invalidSyntax("The path has a query or a fragment.")
	}
	if rest, ok := q.below(text); ok {
		q.notes.syntax("path: URL read as a path")
		text = rest
	}
	var seg []string
	for s := range strings.SplitSeq(text, "/") {
		if s == "" {
			continue
		}
		if s, err = url.PathUnescape(s); err != nil {
			return nil, "", invalidSyntax("The path is not well-formed.")
		}
		seg = append(seg, s)
	}
	if len(seg) == 0 || len(seg) > 2 {
		return nil, "", notFound("There is no such endpoint.")
	}
	if len(seg) == 2 {
		id = seg[1]
	}
	switch head := strings.ToLower(seg[0]); {
	case head == "bulk":
		return nil, "", refuse(http.StatusBadRequest, elimity.ScimTypeInvalidValue, "A bulk request cannot be in another one.")
	case head == "me":
		return nil, "", refuse(http.StatusNotImplemented, "", "A provisioning client has no resource of its own.")
	case head == ".search", strings.EqualFold(id, ".search"):
		return nil, "", refuse(http.StatusBadRequest, elimity.ScimTypeInvalidValue, "A bulk request cannot search.")
	case head == "users":
		return q.h.schemas.user, id, nil
	case head == "groups":
		return q.h.schemas.group, id, nil
	}
	return nil, "", notFound("There is no such endpoint.")
}

// below is what of the path of an operation stands behind the endpoint: RFC 7644 §3.7 has it relative to that, and clients send what they
// know of the resource: its address, wherever they see this server, or the part of it from the root or the version on.
func (q *request) below(text string) (string, bool) {
	place := "/scim/" + url.PathEscape(q.source.Name) + "/v2/"
	before, rest, ok := strings.Cut("/"+strings.TrimLeft(text, "/"), place)
	if ok && (before == "" || strings.Contains(before, "://") || strings.HasPrefix(text, "//")) {
		return rest, true
	}
	return strings.CutPrefix(strings.TrimLeft(text, "/"), "v2/")
}
