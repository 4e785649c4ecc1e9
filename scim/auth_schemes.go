package scim

import "bytes"

// schemes says how clients of the source show who they are (RFC 7643 §5). A client certificate has no type there, and
// clients read unknown types as mistakes, so it is not in the list.
func (s *source) schemes() []any {
	scheme := func(typ, name, description, spec string) map[string]any {
		return map[string]any{"type": typ, "name": name, "description": description, "specUri": spec, "primary": false}
	}
	var list []any
	if s.OAuth != nil {
		list = append(list, scheme("oauth2", "OAuth 2.0 client credentials",
			"An access token of /scim/"+s.Name+"/oauth/token, in the Authorization header.", "https://www.rfc-editor.org/rfc/rfc6749"))
	}
	list = append(list, scheme("oauthbearertoken", "Bearer token",
		"A token made by the operator, in the Authorization header (RFC 6750).", "https://www.rfc-editor.org/rfc/rfc6750"))
	if s.JWT != nil && s.JWT.Bearer {
		list = append(list, scheme("oauthbearertoken", "Signed bearer token",
			"A token that the identity provider has signed, in the Authorization header (RFC 7523).", "https://www.rfc-editor.org/rfc/rfc7523"))
	}
	if s.Basic != nil {
		list = append(list, scheme("httpbasic", "HTTP Basic",
			"A user and a password, in the Authorization header.", "https://www.rfc-editor.org/rfc/rfc7617"))
	}
	if first, ok := list[0].(map[string]any); ok {
		first["primary"] = true
	}
	return list
}

// provider is the source's own ServiceProviderConfig.
func (s *source) provider() [][]byte {
	doc := providerDocument()
	if m, ok := doc.(map[string]any); ok {
		m["authenticationSchemes"] = s.schemes()
		if bulk, ok := m["bulk"].(map[string]any); ok {
			bulk["maxPayloadSize"], bulk["maxOperations"] = int(s.MaxBody), s.Bounds.BulkOperations
		}
		m["filter"] = map[string]any{"supported": true, "maxResults": s.Bounds.MaxPage}
		if s.AnnounceCursors {
			m["pagination"] = map[string]any{ // RFC 9865 §4
				"cursor": true, "index": true, "defaultPaginationMethod": "index", "defaultPageSize": s.Bounds.Page,
				"maxPageSize": s.Bounds.MaxPage, "cursorTimeout": int(cursorTimeout.Seconds()),
			}
		}
	}
	return bytes.Split(appendJSON(nil, doc), []byte(`\u0000`))
}
