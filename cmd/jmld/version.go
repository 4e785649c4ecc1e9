package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

type versionJSON struct {
	Schema  string `json:"schema"`
	Version string `json:"version"`
	Date    string `json:"date"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Which jmld this is",
		Args:  exactly(),
		RunE: func(*cobra.Command, []string) error {
			if a.json() {
				return a.printJSON(versionJSON{"jmld.version/1", version, date, runtime.Version(), runtime.GOOS, runtime.GOARCH})
			}
			_, err := fmt.Fprintf(a.stdout, "jmld %s (%s, %s %s/%s)\n", version, date, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
