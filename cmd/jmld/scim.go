package main

import "github.com/spf13/cobra"

// newSCIM is what is about the protocol and not about people.
func newSCIM(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "scim",
		Short: "Look at SCIM endpoints: this daemon's and those of targets",
		Example: `  jmld scim test https://app.example.org/scim/v2 --token-file app.token
  jmld scim dialect entra                   how the client speaks, and what was read differently
  jmld scim test --list                     every check with its section of the RFC
  jmld scim capture entra --for 30m         what an identity provider sends, without the people
  jmld scim replay capture.jsonl            the same again, on a database of its own`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSCIMDialect(a), newSCIMTest(a), newSCIMCapture(a), newSCIMReplay(a))
	return cmd
}
