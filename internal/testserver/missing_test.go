package testserver

import (
	"os"
	"strings"
	"testing"
)

// A machine that builds this for the first time has none of the servers: the script installs what the tests ask for.
func TestTheBuildInstallsEveryServer(t *testing.T) {
	script, err := os.ReadFile("../../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join([]string{"slapd ldap-utils postgresql curl chromium", sambaPackages, ds389Packages, kdcPackages}, " ")
	for pkg := range strings.FieldsSeq(all) {
		if !strings.Contains(string(script), "\nneed "+pkg+" ") {
			t.Errorf(".ci/run does not install %s", pkg)
		}
	}
}
