package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"jmld/jml/access"
	"jmld/jml/engine"
	"jmld/model"
)

type requestJSON struct {
	ID         string                 `json:"id"`
	Status     model.RequestStatus    `json:"status"`
	Person     string                 `json:"person"`
	Who        string                 `json:"who"`
	Place      string                 `json:"place"`
	Role       string                 `json:"role,omitempty"`
	Admin      bool                   `json:"admin,omitempty"`
	Privileged bool                   `json:"privileged,omitempty"`
	Reason     string                 `json:"reason"`
	From       string                 `json:"from,omitempty"`
	Until      string                 `json:"until"`
	Requester  string                 `json:"requester"`
	Actor      string                 `json:"actor"`
	Approvals  []model.AccessApproval `json:"approvals"`
	Expires    string                 `json:"expires"`
	DecidedBy  string                 `json:"decidedBy,omitempty"`
	Answer     string                 `json:"answer,omitempty"`
	DecidedAt  string                 `json:"decidedAt,omitempty"`
	Created    string                 `json:"created"`
}

func requestView(q model.AccessRequest) (requestJSON, error) {
	v := requestJSON{ID: q.ID, Status: q.Status, Person: q.IdentityID, Who: q.Who, Place: q.Place, Role: q.Role, Admin: q.Admin, Privileged: q.Privileged,
		Reason: q.Reason, Until: q.ValidTo.UTC().Format(timeJSON), Requester: q.Requester, Actor: q.Actor, Approvals: []model.AccessApproval{},
		Expires: q.ExpiresAt.UTC().Format(timeJSON), DecidedBy: q.DecidedBy, Answer: q.Answer, Created: q.CreatedAt.UTC().Format(timeJSON)}
	if q.ValidFrom != nil {
		v.From = q.ValidFrom.UTC().Format(timeJSON)
	}
	if q.DecidedAt != nil {
		v.DecidedAt = q.DecidedAt.UTC().Format(timeJSON)
	}
	if err := json.Unmarshal([]byte(q.Approvals), &v.Approvals); err != nil {
		return v, fmt.Errorf("approvals of request %s: %w", q.ID, err)
	}
	return v, nil
}

func (a *app) printRequest(q model.AccessRequest, dryRun bool) error {
	v, err := requestView(q)
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(struct {
			Schema string `json:"schema"`
			requestJSON
			DryRun bool `json:"dryRun,omitempty"`
		}{"jmld.access.request/1", v, dryRun})
	}
	a.printf("%s in %s for %s: %s\n", asked(v), line(v.Place), line(v.Who), v.Status)
	switch {
	case dryRun:
		a.printf("nothing was written\n")
	case v.Status == model.RequestOpen && len(v.Approvals) > 0:
		a.printf("%s of it by now; it is privileged and needs more, until %s\n", count(len(v.Approvals), "approval"), at(q.ExpiresAt))
	case v.Status == model.RequestOpen:
		a.printf("request %s waits until %s\n", v.ID, at(q.ExpiresAt))
	case v.Status == model.RequestApproved:
		a.printf("given until %s\n", at(q.ValidTo))
	}
	return nil
}

// asked is what a request is about, in words.
func asked(v requestJSON) string {
	return strings.Join(held(model.AccessMember{Place: v.Place, Admin: v.Admin}, v.Role), ", ")
}

func newAccessRequest(a *app) *cobra.Command {
	var role, requester string
	var admin bool
	var grant grantFlags
	var edit editFlags
	cmd := &cobra.Command{
		Use: "request PLACE WHO", Short: "Ask that somebody be given a role, for a time",
		Long: "It waits for an admin of the group, of one above, or the owner of the app; for what access.requests.privileged names, for more than one.\n" +
			"Everybody may ask for themselves, and who administers the place for anybody: --requester names them.",
		Example: `  jmld access request Builders bo@example.org --role Developer --reason "joins the CRM team" --until 2026-12-31
  jmld access request app:CRM cy@example.org --role Auditor --reason "audit 2026" --until 2026-12-31 --requester ada@example.org
  jmld access request Builders cy@example.org --admin --reason "holidays of Ada" --until 2026-09-01 -o json`,
		Args: exactly("PLACE", "WHO"),
		RunE: func(cmd *cobra.Command, args []string) error {
			row, err := grant.row("")
			switch {
			case err != nil:
				return err
			case row.ValidTo == nil:
				return usage(errors.New("--until is missing: what is asked for has an end"))
			case role == "" && !admin:
				return usage(errors.New("say which: --role or --admin"))
			}
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				p, err := findPerson(ctx, s, args[1])
				if err != nil {
					return err
				}
				by := p
				if requester != "" {
					if by, err = findPerson(ctx, s, requester); err != nil {
						return err
					}
				}
				q, err := s.engine.RequestAccess(ctx, engine.AccessAsk{Actor: a.operator(edit.by), Requester: by.ID, Person: p.ID, Place: place(args[0]),
					Role: access.ID(role), Admin: admin, Reason: row.Reason, From: row.ValidFrom, Until: *row.ValidTo, Areas: s.cfg.AccessAreas(), DryRun: edit.dryRun})
				if err != nil {
					return err
				}
				return a.printRequest(q, edit.dryRun)
			})
		},
	}
	cmd.Flags().StringVar(&role, "role", "", "`name` of the role")
	cmd.Flags().BoolVar(&admin, "admin", false, "to administer the group")
	cmd.Flags().StringVar(&grant.reason, "reason", "", "`why` the person needs it (required)")
	cmd.Flags().StringVar(&requester, "requester", "", "`WHO` asks (default: the person)")
	grant.addTimes(cmd)
	edit.add(cmd)
	return cmd
}

func newAccessDecide(a *app, deny bool) *cobra.Command {
	var by, approver, reason string
	verb, short, long := "approve", "Approve a request: with the last approval it needs, what it asks for is given",
		"The approver is an admin of the place, or of a group above, or one of access.requests.approvers, and neither asked nor gets it."
	if deny {
		verb, short, long = "deny", "Deny a request", "Who asked may deny it, too: it is taken back."
	}
	cmd := &cobra.Command{
		Use: verb + " ID", Short: short, Long: long,
		Example: fmt.Sprintf("  jmld access %s 01a20480-8ff5-7610-b33f-eccec31f9047 --approver ada@example.org --reason \"as agreed with Lena\"", verb),
		Args:    exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case strings.TrimSpace(reason) == "":
				return usage(errors.New("--reason is missing: nothing is decided without one"))
			case approver == "":
				return usage(errors.New("--approver is missing: who decides?"))
			}
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				p, err := findPerson(ctx, s, approver)
				if err != nil {
					return err
				}
				q, err := s.engine.DecideAccess(ctx, engine.AccessVerdict{Actor: a.operator(by), Approver: p.ID, Request: args[0], Reason: reason, Deny: deny,
					Areas: s.cfg.AccessAreas()})
				if err != nil {
					return missing(err, "request", args[0], "jmld access requests --status all")
				}
				return a.printRequest(q, false)
			})
		},
	}
	cmd.Flags().StringVar(&approver, "approver", "", "`WHO` decides (required)")
	cmd.Flags().StringVar(&reason, "reason", "", "`why` (required)")
	cmd.Flags().StringVar(&by, "by", "", "`name` of the person who gives the command (default: your account here)")
	return cmd
}

func newAccessRequests(a *app) *cobra.Command {
	q := model.RequestQuery{}
	status, who, where := string(model.RequestOpen), "", ""
	cmd := &cobra.Command{
		Use: "requests", Aliases: []string{"list"}, Short: "List requests, the newest first",
		Example: `  jmld access requests
  jmld access requests --status all --who bo@example.org
  jmld access requests -o json | jq '.requests[] | select(.privileged)'`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			known := []string{"all", string(model.RequestOpen), string(model.RequestApproved), string(model.RequestDenied), string(model.RequestExpired)}
			if !slices.Contains(known, status) {
				return usage(fmt.Errorf("--status %s: one of %s is expected", line(status), strings.Join(known, ", ")))
			}
			if q.Status = model.RequestStatus(status); status == "all" {
				q.Status = ""
			}
			if where != "" {
				q.Place = place(where)
			}
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				if who != "" {
					p, err := findPerson(ctx, s, who)
					if err != nil {
						return err
					}
					q.IdentityID = p.ID
				}
				found, err := s.store.AccessRequests(ctx, q)
				if err != nil {
					return err
				}
				views := make([]requestJSON, len(found))
				for i := range found {
					if views[i], err = requestView(found[i]); err != nil {
						return err
					}
				}
				return a.printRequests(views)
			})
		},
	}
	cmd.Flags().StringVar(&status, "status", status, "open, approved, denied, expired or all")
	cmd.Flags().StringVar(&who, "who", "", "only for this `person`")
	cmd.Flags().StringVar(&where, "place", "", "only at this `PLACE`")
	cmd.Flags().IntVar(&q.Limit, "limit", 100, "at most so `many`")
	return cmd
}

func (a *app) printRequests(list []requestJSON) error {
	if a.json() {
		return a.printJSON(struct {
			Schema   string        `json:"schema"`
			Requests []requestJSON `json:"requests"`
		}{"jmld.access.requests/1", list})
	}
	if len(list) == 0 {
		a.printf("none\n")
		return nil
	}
	t := newTable(a.stdout)
	t.row("ID", "STATUS", "WHO", "WHAT", "PLACE", "UNTIL", "WAITS UNTIL", "REASON")
	for _, v := range list {
		status := string(v.Status)
		if n := len(v.Approvals); v.Status == model.RequestOpen && n > 0 {
			status += fmt.Sprintf(", %s", count(n, "approval"))
		}
		what, waits := asked(v), ""
		if v.Privileged {
			what += " (privileged)"
		}
		if v.Status == model.RequestOpen {
			waits = v.Expires
		}
		t.row(v.ID, status, v.Who, what, v.Place, v.Until, waits, v.Reason)
	}
	return t.flush()
}
