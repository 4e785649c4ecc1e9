package scimapp

import (
	"encoding/json"
	"maps"
	"strings"

	"jmld/jml"
	"jmld/model"
)

// resource is a User as the provider has it.
type resource struct {
	id   string
	body map[string]any
}

func (t *Target) resource(op string, body map[string]any) (*resource, error) {
	r := &resource{body: body}
	if n, ok := lookup(body, "id").(json.Number); ok { // some say 17 for "17"
		r.id = n.String()
	} else if r.id = r.text("id"); r.id == "" {
		return nil, model.Errorf(model.CodeTargetBroken, "%s", t.name("%s: a resource without id", op))
	}
	return r, nil
}

func (r *resource) text(attr string) string {
	s, _ := lookup(r.body, attr).(string)
	return s
}

// state is the account's. Without active a user is active (RFC 7643 §4.1.1 leaves it open; this is what they mean).
func (r *resource) state() model.AccountState {
	switch v := lookup(r.body, "active").(type) {
	case bool:
		if !v {
			return model.AccountInactive
		}
	case string: // some say "False"
		if !strings.EqualFold(v, "true") {
			return model.AccountInactive
		}
	}
	return model.AccountActive
}

// attributes is everything but what the provider makes itself, canonical.
func (r *resource) attributes() string {
	m := maps.Clone(r.body)
	for k, v := range m {
		if empty(v) || providers(k) || strings.EqualFold(k, "active") || strings.EqualFold(k, "schemas") {
			delete(m, k)
		}
	}
	return jml.Canonical(m)
}

// version is meta.version, the ETag.
func (r *resource) version() string {
	meta, _ := lookup(r.body, "meta").(map[string]any)
	s, _ := meta["version"].(string)
	return s
}

// providers says whether the attribute is the provider's to write (RFC 7643 §3.1, §4.1.2).
func providers(attr string) bool {
	return strings.EqualFold(attr, "id") || strings.EqualFold(attr, "meta") || strings.EqualFold(attr, "groups")
}

// lookup finds an attribute; names are compared without case when no exact one is there (RFC 7643 §2.1).
func lookup(m map[string]any, attr string) any {
	if v, ok := m[attr]; ok {
		return v
	}
	for k, v := range m {
		if strings.EqualFold(k, attr) {
			return v
		}
	}
	return nil
}

// set replaces an attribute, however its name is spelled there; nil removes it.
func set(m map[string]any, attr string, value any) {
	for k := range m {
		if strings.EqualFold(k, attr) {
			delete(m, k)
		}
	}
	if value != nil {
		m[attr] = value
	}
}
