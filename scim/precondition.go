package scim

import (
	"net/http"
	"strings"

	"jmld/model"
)

// matchesTag says whether an If-Match or If-None-Match header names the version (RFC 9110 §13.1, compared weakly as
// SCIM's tags are weak: RFC 7644 §3.14).
func matchesTag(headers []string, version string) bool {
	version = strings.TrimPrefix(version, "W/")
	for _, h := range headers {
		for tag := range strings.SplitSeq(h, ",") {
			tag = strings.TrimSpace(tag)
			if tag == "*" || strings.TrimPrefix(tag, "W/") == version {
				return true
			}
		}
	}
	return false
}

func otherVersion() error {
	return refuse(http.StatusPreconditionFailed, "", "The resource has another version.")
}

// precondition refuses a write that was meant for another version of the resource.
func (q *request) precondition(cur *model.Record) error {
	if want := q.r.Header.Values("If-Match"); len(want) > 0 && !matchesTag(want, etag(cur)) {
		return otherVersion()
	}
	if not := q.r.Header.Values("If-None-Match"); len(not) > 0 && matchesTag(not, etag(cur)) {
		return otherVersion()
	}
	return nil
}
