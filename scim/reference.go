package scim

import (
	"net/url"
	"strings"
)

// refers says whether the attribute names another resource.
func (a *attribute) refers() bool {
	return !a.declared && a.index["$ref"] != nil && a.index["value"] != nil
}

// referred takes the id from the address of what is referred to, when that is all there is: the reference there was must not stay
// beside it.
func (n normaliser) referred(a *attribute, m map[string]any) {
	if !a.refers() {
		return
	}
	ref, _ := m["$ref"].(string)
	given, said := m["value"]
	if s, ok := given.(string); ok {
		m["value"] = n.idOf(a.label(), s)
		return
	}
	if id := lastSegment(ref); id != "" {
		n.notes.remark("%s: $ref read as value", a.label())
		m["value"] = id
	} else if said { // a template without anybody in it
		m["$ref"] = nil
	}
}

// idOf is the id of a resource that is given by its address.
func (n normaliser) idOf(label, s string) string {
	if id := lastSegment(s); strings.Contains(s, "://") && id != "" {
		n.notes.add("%s: address read as the id in it", label)
		return id
	}
	return s
}

// lastSegment is what stands at the end of an address; nothing where that is the address of all users or groups.
func lastSegment(address string) string {
	address = strings.TrimRight(address, "/")
	last := address[strings.LastIndexByte(address, '/')+1:]
	if strings.EqualFold(last, "Users") || strings.EqualFold(last, "Groups") {
		return ""
	}
	return last
}

// userAt is the id in the address of a user of this source, which may be relative to that of another one.
func (c *compiler) userAt(address string) string {
	id, ours := strings.CutPrefix(address, c.base+"/Users/")
	if !ours || c.base == "" {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "" || u.Host != "" {
			return ""
		}
		i := strings.LastIndexByte(address, '/') + 1
		if id = address[i:]; !strings.HasSuffix(strings.ToLower("/"+address[:i]), "/users/") {
			return ""
		}
	}
	if memberID(id) != nil {
		return ""
	}
	return id
}
