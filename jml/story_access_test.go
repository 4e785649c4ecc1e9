package jml_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"jmld/jml"
	"jmld/jml/access"
	"jmld/model"
)

// storyEntitle restricts what people may have, as the configuration does.
type storyEntitle struct {
	Certification *struct {
		Levels   []string
		Required map[string]string
	} `yaml:"certification"`
	Separation []struct {
		Name    string
		Between []string
		Remove  bool
	} `yaml:"separation"`
}

func (e storyEntitle) rules(t *testing.T, r *jml.Rules) {
	t.Helper()
	thing := func(text string) access.Thing {
		got, err := access.ParseThing(text)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	r.Certification, r.Separation = jml.Certification{}, nil
	if c := e.Certification; c != nil {
		r.Certification = jml.Certification{Levels: c.Levels, Attribute: []string{jml.LifecycleUser, "certification"}, End: []string{jml.LifecycleUser, "certified until"}}
		for text, level := range c.Required {
			r.Certification.Required = append(r.Certification.Required, jml.Requirement{Thing: thing(text), Level: 1 + slices.Index(c.Levels, level)})
		}
		slices.SortFunc(r.Certification.Required, func(a, b jml.Requirement) int { return strings.Compare(a.Thing.String(), b.Thing.String()) })
	}
	for _, s := range e.Separation {
		rule := jml.Separation{Name: s.Name, Remove: s.Remove}
		for _, text := range s.Between {
			rule.Things = append(rule.Things, thing(text))
		}
		r.Separation = append(r.Separation, rule)
	}
}

// houseTree has the roles and groups of all stories: Berlin is below Builders and owns CRM.
func houseTree() *access.Tree {
	t, err := access.New(access.State{
		Roles: []model.AccessRole{
			{ID: "administrator", Name: "Administrator", Permissions: `{"cluster":["manage"]}`}, {ID: "auditor", Name: "Auditor"},
			{ID: "developer", Name: "Developer", Permissions: `{"cicd":["build"],"project":["edit"]}`},
		},
		Groups: []model.AccessGroup{
			{ID: "builders", Name: "Builders", Description: "Build", Parent: model.AccessRoot}, {ID: "berlin", Name: "Berlin", Description: "Build there", Parent: "builders"},
			{ID: "operations", Name: "Operations", Description: "Run", Parent: model.AccessRoot},
		},
		Resources: []model.AccessResource{{Place: "app:crm", Name: "CRM"}},
		Links:     []model.AccessLink{{Place: "app:crm", Owner: "berlin", Exclusive: true}},
	})
	if err != nil {
		panic(err)
	}
	return t
}

// entitles plays the steps about roles.
func (w *world) entitles(t *testing.T, what string, v any) bool {
	t.Helper()
	verb, name, _ := strings.Cut(what, " ")
	var said struct{ Role, Place, Rule, From, Until string }
	var person *model.Identity
	if what == "roles of" {
		name = v.(string)
	}
	for _, p := range w.identities {
		if p.DisplayName == name {
			person = p
		}
	}
	row := func() model.AccessMember {
		parse(t, v, &said)
		m := model.AccessMember{Person: person.ID, Place: access.Place(access.KindGroup, said.Place), Role: access.ID(said.Role), Reason: "request 7",
			Approver: "operator Grete", ManagedBy: model.ManagedByOperator}
		if said.Rule != "" {
			m.Place, m.Reason = jml.Separation{Name: said.Rule}.Place(), "nobody else is there"
		}
		for text, to := range map[string]**time.Time{said.From: &m.ValidFrom, said.Until: &m.ValidTo} {
			if text != "" {
				at := moment(t, text)
				*to = &at
			}
		}
		return m
	}
	switch {
	case what == "new restrictions":
		var e storyEntitle
		parse(t, v, &e)
		e.rules(t, w.rules)
		w.everybody("rules changed")
		return true
	case person == nil:
		return false
	case what == "roles of":
		w.roles(t, person)
		return true
	case verb == "give", verb == "except":
		m := row()
		w.gave[person.ID] = append(w.gave[person.ID], m)
		w.decide(person.ID, jml.Cause{Text: "given by operator Grete"})
	case verb == "take":
		m := row()
		w.gave[person.ID] = slices.DeleteFunc(w.gave[person.ID], func(x model.AccessMember) bool { return x.Place == m.Place && x.Role == m.Role })
		w.decide(person.ID, jml.Cause{Text: "taken by operator Grete"})
	default:
		return false
	}
	return true
}

// roles tells what somebody holds, apart by where it is from.
func (w *world) roles(t *testing.T, p *model.Identity) {
	t.Helper()
	var e model.Entitlements
	if p.Entitlements != "" {
		if err := json.Unmarshal([]byte(p.Entitlements), &e); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range w.gave[p.ID] {
		if kind, _ := access.SplitPlace(m.Place); kind != access.KindException && access.Holds(m, w.now) {
			w.line("  requested: %s in %s (%s, approved by %s)", m.Role, m.Place, m.Reason, m.Approver)
		}
	}
	for _, b := range e.Given {
		w.line("  by right: %s in %s (%s since %s)", b.Role, b.Place, access.Birthright(p.ID, b).Reason, b.Since.Format(time.DateOnly))
	}
	for _, x := range e.Withheld {
		w.line("  withheld: %s in %s (%s)", x.Role, x.Place, x.Text)
	}
}
