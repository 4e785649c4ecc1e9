package jml

import (
	"fmt"
	"strings"

	"jmld/jml/policy"
	"jmld/model"
)

// NameKey is a user name in a target as names are compared: without case, in one Unicode form.
type NameKey struct{ Target, Name string }

// KeyOfName is the key of a name.
func KeyOfName(target, name string) NameKey { return NameKey{target, Fold(name)} }

const (
	mostNumbers  = 1000 // that are put behind a name
	askedAtFirst = 8    // candidates; each time all were taken, four times as many
)

// name gives an account whose rule makes names the one it has, or a new one that nobody has. False: there is none yet, because whose the
// candidates are was not asked (Decision.Asks), or because all are taken, which is a finding. Who has a name keeps it then: whatever else
// becomes of the account does not wait for another one.
//
//	the account                         rename   its name
//	is new                                       the first free candidate
//	has a name, in whatever state       no       the one it has
//	has one that the patterns make      yes      the one it has: a number behind it does not change when a lower one becomes free
//	has one that they do not make       yes      the first candidate that is free, or was the person's before
//	is gone, its name somebody else's            the first candidate that is free, or was the person's before
//
// A name once given stays its person's for ever: nobody else is taken for them.
func (r *Rules) name(d *Decision, w *situation, acct *model.Account, g *policy.Grant) bool {
	n := g.Naming
	if acct != nil && acct.UserName != "" && (!n.Rename || n.Makes(acct.UserName)) {
		key := KeyOfName(g.Target, acct.UserName)
		switch owner, asked := w.Names[key]; {
		case !gone(acct) || asked && (owner == "" || owner == w.ID):
			g.Attrs["userName"] = acct.UserName
			return true
		case !asked: // without the rule somebody else may have got it
			d.Asks = append(d.Asks, key)
			return false
		}
	}
	candidates := n.Candidates(mostNumbers)
	for i, name := range candidates {
		if _, reserved := r.Reserved(model.Account{Target: g.Target, UserName: name}); reserved {
			continue
		}
		key := KeyOfName(g.Target, name)
		owner, asked := w.Names[key]
		switch {
		case !asked:
			for _, more := range candidates[i:min(i+max(askedAtFirst, 4*i), len(candidates))] {
				d.Asks = append(d.Asks, KeyOfName(g.Target, more))
			}
			return false
		case owner == "":
			d.Names = append(d.Names, model.AccountName{Target: g.Target, Name: key.Name, IdentityID: w.ID, GivenAt: w.Now})
			g.Attrs["userName"] = name
			return true
		case owner == w.ID:
			g.Attrs["userName"] = name
			return true
		}
	}
	w.findings = append(w.findings, model.Finding{Code: model.CodeNameTaken, Target: g.Target, Rule: g.Rule,
		Text: fmt.Sprintf("every name that user_name makes is somebody else's: %s", strings.Join(n.Patterns, ", "))})
	if acct == nil || acct.UserName == "" || gone(acct) {
		return false
	}
	g.Attrs["userName"] = acct.UserName
	return true
}

// gone is an account that is not there and is not to be.
func gone(a *model.Account) bool {
	return a.State == model.AccountAbsent && a.AppliedState != model.AccountActive && a.AppliedState != model.AccountInactive
}
