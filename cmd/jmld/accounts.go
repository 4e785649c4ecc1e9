package main

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

	"jmld/model"
)

// accountJSON is an account in every JSON document.
type accountJSON struct {
	Identity  string             `json:"identity"`
	Target    string             `json:"target"`
	Class     model.Class        `json:"class"`
	Origin    model.Origin       `json:"origin,omitempty"`
	UserName  string             `json:"userName"`
	State     model.AccountState `json:"state"`   // desired
	Applied   model.AccountState `json:"applied"` // as read back
	Settled   bool               `json:"settled"`
	NativeID  string             `json:"nativeId,omitempty"`
	Desired   json.RawMessage    `json:"desired,omitempty"`
	ReadBack  json.RawMessage    `json:"readBack,omitempty"`
	Because   json.RawMessage    `json:"because,omitempty"`
	Admin     bool               `json:"administrator,omitempty"`
	Guarded   string             `json:"protectedBy,omitempty"`
	Held      string             `json:"heldBy,omitempty"`
	HeldAttrs json.RawMessage    `json:"heldAttributes,omitempty"`
	Attempts  int                `json:"attempts,omitempty"`
	Dead      bool               `json:"deadLetter,omitempty"`
	Code      model.Code         `json:"code,omitempty"`
	Error     string             `json:"error,omitempty"`
	Advice    string             `json:"advice,omitempty"`
	Next      string             `json:"nextTry,omitempty"`
	At        string             `json:"appliedAt,omitempty"`
}

type accountsJSON struct {
	Schema   string        `json:"schema"`
	Accounts []accountJSON `json:"accounts"`
}

func accountView(acc model.Account) accountJSON {
	v := accountJSON{
		Identity: acc.IdentityID, Target: acc.Target, Class: acc.Class, Origin: acc.Origin, UserName: acc.UserName,
		State: acc.State, Applied: acc.AppliedState, Settled: settled(acc), NativeID: acc.NativeID,
		Desired: object(acc.Desired), ReadBack: object(acc.Applied), Because: object(acc.Because), Held: acc.HeldPlan, HeldAttrs: object(acc.HeldAttrs),
		Admin: acc.Administrator, Guarded: acc.ProtectedBy,
		Attempts: acc.Attempts, Dead: acc.Dead, Code: acc.ErrorCode, Error: acc.ErrorText,
	}
	if acc.ErrorCode != "" {
		v.Advice = acc.ErrorCode.Advice()
	}
	if acc.DueAt != nil {
		v.Next = acc.DueAt.UTC().Format(timeJSON)
	}
	if acc.AppliedAt != nil {
		v.At = acc.AppliedAt.UTC().Format(timeJSON)
	}
	return v
}

func settled(acc model.Account) bool { return acc.AppliedRev == acc.DesiredRev && acc.ErrorCode == "" }

// progress says in words how far the target is with an account.
func progress(acc model.Account) string {
	switch {
	case acc.Dead:
		return "dead letter, " + string(acc.ErrorCode)
	case acc.ErrorCode == model.CodeTaskOpen, acc.ErrorCode == model.CodeTaskOverdue:
		return "a person's task, " + string(acc.ErrorCode)
	case acc.ErrorCode != "":
		return "retrying, " + string(acc.ErrorCode)
	case acc.AppliedRev != acc.DesiredRev:
		return "waiting"
	case acc.Waits():
		return "settled, a change is held"
	}
	return "settled"
}

func newAccounts(a *app) *cobra.Command {
	var q model.AccountQuery
	var class, state, code string
	cmd := &cobra.Command{
		Use:   "accounts [WHO]",
		Short: "Accounts: what should be, what is, and what is in the way",
		Example: `  jmld accounts ada@example.org
  jmld accounts --target app --state inactive
  jmld accounts --dead                       what needs somebody
  jmld accounts --privileged                 administrators, and what is protected
  jmld accounts --unsettled -o json`,
		Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if q.Limit < 1 || q.Limit > maxRows {
				return usage(errLimit(q.Limit))
			}
			q.Class, q.State, q.Code = model.Class(class), model.AccountState(state), model.Code(code)
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				if q.Target != "" && !s.hasTarget(q.Target) {
					return notFound("there is no target %q in %s", q.Target, s.file)
				}
				if len(args) == 1 {
					who, err := findPerson(ctx, s, args[0])
					if err != nil {
						return err
					}
					q.IdentityID = who.ID
				}
				return a.listAccounts(ctx, s, q)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Target, "target", "", "only in this `target`")
	must(cmd.RegisterFlagCompletionFunc("target", a.completeTarget()))
	f.StringVar(&class, "class", "", "only of this `class`: platform or app")
	f.StringVar(&state, "state", "", "only with this desired `state`: active, inactive or absent")
	f.StringVar(&code, "code", "", "only those that failed with this `code`")
	f.BoolVar(&q.Dead, "dead", false, "only the dead letter")
	f.BoolVar(&q.Privileged, "privileged", false, "only administrators and what is protected")
	f.BoolVar(&q.Unsettled, "unsettled", false, "only those that are not yet as they should be")
	f.IntVar(&q.Limit, "limit", 100, "at most this many rows")
	return cmd
}

func (a *app) listAccounts(ctx context.Context, s *site, q model.AccountQuery) error {
	accounts, err := s.store.Accounts(ctx, q)
	if err != nil {
		return err
	}
	if a.json() {
		doc := accountsJSON{Schema: "jmld.accounts/1", Accounts: []accountJSON{}}
		for _, acc := range accounts {
			doc.Accounts = append(doc.Accounts, accountView(acc))
		}
		return a.printJSON(doc)
	}
	if len(accounts) == 0 {
		a.printf("no such account\n")
		return nil
	}
	t := newTable(a.stdout)
	head := []string{"ACCOUNT", "TARGET", "CLASS", "SHOULD BE", "IS", "PROGRESS"}
	if q.Privileged {
		head = append(head, "PRIVILEGE")
	}
	t.row(head...)
	for _, acc := range accounts {
		row := []string{acc.UserName, acc.Target, string(acc.Class), string(acc.State), orElse(string(acc.AppliedState), "unknown"), progress(acc)}
		if q.Privileged {
			row = append(row, privilege(acc))
		}
		t.row(row...)
	}
	if err := t.flush(); err != nil {
		return err
	}
	a.printProblems(accounts)
	return nil
}

// privilege says in words what is special about the account.
func privilege(acc model.Account) string {
	var what []string
	if acc.Administrator {
		what = append(what, "administrator")
	}
	switch {
	case acc.ProtectedBy != "":
		what = append(what, "protected by "+acc.ProtectedBy)
	case acc.Origin == model.OriginProtected:
		what = append(what, "protected")
	}
	return strings.Join(what, ", ")
}

// printProblems says once for each cause what the target said and what to do.
func (a *app) printProblems(accounts []model.Account) {
	seen := map[model.Code]bool{}
	for _, acc := range accounts {
		if acc.ErrorCode == "" || seen[acc.ErrorCode] {
			continue
		}
		seen[acc.ErrorCode] = true
		a.printf("\n%s  %s, %s: %s\n  %s\n", acc.ErrorCode, acc.Target, acc.UserName, line(acc.ErrorText), acc.ErrorCode.Advice())
	}
}
