package capture

import (
	"net/url"
	"strings"
)

// path redacts the path of a request's URL, as it was sent: what is no name of an endpoint and no id of ours.
func (r *redaction) path(escaped string) string {
	parts := strings.Split(escaped, "/")
	seen := 0 // segments that are not empty
	for i, part := range parts {
		if part == "" {
			continue
		}
		s, err := url.PathUnescape(part)
		if err != nil {
			parts[i] = r.words(strings.ReplaceAll(part, "%", "")) + "%zz"
			continue
		}
		if seen++; seen == 1 && s == "scim" || seen == 2 && s == r.source || seen == 3 && isVersion(s) {
			continue
		}
		parts[i] = r.segment(s, part)
	}
	return strings.Join(parts, "/")
}

func isVersion(s string) bool {
	return len(s) > 1 && len(s) < 8 && s[0] == 'v' && strings.Trim(s[1:], "0123456789.") == ""
}

// segment redacts one segment; given is how it was written.
func (r *redaction) segment(s, given string) string {
	if oneOf(strings.ToLower(s), "users", "groups", "bulk", "me", ".search", "schemas", "resourcetypes", "serviceproviderconfig", "user", "group",
		"oauth", "token") ||
		isURN(s) {
		return given
	}
	return url.PathEscape(r.id(s))
}

// isResourcePath tells the path of a bulk operation from that of an operation of a PATCH, which names an attribute, perhaps behind a slash.
func isResourcePath(s string) bool {
	s = strings.TrimSpace(s)
	if strings.Contains(s, "[") {
		return false
	}
	head, _, more := strings.Cut(strings.TrimLeft(s, "/"), "/")
	return strings.HasPrefix(s, "/") && more || strings.Contains(s, "://") ||
		oneOf(strings.ToLower(head), "users", "groups", "bulk", "me", ".search", "scim", "v2")
}

// operationPath redacts the path of a bulk operation, which may have the address of the endpoint in front of it.
func (r *redaction) operationPath(s string) string {
	place := "/scim/" + url.PathEscape(r.source) + "/v2/"
	before, rest, ok := strings.Cut(s, place)
	switch {
	case !ok && strings.HasPrefix(s, place[1:]):
		return place[1:] + r.resourcePath(s[len(place)-1:])
	case !ok:
		return r.resourcePath(s)
	case strings.Contains(before, "//"):
		before = scratchURL
	default:
		before = r.resourcePath(before)
	}
	return before + place + r.resourcePath(rest)
}

// resourcePath redacts the path of a bulk operation: "/Users/…".
func (r *redaction) resourcePath(s string) string {
	path, query, asks := strings.Cut(s, "?")
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if part = strings.TrimSpace(part); part != "" && !(i < 2 && part == "v2") {
			if out := r.segment(part, part); out != part {
				parts[i] = r.id(part)
			}
		}
	}
	out := strings.Join(parts, "/")
	if asks {
		out += "?" + r.query(query)
	}
	return out
}

// query redacts the query of a URL. Its order, its names and what is not well-formed in it stay.
func (r *redaction) query(raw string) string {
	if raw == "" {
		return ""
	}
	pieces := strings.Split(raw, "&")
	for i, piece := range pieces {
		name, value, has := strings.Cut(piece, "=")
		pieces[i] = r.parameter(name, has)
		if has {
			pieces[i] += "=" + r.argument(name, value)
		}
		if mark := ";filter="; strings.Contains(strings.ToLower(piece), mark) { // which is refused
			pieces[i] += mark
		}
	}
	return strings.Join(pieces, "&")
}

// parameter redacts what is not the name of a parameter.
func (r *redaction) parameter(name string, has bool) string {
	s, err := url.QueryUnescape(name)
	switch {
	case err != nil:
		return r.words(strings.ReplaceAll(name, "%", "")) + "%zz"
	case has && isName(s):
		return name
	}
	return url.QueryEscape(r.Text(s))
}

func (r *redaction) argument(name, value string) string {
	s, err := url.QueryUnescape(value)
	if err != nil {
		return url.QueryEscape(r.words(strings.ReplaceAll(value, "%", " "))) + "%zz"
	}
	if plain, err := url.PathUnescape(value); err == nil && strings.EqualFold(name, "filter") && strings.Contains(value, "%20") && plusQuoted(plain) {
		out := url.QueryEscape(r.value(frame{key: "filter"}, plain))
		return strings.NewReplacer("+", "%20", "%2B", "+").Replace(out)
	}
	return url.QueryEscape(r.value(frame{key: strings.ToLower(name)}, s))
}

// plusQuoted says whether a filter has plus signs and all of them stand in texts: where blanks come as %20, these are no blanks.
func plusQuoted(filter string) bool {
	found, quoted := false, false
	for i := range len(filter) {
		switch c := filter[i]; {
		case c == '"' && (i == 0 || filter[i-1] != '\\'):
			quoted = !quoted
		case c == '+' && !quoted:
			return false
		case c == '+':
			found = true
		}
	}
	return found
}

// url redacts a URL. One of ours keeps what follows the source; where the daemon is, is not told.
func (r *redaction) url(s string) string {
	at := strings.Index(s, "/scim/"+url.PathEscape(r.source)+"/v2")
	if at < 0 || !strings.HasPrefix(s, "http") {
		scheme, rest, absolute := strings.Cut(s, "://")
		switch {
		case absolute && (scheme == "https" || scheme == "http"): // of an id of ours at the end we take that
			return scheme + "://" + r.resourcePath(rest)
		case !absolute && strings.Contains(s, "/"):
			return r.resourcePath(s)
		}
		return r.id(s)
	}
	path, query, asks := strings.Cut(s[at:], "?")
	out := scratchURL + r.path(path)
	if asks {
		out += "?" + r.query(query)
	}
	return out
}

// places takes out of an answer that has nothing else to hide where the daemon is.
func (r *redaction) places(text string) string {
	mark := "/scim/" + url.PathEscape(r.source) + "/v2"
	parts := strings.Split(text, mark)
	for i := range parts[:len(parts)-1] {
		if start := strings.LastIndexByte(parts[i], '"') + 1; strings.HasPrefix(parts[i][start:], "http") {
			parts[i] = parts[i][:start] + scratchURL
		}
	}
	return strings.Join(parts, mark)
}

// header redacts the headers that are kept: those that decide what a request means.
func (r *redaction) header(h map[string][]string) map[string]string {
	out := map[string]string{}
	for _, name := range [...]string{"Content-Type", "Accept", "Content-Encoding", "If-Match", "If-None-Match", "Etag", "Location", "Retry-After", "Allow", "User-Agent"} {
		list := h[name]
		if len(list) == 0 {
			continue
		}
		s := strings.Join(list, ", ")
		switch name {
		case "If-Match", "If-None-Match", "Etag":
			if !isTag(s) {
				s = r.Text(s)
			}
		case "Location":
			s = r.url(s)
		case "Content-Type", "Accept":
			s = r.media(s)
		case "Content-Encoding":
			if !oneOf(strings.ToLower(s), "gzip", "identity", "deflate", "br") {
				s = r.Text(s)
			}
		case "User-Agent":
			s = r.product(s)
		}
		if len(s) <= 500 {
			out[name] = s
		}
	}
	return out
}

// media keeps the words of media types.
func (r *redaction) media(s string) string {
	const between = "/+;=, \""
	var b strings.Builder
	for len(s) > 0 {
		n := strings.IndexAny(s, between)
		if n == 0 {
			b.WriteByte(s[0])
			s = s[1:]
			continue
		}
		if n < 0 {
			n = len(s)
		}
		word := s[:n]
		s = s[n:]
		if !oneOf(strings.ToLower(word), "application", "scim", "json", "text", "xml", "html", "plain", "*", "charset", "utf-8", "q", "x-www-form-urlencoded",
			"multipart", "form-data", "octet-stream") && !isSmall(strings.ReplaceAll(word, ".", ""), 4) {
			word = r.Text(word)
		}
		b.WriteString(word)
	}
	return b.String()
}

// product keeps the names under which identity providers and tools call; they tell the dialect.
func (r *redaction) product(s string) string {
	lower := strings.ToLower(s)
	for _, known := range [...]string{"okta", "azure", "microsoft", "entra", "onelogin", "pingidentity", "jumpcloud", "google", "keycloak", "authentik",
		"sailpoint", "curl", "python", "go-http-client", "java", "apache-httpclient", "postman"} {
		if strings.Contains(lower, known) {
			return known
		}
	}
	return "other"
}
