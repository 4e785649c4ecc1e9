package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// Evaluate says what should exist for the person. It takes no account of whether the person is active: that is the
// caller's. The same person gives the same outcome. A rule that cannot be evaluated makes a finding, never a "no":
//
//	rules of one target, in order   outcome
//	no, yes, …                      the grant of the second
//	no, error, yes                  a finding for the target, no grant: the first might have been meant
//	no, yes, error                  the grant of the second; the third was not asked
//	no, no                          nothing: there should be no account
//	category error                  a finding for all targets; expressions that use person.categories are errors, too
func (p *Policy) Evaluate(person Person) Outcome {
	s := p.subject(person)
	out := Outcome{Organisation: s.organisation, External: s.external}
	p.categorise(s, &out)
	for _, target := range p.targets {
		for i := range p.rules[target] {
			r := &p.rules[target][i]
			holds, err := evaluate(r.when, s)
			if err != nil {
				out.Findings = append(out.Findings, Finding{target, r.Name, err.Error()})
				break
			}
			if holds {
				p.grant(s, r, &out)
				break
			}
		}
	}
	return out
}

// Holds evaluates one of Config.Conditions.
func (p *Policy) Holds(condition int, person Person) (bool, error) {
	s := p.subject(person)
	s.unsure = errors.New("are not known here")
	return evaluate(p.conditions[condition], s)
}

// Birthrights are the role rules that hold for the person, in order; of the others, unsure are those that could not be evaluated.
func (p *Policy) Birthrights(person Person) (hold []RoleRule, unsure []Finding) {
	if len(p.roles) == 0 {
		return nil, nil
	}
	s := p.subject(person)
	s.unsure = errors.New("are not known here")
	for i := range p.roles {
		r := &p.roles[i]
		if r.Group != "" {
			if rule, holds := r.follows(person.Memberships); holds {
				hold = append(hold, rule)
			}
			continue
		}
		switch holds, err := evaluate(r.when, s); {
		case err != nil:
			unsure = append(unsure, Finding{Rule: r.Name, Text: err.Error()})
		case holds:
			hold = append(hold, r.RoleRule)
		}
	}
	return hold, unsure
}

// GivesRoles says whether there are role rules.
func (p *Policy) GivesRoles() bool { return len(p.roles) > 0 }

func (p *Policy) subject(person Person) *subject {
	s := &subject{fields: p.fields, person: person, manager: p.manager, cache: make([]cached, len(p.fields))}
	s.metered = !ordinary(person)
	s.organisation, s.external = p.Home(person.Attrs)
	return s
}

func (p *Policy) categorise(s *subject, out *Outcome) {
	for _, c := range p.categories {
		holds, err := evaluate(c.when, s)
		switch {
		case err != nil:
			out.Findings = append(out.Findings, Finding{"", c.name, err.Error()})
			if s.unsure == nil {
				s.unsure = fmt.Errorf("is unknown, because the rule of category %s could not be evaluated", c.name)
			}
		case holds:
			out.Categories = append(out.Categories, c.name)
			s.categories = append(s.categories, c.name)
		}
		s.forgetCategories()
	}
	slices.Sort(out.Categories)
}

// grant computes the attributes. When one of them cannot be, there is no grant: a half-filled account is worse than the
// one there is.
func (p *Policy) grant(s *subject, r *rule, out *Outcome) {
	attrs := map[string]any{}
	var bad []Finding
	var naming *Naming
	if r.Naming != nil {
		naming, bad = p.names(s, r)
	}
	if r.attrs == nil {
		for _, err := range defaults(p.defaults, s, attrs, naming != nil) {
			bad = append(bad, Finding{r.Target, r.Name, err.Error()})
		}
	}
	for _, m := range r.attrs {
		v, err := value(m.expr, s)
		if err != nil {
			bad = append(bad, Finding{r.Target, r.Name, "attribute " + m.name + ": " + err.Error()})
			continue
		}
		m.path.put(attrs, v)
	}
	if len(bad) == 0 && attrs["userName"] == nil && naming == nil {
		bad = append(bad, Finding{r.Target, r.Name, "attribute userName: is empty, and an account needs one"})
	}
	if len(bad) > 0 {
		out.Findings = append(out.Findings, bad...)
		return
	}
	out.Grants = append(out.Grants, Grant{Target: r.Target, Rule: r.Name, Attrs: attrs, Leaver: r.Leaver, Naming: naming})
}

func evaluate(prog program, s *subject) (bool, error) {
	v, err := run(prog, s)
	if err != nil {
		return false, err
	}
	b, ok := v.(types.Bool)
	if !ok {
		return false, fmt.Errorf("yields %s, not true or false", v.Type().TypeName())
	}
	return bool(b), nil
}

// value runs an expression for an attribute: a string, a bool or a []string.
func value(prog program, s *subject) (any, error) {
	v, err := run(prog, s)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case types.String:
		return string(v), nil
	case types.Bool:
		return bool(v), nil
	case traits.Lister:
		var list []string
		for it := v.Iterator(); it.HasNext() == types.True; {
			one, ok := it.Next().(types.String)
			if !ok {
				return nil, fmt.Errorf("yields a list with something that is not text")
			}
			list = append(list, string(one))
		}
		return list, nil
	default:
		return nil, fmt.Errorf("yields %s, not text", v.Type().TypeName())
	}
}

func run(prog program, s *subject) (ref.Val, error) {
	p := prog.plain
	if s.metered {
		p = prog.metered
	}
	v, _, err := p.Eval(s)
	if err != nil {
		return nil, fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "operation cancelled: "))
	}
	if types.IsUnknownOrError(v) {
		return nil, fmt.Errorf("cannot be evaluated: %v", v)
	}
	return v, nil
}

// RuleOf is the rule of that name for the target, while it is configured.
func (p *Policy) RuleOf(target, name string) (Rule, bool) {
	for i := range p.rules[target] {
		if p.rules[target][i].Name == name {
			return p.rules[target][i].Rule, true
		}
	}
	return Rule{}, false
}

// RuleNames are the rules of the target, in order.
func (p *Policy) RuleNames(target string) []string {
	var out []string
	for i := range p.rules[target] {
		out = append(out, p.rules[target][i].Name)
	}
	return out
}

// RoleRules are the rules that give roles, in order.
func (p *Policy) RoleRules() []RoleRule {
	var out []RoleRule
	for i := range p.roles {
		out = append(out, p.roles[i].RoleRule)
	}
	return out
}

// Leaver is what the rule does with an account of the target when it no longer holds. A rule that is no longer configured
// deactivates, which can be undone.
func (p *Policy) Leaver(target, rule string) Leaver {
	r, _ := p.RuleOf(target, rule)
	return r.Leaver
}

// Ahead lists how long before a start the rules look, each once.
func (p *Policy) Ahead() []time.Duration { return p.ahead }

// Home is the organisation of somebody with these attributes, "" when none is known, and whether it is another than our own. As
// Evaluate, it goes by the e-mail address.
func (p *Policy) Home(attrs map[string]any) (organisation string, external bool) {
	address, err := email(&subject{person: Person{Attrs: attrs}})
	if err != nil || address == nil {
		return "", true
	}
	if o := p.domains.find(address.(string)); o != nil {
		return o.Name, !o.Own
	}
	return "", true
}
