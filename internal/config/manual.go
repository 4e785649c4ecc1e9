package config

import (
	"slices"
	"strings"

	"jmld/model"
)

// Manual makes each step a task for a person; beside an API, those in Steps.
type Manual struct {
	Steps        []string `yaml:"steps" json:",omitempty"`
	Assignee     string   `yaml:"assignee,required"` // a natural person
	Instructions string   `yaml:"instructions"`
	Due          Duration `yaml:"due" default:"72h"` // from a task's beginning
}

// Ops are the steps that a person takes beside an API.
func (m *Manual) Ops() []model.Op {
	var out []model.Op
	if m != nil {
		for _, s := range m.Steps {
			out = append(out, stepOf(s))
		}
	}
	return out
}

// stepNames are what Manual.Steps may say.
func stepNames() []string { return []string{"create", "update", "deactivate", "reactivate", "delete"} }

func stepOf(name string) model.Op {
	switch name {
	case "create":
		return model.OpCreate
	case "update":
		return model.OpUpdate
	case "deactivate":
		return model.OpDeactivate
	case "reactivate":
		return model.OpReactivate
	case "delete":
		return model.OpDelete
	}
	return "" // no name of a step: checkManual says so
}

// checkManual: beside an API it has to be said which steps are a person's, and without one all are.
func (d *decoder) checkManual(t *Target, at route) {
	d.checkNatural(t.Manual.Assignee, at.with("assignee"))
	steps := at.with("steps")
	switch {
	case t.SCIM == nil && d.has(steps):
		d.mistake(d.keyPlace(steps), "without scim: each step is a person's; expected no steps")
	case t.SCIM != nil && len(t.Manual.Steps) == 0:
		d.mistake(d.keyPlace(at), "manual beside scim says not which steps are a person's; expected steps: with some of %s", strings.Join(stepNames(), ", "))
	}
	for i, s := range t.Manual.Steps {
		switch {
		case s == "": // decoding said so
		case stepOf(s) == "":
			d.wrong(steps.with(i), "unknown step %q%s", s, meant(s, stepNames()))
		case slices.Index(t.Manual.Steps, s) < i:
			d.wrong(steps.with(i), "step %s is there twice; expected it once", s)
		}
	}
}
