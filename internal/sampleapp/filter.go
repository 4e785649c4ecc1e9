package sampleapp

import (
	"encoding/json"
	"net/http"
	"strings"
)

// parseFilter understands the two filters that clients need to find a user: userName eq "…" without regard to case and
// externalId eq "…" with it (RFC 7643 §4.1, §3.1).
func parseFilter(text, refuse string) (func(*user) bool, error) {
	bad := scimError{http.StatusBadRequest, "invalidFilter", `only userName eq "…" and externalId eq "…" are understood`}
	attr, rest, ok := strings.Cut(strings.TrimSpace(text), " ")
	op, literal, ok2 := strings.Cut(strings.TrimSpace(rest), " ")
	var value string
	if !ok || !ok2 || !strings.EqualFold(op, "eq") || json.Unmarshal([]byte(literal), &value) != nil {
		return nil, bad
	}
	if refuse == "*" || strings.EqualFold(refuse, attr) {
		return nil, scimError{http.StatusBadRequest, "invalidFilter", "filters on " + attr + " are not supported"}
	}
	switch strings.ToLower(attr) {
	case "username":
		return func(u *user) bool { return strings.EqualFold(u.text("userName"), value) }, nil
	case "externalid":
		return func(u *user) bool { return u.text("externalId") == value }, nil
	}
	return nil, bad
}

func (u *user) text(attr string) string {
	s, _ := u.Attrs[attr].(string)
	return s
}
