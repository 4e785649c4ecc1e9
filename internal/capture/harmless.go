package capture

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"

	"jmld/model"
)

// isSecret says whether what has the name is kept from everybody. The name is in small letters.
func isSecret(name string) bool {
	name = lastName(name)
	for _, part := range [...]string{"password", "passwd", "secret", "token", "credential", "authorization", "assertion", "apikey", "api_key"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// lastName is the last part of an attribute's path, in small letters.
func lastName(path string) string {
	path = strings.ToLower(strings.TrimSpace(path))
	if i := strings.LastIndexByte(path, ']'); i >= 0 && i < len(path)-1 {
		path = path[i+1:]
	} else if i := strings.IndexByte(path, '['); i >= 0 {
		path = path[:i]
	}
	return path[strings.LastIndexAny(path, ".:")+1:]
}

// isCount names numbers of the protocol.
func isCount(name string) bool {
	switch name {
	case "totalresults", "itemsperpage", "startindex", "count", "failonerrors", "status":
		return true
	}
	return false
}

// harmless says whether a text under this name stays as it is: words of the protocol, where they mean what they mean there.
func harmless(name, s string) bool {
	lower := strings.ToLower(s)
	switch name {
	case "schemas":
		return isURN(s)
	case "op":
		return oneOf(lower, "add", "replace", "remove")
	case "operation":
		return lower == "delete"
	case "type":
		return oneOf(lower, "work", "home", "other", "mobile", "fax", "pager", "photo", "thumbnail", "user", "group", "direct", "indirect",
			"aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo")
	case "workertype":
		return oneOf(lower, "employee", "contractor", "partner", "customer", "service")
	case "resourcetype":
		return oneOf(lower, "user", "group", "schema", "resourcetype", "serviceproviderconfig")
	case "method":
		return oneOf(lower, "get", "post", "put", "patch", "delete")
	case "sortorder":
		return oneOf(lower, "ascending", "descending", "asc", "desc")
	case "scimtype":
		return oneOf(lower, "invalidfilter", "toomany", "uniqueness", "mutability", "invalidsyntax", "invalidpath", "notarget", "invalidvalue",
			"invalidvers", "sensitive", "invalidcursor", "expiredcursor", "invalidcount")
	case "status", "startindex", "count", "failonerrors":
		return isSmall(s, 7)
	case "active", "primary":
		return s == "0" || s == "1" // read as truth values, whose words stay everywhere
	case "version":
		return isTag(s)
	case "created", "lastmodified", "startdate", "enddate":
		return isDate(s)
	}
	return false
}

// isNoID says whether the text is a word that clients send for an id they do not have.
func isNoID(s string) bool {
	return oneOf(strings.ToLower(s), "null", "undefined", "none", "nil", "true", "false")
}

// isURN says whether the text is the name of a schema.
func isURN(s string) bool { return len(s) > 4 && strings.EqualFold(s[:4], "urn:") && isName(s) }

const ietf = "urn:ietf:params:scim:"

// isForeign says whether the attribute is one of an extension that is not of the standards. The name is in small letters.
func isForeign(name string) bool {
	return strings.HasPrefix(name, "urn:") && !strings.HasPrefix(name, ietf)
}

// isContainer says whether attributes of a resource stand in what has the name: a message, or an extension of the standards.
func isContainer(name string) bool {
	return oneOf(name, "", "resources", "operations", "data", "response", "value") || strings.HasPrefix(name, ietf)
}

// isExtension says whether it is the URN of an extension of the standards, and none of an attribute in it.
func isExtension(name string) bool {
	urn, last, _ := cutLast(name, ':')
	_, version, ok := cutLast(urn, ':')
	return ok && strings.HasPrefix(name, ietf) && last != "" && isVersion("v"+version)
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// isReference says whether the attribute refers to resources of the same source.
func isReference(name string) bool { return oneOf(name, "members", "groups", "manager") }

// attributeOf splits a path into the attribute and its sub-attribute, without its value filter and its URN; the name is that of
// the last, holder is empty when there is one only. Of an extension that is not of the standards it is "-".
func attributeOf(path string) (holder, name string) {
	if isForeign(path) {
		return "", "-"
	}
	if from, to := strings.IndexByte(path, '['), strings.LastIndexByte(path, ']'); from >= 0 && from < to {
		path = path[:from] + path[to+1:]
	} else if from >= 0 {
		path = path[:from]
	}
	for _, resource := range [...]string{"user.", "user:", "group.", "group:", "$."} { // as the names of attributes are read
		path = strings.TrimPrefix(path, resource)
	}
	if strings.HasPrefix(path, ietf) {
		path = path[strings.LastIndexByte(path, ':')+1:]
		if version := strings.IndexByte(path, '.'); version >= 0 && isVersion("v"+path[:version]) { // the URN itself, as in 2.0:User
			return "", "-"
		}
	}
	if holder, name, ok := strings.Cut(path, "."); ok {
		return holder, name
	}
	return "", path
}

// canonical are the values that extensions allow, by the attribute's name, both in small letters.
func canonical(declared []model.Extension) map[string][]string {
	out := map[string][]string{}
	var add func(list []model.Attribute)
	add = func(list []model.Attribute) {
		for _, a := range list {
			for _, c := range a.Canonical {
				name := strings.ToLower(a.Name)
				out[name] = append(out[name], strings.ToLower(c))
			}
			add(a.Attributes)
		}
	}
	for _, e := range declared {
		add(e.Attributes)
	}
	return out
}

func (r *redaction) isCanonical(name, s string) bool {
	if len(r.declared) == 0 {
		return false
	}
	list := r.declared[lastName(name)]
	return len(list) > 0 && slices.Contains(list, strings.ToLower(s))
}

func oneOf(s string, words ...string) bool {
	for _, w := range words {
		if s == w {
			return true
		}
	}
	return false
}

// isTag says whether the text is an entity tag as we make them, or a list of some.
func isTag(s string) bool {
	for tag := range strings.SplitSeq(s, ",") {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		quoted := len(tag) > 2 && tag[0] == '"' && tag[len(tag)-1] == '"'
		if tag != "*" && !(quoted && isSmall(tag[1:len(tag)-1], 7)) && !isSmall(tag, 4) {
			return false
		}
	}
	return true
}

// isSmall says whether the text is a number of so many digits at most: a larger one may be somebody's.
func isSmall(s string, most int) bool {
	return s != "" && len(s) <= most && strings.Trim(s, "0123456789") == ""
}

// isName says whether the text can be an attribute's name, with its URN or sub-attribute.
func isName(s string) bool {
	if s == "" || len(s) > 200 || !(s[0] == '$' || 'a' <= s[0]|0x20 && s[0]|0x20 <= 'z') {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("$_.:-", c) >= 0) {
			return false
		}
	}
	return !isUUID(s)
}

func writeEscaped(b *bytes.Buffer, c rune) {
	if c > 0xffff {
		high, low := utf16.EncodeRune(c)
		fmt.Fprintf(b, `\u%04x\u%04x`, high, low)
		return
	}
	fmt.Fprintf(b, `\u%04x`, c)
}
