package jml

import (
	"encoding/json"
	"slices"
	"sort"
	"strings"

	"jmld/jml/policy"
	"jmld/model"
)

func (r *Rules) identity(s Situation, lifecycle model.Lifecycle, f Fused, out policy.Outcome) model.Identity {
	id := model.Identity{ID: s.ID}
	if s.Identity != nil {
		id = *s.Identity
	}
	id.ReviewAt, id.ReviewRun, id.Suspect, id.Findings, id.Lifecycle = nil, "", "", "", lifecycle
	id.UserName, id.DisplayName, id.Email = text(f.Attrs["userName"]), display(f.Attrs), email(f.Attrs)
	id.SearchKey = Fold(id.DisplayName) + "\n" + Fold(id.UserName) + "\n" + Fold(id.Email)
	id.Organisation, id.External, id.Categories = out.Organisation, out.External, strings.Join(out.Categories, ",")
	id.Attrs, id.Provenance = Canonical(f.Attrs), Canonical(f.Provenance)
	id.UpdatedAt = s.Now
	if s.Identity == nil {
		id.CreatedAt = s.Now
	}
	return id
}

// keyChanges compares the keys of the live records with those owned. A key is given up only for another of the same name:
// somebody who left everywhere is still recognised when they come back.
func (r *Rules) keyChanges(live []model.Record, owned []model.Key) (add, drop []model.Key) {
	var want []model.Key
	names := map[string]bool{}
	for _, rec := range live {
		for _, k := range r.Keys(rec) {
			names[k.Name] = true
			if !slices.Contains(want, k) {
				want = append(want, k)
			}
		}
	}
	for _, k := range want {
		if !slices.Contains(owned, k) {
			add = append(add, k)
		}
	}
	for _, k := range owned {
		if names[k.Name] && !slices.Contains(want, k) {
			drop = append(drop, k)
		}
	}
	return add, drop
}

// findingsOf are those stored with the identity. What cannot be read is none: it is told again, and more is waited for.
func findingsOf(i *model.Identity) []model.Finding {
	var out []model.Finding
	if i == nil || i.Findings == "" || json.Unmarshal([]byte(i.Findings), &out) != nil {
		return nil
	}
	return out
}

func newFindings(s Situation, now model.Identity) []model.Change {
	was := findingsOf(s.Identity)
	var out []model.Change
	for _, f := range findingsOf(&now) {
		if slices.Contains(was, f) {
			continue
		}
		why := model.Reason{Text: f.Text, Rule: f.Rule, Source: s.Cause.Source, Record: s.Cause.Record, At: s.Now}
		out = append(out, model.Change{Source: s.Cause.Source, IdentityID: now.ID, Who: name(now), Target: f.Target, Op: model.OpFinding,
			Because: Canonical(why), Code: f.Code, State: model.ChangeNoted, At: s.Now})
	}
	return out
}

func sources(live []model.Record) []string {
	var out []string
	for _, rec := range live {
		if !slices.Contains(out, rec.Source) {
			out = append(out, rec.Source)
		}
	}
	sort.Strings(out)
	return out
}

// memberOf are the groups of sources that say something of the person.
func memberOf(groups []model.Membership, live []model.Record) []model.Membership {
	return slices.DeleteFunc(slices.Clone(groups), func(g model.Membership) bool {
		return !slices.ContainsFunc(live, func(rec model.Record) bool { return rec.Source == g.Source })
	})
}

// groupNames are the names of the groups in sources that have a live record of the person.
func groupNames(groups []model.Membership, live []model.Record) []string {
	out := []string{}
	for _, g := range memberOf(groups, live) {
		if !slices.Contains(out, g.DisplayName) {
			out = append(out, g.DisplayName)
		}
	}
	sort.Strings(out)
	return out
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func display(attrs map[string]any) string {
	n, _ := attrs["name"].(map[string]any)
	full := strings.TrimSpace(text(n["givenName"]) + " " + text(n["familyName"]))
	for _, s := range []string{text(attrs["displayName"]), text(n["formatted"]), full, text(attrs["userName"])} {
		if s != "" {
			return s
		}
	}
	return ""
}

func name(id model.Identity) string {
	switch {
	case id.DisplayName != "":
		return id.DisplayName
	case id.UserName != "":
		return id.UserName
	}
	return id.ID
}
