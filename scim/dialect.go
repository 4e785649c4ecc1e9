package scim

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The dialects there are names for. A name says what a request looks like and changes nothing about how it is read. What
// anybody may send is plain, and what had to be read differently without giving its sender away is unknown.
const (
	dialectEntra       = "Entra"
	dialectEntraLegacy = "Entra legacy PATCH"
	dialectEntraFlag   = "Entra aadOptscim062020"
	dialectOkta        = "Okta"
	dialectOneLogin    = "OneLogin"
	dialectPing        = "Ping"
	dialectJumpCloud   = "JumpCloud"
	dialectGoogle      = "Google"
	dialectKeycloak    = "Keycloak (SCIM-SDK)"
	dialectAuthentik   = "authentik"
	dialectSailPoint   = "SailPoint"
	dialectPlain       = "RFC 7644"
	dialectUnknown     = "unknown"
)

// dialectOf names the dialect: by what the client calls itself, else by the shape of the request (see shapeOf), else by whether
// anything was read differently from how it was written.
func dialectOf(agent, shape string, differently bool) string {
	agent = strings.ToLower(agent)
	for _, a := range [...]struct{ word, dialect string }{
		{"okta", dialectOkta}, {"onelogin", dialectOneLogin}, {"pingfederate", dialectPing}, {"pingone", dialectPing},
		{"jumpcloud", dialectJumpCloud}, {"google-auto-provisioning", dialectGoogle}, {"keycloak", dialectKeycloak},
		{"authentik", dialectAuthentik}, {"sailpoint", dialectSailPoint},
	} {
		if strings.Contains(agent, a.word) {
			return a.dialect
		}
	}
	switch {
	case shape != "":
		return shape
	case differently:
		return dialectUnknown
	}
	return dialectPlain
}

// shapeOf recognises what one identity provider alone is known to send; "" is nothing of that. body may be nil.
//
//	Entra legacy PATCH       "op": "Replace", "value": "False"
//	Entra aadOptscim062020   the parameter of that name; "name.givenName" and "urn:…:User:title" as keys without a path
//	Entra                    meta with resourceType alone, a schema of its own, emails[type eq "work"].value eq,
//	                         id eq "…" and manager eq "…"
//	OneLogin                 "id": null, "active": "true", managerId
//	Ping                     emails eq "…"
//	Keycloak (SCIM-SDK)      "value": ["true"]
//	authentik                "path": null with schemas in the value
func shapeOf(method string, query url.Values, body object) string {
	shape := ""
	switch method {
	case http.MethodPatch:
		shape = patchShape(body)
	case http.MethodPost, http.MethodPut:
		shape = bodyShape(method, body)
	}
	if shape != "" || len(query) == 0 {
		return shape
	}
	if query.Has("aadOptscim062020") {
		return dialectEntraFlag
	}
	return filterShape(query.Get("filter"))
}

func filterShape(filter string) string {
	switch {
	case strings.Contains(filter, "]."), // a comparison after a value filter is outside the grammar of RFC 7644 §3.4.2.2
		strings.HasPrefix(filter, "id eq ") && (strings.Contains(filter, " and manager eq ") || strings.Contains(filter, " and members eq ")):
		return dialectEntra
	case strings.HasPrefix(filter, "emails eq "):
		return dialectPing
	}
	return ""
}

// shapedOperations is how many operations of a PATCH are looked at: all of them are written by the same client.
const shapedOperations = 50

func patchShape(body object) string {
	v, _ := body.get("Operations")
	list, _ := v.([]any)
	shape := ""
	for _, e := range list[:min(len(list), shapedOperations)] {
		op, _ := e.(object)
		word, _ := op.get("op")
		if s, _ := word.(string); s != strings.ToLower(s) {
			return dialectEntraLegacy
		}
		if shape == "" {
			shape = operandShape(op)
		}
	}
	return shape
}

func operandShape(op object) string {
	path, named := op.get("path")
	value, _ := op.get("value")
	switch v := value.(type) {
	case string:
		if v == "True" || v == "False" {
			return dialectEntraLegacy
		}
	case []any:
		if len(v) == 1 {
			if _, complex := v[0].(object); !complex && v[0] != nil {
				return dialectKeycloak
			}
		}
	case object:
		if _, whole := v.get("schemas"); named && path == nil && whole {
			return dialectAuthentik
		}
		if path == nil && slices.ContainsFunc(v, func(m member) bool { return dotted(m.key) }) {
			return dialectEntraFlag
		}
	}
	return ""
}

// dotted says whether a key names a sub-attribute, or an attribute with its schema.
func dotted(key string) bool {
	if !strings.HasPrefix(strings.ToLower(key), "urn:") {
		return strings.Contains(key, ".")
	}
	_, rest, _ := strings.Cut(key, ":2.0:")
	return strings.Contains(rest, ":")
}

func bodyShape(method string, body object) string {
	if id, ok := body.get("id"); ok && id == nil {
		return dialectOneLogin
	}
	for _, m := range body {
		switch v := m.value.(type) {
		case string:
			switch {
			case strings.EqualFold(m.key, "filter"): // of a search
				return filterShape(v)
			case !strings.EqualFold(m.key, "active"):
			case v == "True", v == "False":
				return dialectEntra
			case v == "true", v == "false":
				return dialectOneLogin
			}
		case []any:
			if s := listShape(v); s != "" {
				return s
			}
		case object:
			if s := complexShape(method, m.key, v); s != "" {
				return s
			}
		}
	}
	return ""
}

func listShape(list []any) string {
	if len(list) == 0 {
		return ""
	}
	if o, ok := list[0].(object); ok {
		if primary, _ := o.get("primary"); primary == "True" || primary == "False" {
			return dialectEntra
		}
		return ""
	}
	if slices.ContainsFunc(list[:min(len(list), shapedOperations)], func(e any) bool {
		s, _ := e.(string)
		return strings.HasPrefix(s, "http://schemas.microsoft.com/")
	}) {
		return dialectEntra
	}
	return ""
}

func complexShape(method, key string, o object) string {
	if strings.EqualFold(key, "meta") {
		if _, ok := o.get("resourceType"); ok && len(o) == 1 && method == http.MethodPost {
			return dialectEntra
		}
		return ""
	}
	manager, _ := o.get("manager")
	for _, v := range [...]any{o, manager} {
		if m, _ := v.(object); m != nil {
			if _, ok := m.get("managerId"); ok {
				return dialectOneLogin
			}
		}
	}
	return ""
}

// dialect names the dialect of the request, as far as it was read.
func (q *request) dialect() string {
	return dialectOf(q.agent, q.shape, q.notes.differently)
}
