package jml

import (
	"slices"
	"strings"

	"jmld/model"
)

// EnterpriseUser is the URN of the enterprise extension, RFC 7643 §4.3.
const EnterpriseUser = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

// LifecycleUser is the URN of our own extension: dates and responsibilities of a person's time with us.
const LifecycleUser = "urn:ietf:params:scim:schemas:extension:jmld:2.0:User"

// Names of correlation keys, as Rules.Correlation lists them.
const (
	KeyEmployeeNumber = "employeeNumber"
	KeyEmail          = "email"
	KeyUserName       = "userName"
	KeyExternalID     = "externalId"
)

// KeyNames are the correlation keys there are, beside attributes of extensions by URN.
func KeyNames() []string { return []string{KeyEmployeeNumber, KeyEmail, KeyUserName, KeyExternalID} }

// Keys returns the correlation keys of a user record, in the order of the rules. An e-mail address is a key only in a
// domain of our own: elsewhere it says who reads the mailbox, not who is employed.
func (r *Rules) Keys(rec model.Record) []model.Key {
	if rec.Kind != model.KindUser {
		return nil
	}
	var attrs map[string]any // decoded when a key needs it
	var keys []model.Key
	add := func(name, value string) {
		if k := (model.Key{Name: name, Value: Fold(value)}); k.Value != "" && !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	for _, name := range r.Correlation {
		if attrs == nil && name != KeyUserName && name != KeyExternalID {
			attrs = decode(rec.Attrs, r.hasKeys)
		}
		switch name {
		case KeyEmployeeNumber:
			ext, _ := attrs[EnterpriseUser].(map[string]any)
			n, _ := ext["employeeNumber"].(string)
			add(name, n)
		case KeyEmail:
			for _, a := range addresses(attrs) {
				if r.ownAddress(Fold(a)) {
					add(name, a)
				}
			}
		case KeyUserName:
			// Folded first: other letters than @ become one.
			if n := Fold(rec.UserName); !strings.Contains(n, "@") || r.ownAddress(n) {
				add(name, n)
			}
		case KeyExternalID:
			add(name, rec.ExternalID)
		default: // an attribute of an extension
			if i := strings.LastIndexByte(name, ':'); i > 0 {
				ext, _ := attrs[name[:i]].(map[string]any)
				add(name, text(ext[name[i+1:]]))
			}
		}
	}
	return keys
}

// hasKeys says whether keys are in an attribute of that name.
func (r *Rules) hasKeys(attr string) bool {
	return attr == "emails" || attr == EnterpriseUser || slices.ContainsFunc(r.Correlation, func(name string) bool {
		rest, ok := strings.CutPrefix(name, attr)
		return ok && strings.HasPrefix(rest, ":")
	})
}

func (r *Rules) ownAddress(address string) bool {
	at := strings.LastIndexByte(address, '@')
	if at < 1 {
		return false
	}
	domain := strings.ToLower(strings.TrimSpace(address[at+1:]))
	for _, own := range r.OwnDomains {
		own = strings.ToLower(own)
		if sub, wild := strings.CutPrefix(own, "*."); domain == own || wild && strings.HasSuffix(domain, "."+sub) {
			return true
		}
	}
	return false
}

func addresses(attrs map[string]any) []string {
	list, _ := attrs["emails"].([]any)
	var out []string
	for _, e := range list {
		m, _ := e.(map[string]any)
		if v, _ := m["value"].(string); v != "" {
			out = append(out, v)
		}
	}
	return out
}

// email is the address to show and to send to: the primary one, else the work one, else the first.
func email(attrs map[string]any) string {
	list, _ := attrs["emails"].([]any)
	best, rank := "", 0
	for _, e := range list {
		m, _ := e.(map[string]any)
		v, _ := m["value"].(string)
		p, _ := m["primary"].(bool)
		t, _ := m["type"].(string)
		n := 1
		switch {
		case v == "":
			continue
		case p:
			n = 3
		case strings.EqualFold(t, "work"):
			n = 2
		}
		if n > rank {
			best, rank = v, n
		}
	}
	return best
}
