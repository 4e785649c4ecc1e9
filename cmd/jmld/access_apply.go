package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"jmld/internal/config"
	"jmld/jml/access"
	"jmld/jml/engine"
	"jmld/model"
)

func newAccessApply(a *app) *cobra.Command {
	var dryRun, approve bool
	cmd := &cobra.Command{
		Use: "apply", Short: "Bring the groups and roles of the configuration to the database, as the daemon does when it starts",
		Example: `  jmld access apply --dry-run
  jmld access apply --approve                            also when many people lose something by it
  jmld access apply -o json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				edit := declaredAccess(s.cfg, a.operator(""), dryRun)
				edit.Brake = !approve
				done, err := s.engine.EditAccess(ctx, edit)
				if err != nil {
					return err
				}
				return a.printEdited(ctx, s, done, dryRun)
			})
		},
	}
	cmd.Flags().BoolVar(&approve, "approve", false, "also when more people lose something by it than the guard lets go")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "check everything and write nothing")
	return cmd
}

// adopt makes the configuration the one in force: its rules, and its part of the tree of groups. Where the guard holds the tree neither is
// adopted, and the engine decides nothing until they are.
func (s *site) adopt(ctx context.Context, log *zap.Logger) (held bool, err error) {
	o, access := s.options, declaredAccess(s.cfg, "configuration", false)
	err = s.engine.Adopt(ctx, engine.Policy{Rules: o.Rules, Fingerprint: o.Fingerprint, Guard: o.Guard, Requests: o.Requests, Targets: o.Targets}, &access)
	if model.CodeOf(err) == model.CodeAccessHeld {
		log.Error("the configuration is not adopted, its groups and roles wait for approval: `jmld config reload --approve`; until then what clients send is stored, and nothing is decided by it",
			zap.String(model.FieldCode, string(model.CodeAccessHeld)), zap.Error(err))
		return true, nil
	}
	return false, err
}

// declaredAccess replaces what the configuration managed by what it declares. A row of an operator in its place is a difference, too,
// and is refused as such.
func declaredAccess(cfg *config.Config, actor string, dryRun bool) engine.AccessEdit {
	want := cfg.AccessState()
	return engine.AccessEdit{Actor: actor, Manager: model.ManagedByConfig, Areas: cfg.AccessAreas(), DryRun: dryRun, Brake: true,
		Edit: func(s *access.State, _ *access.Tree) error {
			s.Roles = slices.DeleteFunc(s.Roles, func(r model.AccessRole) bool { return r.ManagedBy == model.ManagedByConfig })
			s.Groups = slices.DeleteFunc(s.Groups, func(g model.AccessGroup) bool { return g.ManagedBy == model.ManagedByConfig })
			s.Resources = slices.DeleteFunc(s.Resources, func(r model.AccessResource) bool { return r.ManagedBy == model.ManagedByConfig })
			s.Links = slices.DeleteFunc(s.Links, func(l model.AccessLink) bool { return l.ManagedBy == model.ManagedByConfig })
			ended := map[string]*time.Time{} // that somebody left is not the file's to know
			for _, m := range s.Members {
				ended[access.MemberKey(m)] = m.EndedAt
			}
			s.Members = slices.DeleteFunc(s.Members, func(m model.AccessMember) bool { return m.ManagedBy == model.ManagedByConfig })
			for _, r := range want.Roles {
				s.PutRole(r)
			}
			for _, g := range want.Groups {
				s.PutGroup(g)
			}
			for _, r := range want.Resources {
				s.PutResource(r)
			}
			s.Links = append(s.Links, want.Links...)
			for _, m := range want.Members {
				m.EndedAt = ended[access.MemberKey(m)]
				s.Members = append(s.Members, m)
			}
			return nil
		}}
}
