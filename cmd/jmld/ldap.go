package main

import "github.com/spf13/cobra"

func newLDAP(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "ldap",
		Short:   "Look at a directory as jmld sees it",
		Example: "  jmld ldap probe corp\n  jmld ldap show corp ada",
		Args:    exactly(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newLDAPProbe(a), newLDAPShow(a))
	return cmd
}
