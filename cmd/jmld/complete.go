package main

import (
	"github.com/spf13/cobra"

	"jmld/internal/config"
)

// completeSource offers the sources of the configuration as the first argument: those that are read, or those that are
// pushed. Without a configuration there is nothing to offer.
func (a *app) completeSource(read bool) cobra.CompletionFunc {
	return a.completeConfigured(func(cfg *config.Config) []string {
		var names []string
		for i := range cfg.Sources {
			if (cfg.Sources[i].LDAP != nil) == read {
				names = append(names, cfg.Sources[i].Name)
			}
		}
		return names
	})
}

// completeTarget offers the targets of the configuration.
func (a *app) completeTarget() cobra.CompletionFunc {
	return a.completeConfigured(func(cfg *config.Config) []string {
		var names []string
		for i := range cfg.Targets {
			names = append(names, cfg.Targets[i].Name)
		}
		return names
	})
}

func (a *app) completeConfigured(names func(*config.Config) []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		cfg, err := a.read(config.Inspect)
		if err != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return names(cfg), cobra.ShellCompDirectiveNoFileComp
	}
}
