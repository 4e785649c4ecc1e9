package trial

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"jmld/jml"
	"jmld/jml/policy"
	"jmld/model"
)

// Expect is what a case says about the end. What is not said is not looked at, but findings: one that nobody expects is a difference.
type Expect struct {
	Lifecycle    string
	Organisation *string
	External     *bool
	Categories   []string            // nil: not looked at
	Attributes   []Value             // of the person, all sources together
	Roles        []string            // names of all roles held somewhere, sorted; nil: not looked at
	RolesOn      map[string][]string // the same by place, inherited ones among them
	NoAccounts   bool                // in no target
	Accounts     map[string]Account
	Findings     []string // each is in one finding; case does not count
}

// Account is what is expected in one target.
type Account struct {
	State         string // one of States
	Name          string // user name; "": not looked at
	Rule          string // that decided; the same
	Administrator *bool
	Attributes    []Value
}

// Value is what is expected of one attribute: text, true or false, a list of text in any order, or nil for nothing.
type Value struct {
	Name string
	Path policy.Attribute
	Want any
}

// States are the words for what may have become of an account.
func States() []string { return []string{"active", "inactive", "deleted", "none"} }

// Difference is something that is not as it was expected.
type Difference struct {
	What     string `json:"what"`
	Expected string `json:"expected"`
	Got      string `json:"got"`
	Because  string `json:"because,omitempty"` // the rule that decided
}

// Check compares what became of a case with what was expected.
func (c Case) Check(r *jml.Rules, p Played) []Difference {
	k := &checker{rules: r, played: p}
	e := c.Expect
	if e.Lifecycle != "" {
		k.text("lifecycle", e.Lifecycle, string(p.Identity.Lifecycle), "")
	}
	if e.Organisation != nil {
		k.text("organisation", orNone(*e.Organisation), orNone(p.Identity.Organisation), "")
	}
	if e.External != nil {
		k.text("external", fmt.Sprint(*e.External), fmt.Sprint(p.Identity.External), "")
	}
	if e.Categories != nil {
		want, got := slices.Sorted(slices.Values(e.Categories)), strings.ReplaceAll(p.Identity.Categories, ",", ", ")
		k.text("categories", orNone(strings.Join(want, ", ")), orNone(got), "")
	}
	k.values("person", e.Attributes, jml.Decode(p.Identity.Attrs), func(name string) string { return k.won(name) })
	if e.Roles != nil {
		k.roles("roles", "", e.Roles, p.Access.Roles())
	}
	for _, place := range slices.Sorted(maps.Keys(e.RolesOn)) {
		k.roles("roles on "+place, place, e.RolesOn[place], p.Access.RolesOn(place))
	}
	if e.NoAccounts {
		for _, target := range slices.Sorted(maps.Keys(p.Accounts)) {
			k.account(target, Account{State: "none"})
		}
	}
	for _, target := range slices.Sorted(maps.Keys(e.Accounts)) {
		k.account(target, e.Accounts[target])
	}
	k.findings(e.Findings)
	return k.found
}

type checker struct {
	rules  *jml.Rules
	played Played
	found  []Difference
}

func (k *checker) text(what, want, got, because string) {
	if want != got {
		k.found = append(k.found, Difference{what, want, got, because})
	}
}

func (k *checker) account(target string, want Account) {
	a, known := k.played.Accounts[target]
	state := "none"
	switch {
	case known && a.State == model.AccountAbsent:
		state = "deleted"
	case known:
		state = string(a.State)
	}
	because := k.why(target)
	if want.State != state && !(want.State == "none" && state == "deleted") {
		got := state
		if known {
			got += fmt.Sprintf(", %q", a.UserName)
		}
		k.found = append(k.found, Difference{target, want.State, got, because})
		return
	}
	if want.Name != "" {
		k.text(target+" name", fmt.Sprintf("%q", want.Name), fmt.Sprintf("%q", a.UserName), because)
	}
	if want.Rule != "" {
		k.text(target+" rule", want.Rule, orNone(ruleOf(a)), because)
	}
	if want.Administrator != nil {
		k.text(target+" administrator", fmt.Sprint(*want.Administrator), fmt.Sprint(a.Administrator), because)
	}
	k.values(target, want.Attributes, jml.Decode(a.Desired), func(string) string { return because })
}

func (k *checker) values(of string, want []Value, attrs map[string]any, because func(name string) string) {
	for _, v := range want {
		got := v.Path.Get(attrs)
		if expected := shown(v.Want); expected != shown(got) {
			k.found = append(k.found, Difference{of + " " + v.Name, expected, shown(got), because(v.Path.String())})
		}
	}
}

// shown is a value so that equal ones are the same text: a list has its values sorted, whatever else is in its elements.
func shown(v any) string {
	var list []any
	switch v := v.(type) {
	case nil:
		return "nothing"
	case []any:
		list = v
	case map[string]any:
		if one := valueOf(v); one != nil {
			return shown(one)
		}
	}
	if list == nil {
		return jml.Canonical(v)
	}
	texts := make([]string, 0, len(list))
	for _, e := range list {
		if m, ok := e.(map[string]any); ok {
			if one := valueOf(m); one != nil {
				e = one
			}
		}
		texts = append(texts, jml.Canonical(e))
	}
	slices.Sort(texts)
	switch texts = slices.Compact(texts); len(texts) {
	case 0:
		return "nothing"
	case 1:
		return texts[0] // one value is written as a list or not
	}
	return strings.Join(texts, ", ")
}

func valueOf(m map[string]any) any {
	if v := m["value"]; v != nil {
		return v
	}
	return m["display"]
}

func (k *checker) findings(want []string) {
	used := make([]bool, len(want))
	for _, f := range k.played.Findings {
		text := string(f.Code) + ": " + f.Text
		if f.Rule != "" {
			text = "rule " + f.Rule + ": " + text
		}
		if f.Target != "" {
			text = f.Target + ": " + text
		}
		expected := false
		for i, w := range want {
			if strings.Contains(strings.ToLower(text), strings.ToLower(w)) {
				used[i], expected = true, true
			}
		}
		if !expected {
			k.found = append(k.found, Difference{"finding", "none", text, f.Rule})
		}
	}
	for i, w := range want {
		if !used[i] {
			k.found = append(k.found, Difference{"finding", w, "none", ""})
		}
	}
}

// why is what decided about the account: its rule, or what kept it from being there.
func (k *checker) why(target string) string {
	if a, ok := k.played.Accounts[target]; ok {
		return reason(a)
	}
	for _, f := range k.played.Findings {
		if f.Target == target || f.Target == "" {
			return fmt.Sprintf("%s: %s", cmp.Or(f.Rule, string(f.Code)), f.Text)
		}
	}
	if k.played.Identity.Lifecycle != model.Active {
		return fmt.Sprintf("the person is %s", k.played.Identity.Lifecycle)
	}
	if rules := k.rules.Policy.RuleNames(target); len(rules) > 0 {
		return "none of its rules holds: " + strings.Join(rules, ", ")
	}
	return "it has no rule"
}

// won is whose word counts for an attribute of the person.
func (k *checker) won(name string) string {
	var from map[string]model.Provenance
	if json.Unmarshal([]byte(k.played.Identity.Provenance), &from) != nil {
		return ""
	}
	for _, n := range []string{name, strings.SplitN(name, ".", 2)[0], "*"} {
		if p, ok := from[n]; ok {
			return p.Winner + " says so: " + p.Rule
		}
	}
	return "no source says anything"
}

func ruleOf(a model.Account) string {
	var why model.Reason
	if json.Unmarshal([]byte(a.Because), &why) != nil {
		return ""
	}
	return why.Rule
}

func orNone(s string) string { return cmp.Or(s, "none") }
