// Package policy evaluates the operator's rules about who has an account where. Rules are CEL expressions, compiled and
// type-checked when the configuration is loaded. It is pure: values in, values out.
package policy

import (
	"slices"
	"strings"
	"time"

	"jmld/jml/access"
	"jmld/model"
)

// Config is the policy as data, as the configuration file has it.
type Config struct {
	Extensions    []model.Extension // declared: person.NAME.attribute
	Organisations []Organisation
	Categories    []Category // evaluated in order; later ones see the earlier in person.categories
	Accounts      []Rule     // for each target the first rule that holds wins
	Known         Known
	Conditions    []string   // CEL, bool, for others than accounts: Policy.Holds by their number
	Roles         []RoleRule // all that hold give what they say
}

// RoleRule gives a role by right, as long as When holds, or to the members of a source's group.
type RoleRule struct {
	Name  string
	Role  string // id
	Place string
	When  string // CEL, bool; without access and person.categories, which follow from it
	// Source and Group are in the place of When: the members of the group, by display name, direct or through its groups.
	Source, Group string
	// Now is what the group is called by now, where that is something else.
	Now string
}

// Origin says where the role comes from, when it is a source's group; "": it is a condition.
func (r RoleRule) Origin() string {
	switch {
	case r.Group == "":
		return ""
	case r.Now != "":
		return "group " + r.Group + " of " + r.Source + ", which is called " + r.Now + " now"
	}
	return "group " + r.Group + " of " + r.Source
}

// follows is the rule when one of the groups is its own: the one of its name, or the one that had it last and was renamed.
func (r RoleRule) follows(list []model.Membership) (_ RoleRule, holds bool) {
	name := access.ID(r.Group) // as sources' names of groups are folded where they are stored
	for _, m := range list {
		switch {
		case m.Source != r.Source:
		case access.ID(m.DisplayName) == name:
			r.Now = ""
			return r, true
		case m.Former != "" && slices.Contains(strings.Split(m.Former, "\n"), name):
			r.Now, holds = m.DisplayName, true
		}
	}
	return r, holds
}

// Organisation is recognised by business e-mail domain (M-02). Own organisations make their people internal.
type Organisation struct {
	Name    string
	Own     bool
	Domains []string
}

// Category puts people into a category when When holds.
type Category struct {
	Name string
	When string // CEL, bool
}

// Rule grants an account in Target when When holds.
type Rule struct {
	Name       string
	Target     string
	When       string            // CEL, bool
	Attributes map[string]string // SCIM path ("userName", "name.givenName", "emails") -> CEL expression
	Leaver     Leaver            // what happens to the account when the rule no longer holds or the person leaves
	// BeforeStart is how long before somebody's start date the account is there; 0: from the start on.
	BeforeStart time.Duration
	// DeleteAfter is how long a deactivated account is kept before it is deleted; 0: for ever.
	DeleteAfter time.Duration
	// Naming makes user names that nobody else has in the target; nil: the attribute userName, or the sources, say it.
	Naming *Naming
	// Administrator: its accounts administer the target.
	Administrator bool
}

// Naming is how user names are made.
type Naming struct {
	Patterns []string // in a rule CEL, text; in a grant what they yield. The first name that is free counts
	Numbered bool     // when all are taken, a number is put behind the last one
	Rename   bool     // an account gets another name when the patterns do not make the one it has any more
	Longest  int      // characters; 0: 64
}

// Leaver is what a target does with the account of somebody who leaves. The zero value is the reversible one.
type Leaver string

// The ways.
const (
	LeaverDeactivate Leaver = ""
	LeaverDelete     Leaver = "delete"
)

// Person is what expressions see as `person`. Attrs are the fused SCIM attributes (nested maps and slices as from JSON).
type Person struct {
	ID     string
	Attrs  map[string]any
	Active bool
	// Lifecycle is where the person stands by evidence and dates; "" is active.
	Lifecycle model.Lifecycle
	Groups    []string // display names of effective groups
	Sources   []string // that have a record of the person
	// Memberships are what Groups are the names of, for rules about a source's group.
	Memberships []model.Membership
	// Access is what expressions see as `access`.
	Access *access.View
	// Manager is what they see as `manager`, by the names of its fields; nil: there is none, or it is nobody who is known.
	Manager map[string]any
}

// Outcome is what the policy says about one person.
type Outcome struct {
	Organisation string
	External     bool
	Categories   []string // sorted
	Grants       []Grant  // sorted by target
	Findings     []Finding
}

// Grant is an account that should exist.
type Grant struct {
	Target string
	Rule   string
	Attrs  map[string]any // SCIM-shaped
	Leaver Leaver
	Naming *Naming // the name is still to be given: Attrs has no userName
}

// Finding is a rule that could not be evaluated for this person. What its target has is kept.
type Finding struct {
	Target string // "" for a category rule: then every target keeps
	Rule   string
	Text   string
}

// Mistake is an error in the configuration of a policy.
type Mistake struct {
	Path []any // into Config as YAML: "accounts", 0, "when"
	Line int   // within the expression, 1-based; 0 when the whole value is meant
	Col  int
	Key  bool   // the key at the end of Path is wrong, not its value
	May  bool   // it is none when operators made what it names: a policy may have it
	Lint bool   // the policy can be worked with; what was written cannot be what was meant
	Text string // what is wrong and what is expected
}

// The Policy type, Compile(Config, targets []string) (*Policy, []Mistake) and (*Policy).Evaluate(Person) Outcome live in
// the files beside this one. Its uses of model are the class and category names.
var _ = model.CategoryApp
