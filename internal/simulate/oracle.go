package simulate

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"jmld/model"
)

// Disagreement is an account that is not what the truth asks for.
type Disagreement struct {
	Person string `json:"person"` // userName
	Target string `json:"target"`
	Is     string `json:"is"`
	Should string `json:"should"`
}

// Names of the targets of the company.
const (
	App      = "app"
	Platform = "platform"
)

// seen is an account as a target has it.
type seen struct {
	active bool
	attrs  string // JSON
}

// look reads what the targets have, by target and userName.
func (r *run) look(ctx context.Context) (map[string]map[string]seen, error) {
	all := map[string]map[string]seen{}
	for _, t := range r.o.Targets {
		list := map[string]seen{}
		for a, err := range t.Target.Accounts(ctx) {
			if err != nil {
				return nil, fmt.Errorf("accounts of target %s: %w", t.Target.Name(), err)
			}
			if _, twice := list[a.UserName]; twice {
				return nil, fmt.Errorf("target %s has %s twice", t.Target.Name(), a.UserName)
			}
			list[a.UserName] = seen{active: a.AppliedState == model.AccountActive, attrs: a.Applied}
		}
		all[t.Target.Name()] = list
	}
	return all, nil
}

// may says whether the truth gives the person an account in the target.
func may(p *person, target string) bool {
	if !p.employed || p.onLeave {
		return false
	}
	return target == App || p.builder
}

// judge compares every account with the truth.
func (r *run) judge(all map[string]map[string]seen) ([]Disagreement, error) {
	var out []Disagreement
	for _, target := range []string{App, Platform} {
		known := map[string]bool{}
		for _, p := range r.company.people {
			known[p.userName()] = true
			acct, exists := all[target][p.userName()]
			d := Disagreement{Person: p.userName(), Target: target, Is: "no access", Should: "no access"}
			if may(p, target) {
				d.Should = "active: " + description(p)
			}
			if exists && acct.active {
				var attrs map[string]any
				if err := unmarshal(acct.attrs, &attrs); err != nil {
					return nil, fmt.Errorf("account %s of target %s: %w", p.userName(), target, err)
				}
				d.Is = "active: " + described(attrs)
			}
			if d.Is != d.Should {
				out = append(out, d)
			}
		}
		for name := range all[target] {
			if !known[name] {
				out = append(out, Disagreement{Person: name, Target: target, Is: "an account", Should: "nobody of this name"})
			}
		}
	}
	slices.SortFunc(out, func(a, b Disagreement) int { return strings.Compare(a.Target+a.Person, b.Target+b.Person) })
	return out, nil
}

// mistakes are people who should have had access for days and have none, and people who have it long after they left while nothing waits
// for approval.
func (r *run) mistakes(all map[string]map[string]seen, day int) []Disagreement {
	const told = 4 // days until both sources have told, and the operator has looked
	var out []Disagreement
	for _, p := range r.company.people {
		if day-p.since < told {
			continue
		}
		for _, target := range []string{App, Platform} {
			switch acct := all[target][p.userName()]; {
			case may(p, target) && !acct.active:
				out = append(out, Disagreement{p.userName(), target, "no access", "active"})
			case !may(p, target) && acct.active && day-p.since > 2*told:
				out = append(out, Disagreement{p.userName(), target, "active", "no access"})
			}
		}
	}
	return out
}

// description is what an account should say of a person; described is what one says.
func description(p *person) string {
	return strings.Join([]string{p.name(), p.title, p.department, p.mail()}, ", ")
}

func described(attrs map[string]any) string {
	work, _ := attrs[enterprise].(map[string]any)
	return strings.Join([]string{text(attrs["displayName"]), text(attrs["title"]), text(work["department"]), mail(attrs)}, ", ")
}

// unmarshal reads JSON; no text is nothing.
func unmarshal(text string, v any) error {
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), v)
}

func text(v any) string { s, _ := v.(string); return s }

func mail(attrs map[string]any) string {
	list, _ := attrs["emails"].([]any)
	if len(list) != 1 {
		return ""
	}
	m, _ := list[0].(map[string]any)
	return text(m["value"])
}

func canonical(v any) string {
	b, err := json.Marshal(v) // maps are marshalled with sorted keys
	if err != nil {
		panic(err) // texts and lists of them always marshal
	}
	return string(b)
}
