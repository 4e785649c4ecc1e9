package scim

import (
	"crypto/sha256"
	"strconv"
	"strings"

	"jmld/model"
)

// record makes the record of a resource, on top of the one that is stored. It takes doc.
func (rt *resourceType) record(cur *model.Record, source, id string, doc map[string]any, none nones) *model.Record {
	next := model.Record{Source: source, ID: id, Kind: rt.kind}
	if cur != nil {
		next = *cur
	}
	next.UserName, _ = doc["userName"].(string)
	next.DisplayName, _ = doc["displayName"].(string)
	next.ExternalID, _ = doc["externalId"].(string)
	next.UserNameKey = fold(next.UserName)
	next.DisplayNameKey = fold(next.DisplayName)
	next.Active = true
	if rt.kind == model.KindUser {
		// RFC 7643 §4.1.1 leaves the meaning of a missing active open. For a new resource it is true; a stored one keeps
		// its state, shown or not.
		active, ok := doc["active"].(bool)
		if !ok {
			active = cur == nil || cur.Active
			if cur == nil {
				doc["active"] = active
			}
		}
		next.Active = active
		next.UniqueKey = model.UniqueKey(next.UserNameKey)
	}
	none.mark(doc)
	next.Attrs = canonical(doc)
	sum := sha256.Sum256([]byte(next.Attrs))
	next.Hash = sum[:16]
	return &next
}

// schemasOf lists the schemas a resource uses (withoutNones). In canonical text "URN":{ can only be a key: in a value its
// quotation marks would be escaped.
func (rt *resourceType) schemasOf(attrs string) []string {
	list := []string{rt.urn}
	for _, e := range rt.extensions {
		if strings.Contains(attrs, `"`+e.name+`":{`) {
			list = append(list, e.name)
		}
	}
	return list
}

// etag is the weak entity tag of the stored version (RFC 7644 §3.14).
func etag(rec *model.Record) string { return `W/"` + strconv.FormatInt(rec.Version, 10) + `"` }
