package jml

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"jmld/jml/policy"
	"jmld/model"
)

// Protection lists what nothing takes away: no source, no rule, no approval. What an entry has matched stays protected until the
// entry is taken out of the configuration, whatever the sources call the person since.
type Protection struct {
	People   []ProtectedPeople
	Accounts []ProtectedAccounts
}

// ProtectedPeople are people who keep every account they have.
type ProtectedPeople struct {
	Name    string
	Key     string // KeyUserName, KeyEmail or KeyEmployeeNumber
	Pattern string // of its value: * is any text; case and Unicode form do not count
}

// Kinds of accounts that are protected.
const (
	KindBreakGlass  = "break-glass" // for an emergency: kept
	KindCredentials = "credentials" // whose token we use: kept
	KindLocal       = "local"       // the target's own administrator: never touched, and nobody gets its name
	KindAnonymous   = "anonymous"   // the same
	KindDemo        = "demo"        // the same
)

// AccountKinds are the kinds there are.
func AccountKinds() []string {
	return []string{KindBreakGlass, KindCredentials, KindLocal, KindAnonymous, KindDemo}
}

// ProtectedAccounts are accounts by their name in the target.
type ProtectedAccounts struct {
	Name    string
	Target  string // "": any
	Pattern string // of the user name
	Kind    string
}

// reserved says whether the accounts are the target's own affair.
func (a ProtectedAccounts) reserved() bool {
	return a.Kind == KindLocal || a.Kind == KindAnonymous || a.Kind == KindDemo
}

// has says whether the entry is configured.
func (p Protection) has(name string) bool {
	return slices.ContainsFunc(p.People, func(e ProtectedPeople) bool { return e.Name == name }) ||
		slices.ContainsFunc(p.Accounts, func(e ProtectedAccounts) bool { return e.Name == name })
}

// Reserved is the entry that makes the account the target's own affair, by the name that it should have or has.
func (r *Rules) Reserved(a model.Account) (entry ProtectedAccounts, ok bool) {
	i := slices.IndexFunc(r.Protect.Accounts, func(e ProtectedAccounts) bool { return e.reserved() && e.about(a) })
	if i < 0 {
		return ProtectedAccounts{}, false
	}
	return r.Protect.Accounts[i], true
}

func (e ProtectedAccounts) about(a model.Account) bool {
	return (e.Target == "" || e.Target == a.Target) && (matches(e.Pattern, a.UserName) ||
		a.Applied != "" && matches(e.Pattern, text(Decode(a.Applied)["userName"])))
}

// ProtectedBy is the entry that protects the account of the person, or "". It is asked before a decision takes something away, and
// again before a target is told to.
func (r *Rules) ProtectedBy(id model.Identity, a model.Account) string {
	if a.ProtectedBy != "" && r.Protect.has(a.ProtectedBy) {
		return a.ProtectedBy
	}
	if len(r.Protect.People) > 0 {
		attrs := Decode(id.Attrs)
		for _, e := range r.Protect.People {
			if slices.ContainsFunc(valuesOf(e.Key, attrs), func(v string) bool { return matches(e.Pattern, v) }) {
				return e.Name
			}
		}
	}
	if i := slices.IndexFunc(r.Protect.Accounts, func(e ProtectedAccounts) bool { return e.about(a) }); i >= 0 {
		return r.Protect.Accounts[i].Name
	}
	return ""
}

// Forbids says why a target must not be told to bring the account to its state, or "". others is whether another administrator of
// the target stays.
func (r *Rules) Forbids(id model.Identity, a model.Account, others bool) *model.Error {
	gone := a.State == model.AccountInactive || a.State == model.AccountAbsent
	entry, reserved := r.Reserved(a)
	by := ""
	if gone {
		by = r.ProtectedBy(id, a)
	}
	switch {
	case reserved:
		return model.Errorf(model.CodeReserved, "%q is the name of an account of the target's own (%s, entry %s)", a.UserName, entry.Kind, entry.Name)
	case gone && a.Origin == model.OriginProtected:
		return model.Errorf(model.CodeProtected, "the account is protected, and would become %s", a.State)
	case by != "":
		return model.Errorf(model.CodeProtected, "the account would become %s, and is protected by the entry %s", a.State, by)
	case a.State == model.AccountActive && a.AppliedAdministrator && !a.Administrator && !others:
		return model.Errorf(model.CodeLastAdministrator, "the account would administer %s no more, and no other one does", a.Target)
	case gone && a.Administrator && !others:
		return model.Errorf(model.CodeLastAdministrator, "the account would become %s, and no other administrator of %s would be left", a.State, a.Target)
	}
	return nil
}

// valuesOf are the values of a key that a person is recognised by.
func valuesOf(key string, attrs map[string]any) []string {
	switch key {
	case KeyEmail:
		return addresses(attrs)
	case KeyEmployeeNumber:
		ext, _ := attrs[EnterpriseUser].(map[string]any)
		return []string{text(ext["employeeNumber"])}
	}
	return []string{text(attrs[KeyUserName])}
}

// matches says whether the text is like the pattern, in which * stands for any text. No text is like no pattern.
func matches(pattern, s string) bool {
	pattern, s = Fold(pattern), Fold(s)
	if s == "" {
		return false
	}
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == s
	}
	if !strings.HasPrefix(s, first) {
		return false
	}
	s = s[len(first):]
	parts := strings.Split(rest, "*")
	last := parts[len(parts)-1]
	for _, part := range parts[:len(parts)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return strings.HasSuffix(s, last)
}

// permit lets a step through, or says in a finding what would have happened and why not. acct is nil where there is none yet.
func (r *Rules) permit(w *situation, acct *model.Account, g *policy.Grant, step *Step) *Step {
	if step == nil {
		return nil
	}
	next := &step.Account
	entry, reserved := r.Reserved(*next)
	before := *next
	if acct != nil {
		before = *acct
		if e, also := r.Reserved(before); also {
			entry, reserved = e, true
		}
	}
	next.ProtectedBy = r.ProtectedBy(w.now, before)
	administers := r.administers(g)
	if !step.Change.Op.Leaves() {
		next.Administrator = administers
	}
	refuse := func(code model.Code, format string, args ...any) *Step {
		w.findings = append(w.findings, model.Finding{Code: code, Target: next.Target, Rule: ruleName(g),
			Text: would(w, step, g) + "; " + fmt.Sprintf(format, args...)})
		return nil
	}
	demoted := step.Change.Op.Leaves() || !administers
	switch {
	case before.Origin == model.OriginProtected:
		return refuse(model.CodeProtected, "the account is protected")
	case reserved:
		return refuse(model.CodeReserved, "the name is of an account of the target's own (%s, entry %s)", entry.Kind, entry.Name)
	case step.Change.Op.Leaves() && next.ProtectedBy != "":
		return refuse(model.CodeProtected, "protected by the entry %s", next.ProtectedBy)
	case acct != nil && before.Administrator && before.State == model.AccountActive && demoted && w.Administrators[next.Target] == 0:
		w.soon(w.Now, w.Now.Add(administratorRecheck))
		return refuse(model.CodeLastAdministrator, "no other administrator would be left")
	}
	return step
}

// marked is the account with its privileges as they are known now, when they are others than noted.
func (r *Rules) marked(w *situation, acct *model.Account, g *policy.Grant) (model.Account, bool) {
	now := *acct
	now.ProtectedBy = r.ProtectedBy(w.now, now)
	if g != nil && w.verdict == give && now.State == model.AccountActive {
		if is := r.administers(g); is || !now.Administrator || w.Administrators[now.Target] > 0 {
			now.Administrator = is
		} else {
			w.soon(w.Now, w.Now.Add(administratorRecheck))
		}
	}
	return now, now.ProtectedBy != acct.ProtectedBy || now.Administrator != acct.Administrator
}

func (r *Rules) administers(g *policy.Grant) bool {
	if g == nil {
		return false
	}
	rule, _ := r.Policy.RuleOf(g.Target, g.Rule)
	return rule.Administrator
}

func ruleName(g *policy.Grant) string {
	if g == nil {
		return ""
	}
	return g.Rule
}

// would says what the step would do, in words that stay the same while the situation does.
func would(w *situation, step *Step, g *policy.Grant) string {
	what := map[model.Op]string{model.OpCreate: "made", model.OpUpdate: "changed", model.OpReactivate: "reactivated",
		model.OpDeactivate: "deactivated", model.OpDelete: "deleted"}[step.Change.Op]
	why := ""
	switch {
	case !step.Change.Op.Leaves():
		why = fmt.Sprintf(", because rule %s holds", ruleName(g))
	case w.verdict == take:
		why = ", because " + w.text
	default:
		why = ", because no rule holds"
	}
	return fmt.Sprintf("would be %s%s", cmp.Or(what, string(step.Change.Op)), why)
}
