package local

import (
	"encoding/json"
	"maps"
	"strings"

	"jmld/jml"
	"jmld/model"
)

// row is the row of the target that want says, made from the current one (zero when there is none), whose times it keeps. What has a
// column goes there; the rest, and what is not of the column's type, goes to Attributes, so that nothing is lost. The
// e-mail addresses stay in Attributes with their types; the column has the primary one.
func row(target string, want model.Account, cur model.PlatformUser) (model.PlatformUser, error) {
	attrs, err := object(want.Desired)
	if err != nil {
		return cur, model.Errorf(model.CodeTargetRefused, "desired attributes are not a JSON object: %w", err)
	}
	next := cur
	next.Target, next.ID = target, rowID(want)
	next.Active = want.State == model.AccountActive
	if name, _ := attrs["userName"].(string); name == "" {
		if next.Active {
			return cur, model.Errorf(model.CodeTargetRefused, "desired attributes have no userName")
		}
		return next, nil // nothing said about the attributes of a leaver: they stay
	}

	next.UserName = take(attrs, "userName")
	next.DisplayName = take(attrs, "displayName")
	next.GivenName, next.FamilyName = "", ""
	if name, ok := attrs["name"].(map[string]any); ok {
		name = maps.Clone(name)
		next.GivenName, next.FamilyName = take(name, "givenName"), take(name, "familyName")
		if attrs["name"] = name; len(name) == 0 && next.GivenName+next.FamilyName != "" {
			delete(attrs, "name")
		}
	}
	next.Email = primary(attrs["emails"])
	next.Attributes = jml.Canonical(attrs)
	return next, nil
}

// account fills in what the row says.
func account(a model.Account, row model.PlatformUser) (model.Account, error) {
	attrs, err := object(row.Attributes)
	if err != nil {
		return a, model.Errorf(model.CodeTargetBroken, "attributes of row %s are not a JSON object: %w", row.ID, err)
	}
	give(attrs, "userName", row.UserName)
	give(attrs, "displayName", row.DisplayName)
	if row.GivenName+row.FamilyName != "" {
		name, _ := attrs["name"].(map[string]any)
		if name == nil {
			name = map[string]any{}
		}
		give(name, "givenName", row.GivenName)
		give(name, "familyName", row.FamilyName)
		attrs["name"] = name
	}
	a.NativeID, a.Applied, a.AppliedState = row.ID, jml.Canonical(attrs), model.AccountInactive
	if row.Active {
		a.AppliedState = model.AccountActive
	}
	if a.Origin == "" {
		a.Origin = model.OriginOurs
	}
	return a, nil
}

// take moves a string out of the object. Anything else stays where it is.
func take(attrs map[string]any, name string) string {
	s, _ := attrs[name].(string)
	if s != "" {
		delete(attrs, name)
	}
	return s
}

func give(attrs map[string]any, name, value string) {
	if value != "" {
		attrs[name] = value
	}
}

// primary is the address marked as primary, else the first.
func primary(emails any) string {
	list, _ := emails.([]any)
	first := ""
	for _, e := range list {
		m, _ := e.(map[string]any)
		value, _ := m["value"].(string)
		if yes, _ := m["primary"].(bool); yes && value != "" {
			return value
		}
		if first == "" {
			first = value
		}
	}
	return first
}

func object(text string) (map[string]any, error) {
	attrs := map[string]any{}
	if text == "" {
		return attrs, nil
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber() // numbers keep their digits
	if err := dec.Decode(&attrs); err != nil {
		return nil, err
	}
	if attrs == nil { // the text was null
		attrs = map[string]any{}
	}
	return attrs, nil
}
