package scim_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"jmld/scim"
)

var update = flag.Bool("update", false, "write the golden files") //nolint:gochecknoglobals // a flag

// D-15: each request of the case files with its dialect, as the log names it.
func TestDialectOfEachCase(t *testing.T) {
	t.Parallel()
	const golden = "testdata/dialects.golden"
	files, err := filepath.Glob("testdata/cases/*.case")
	if err != nil || len(files) < 5 {
		t.Fatalf("case files: %v %v", files, err)
	}
	var got strings.Builder
	for _, file := range files {
		if filepath.Base(file) == "hostile.case" { // some of it does not come as far as a line in the log
			continue
		}
		core, logs := observer.New(zapcore.InfoLevel)
		run := &replay{client: newClient(t, sqlite(), func(o *scim.Options) { o.Log = zap.New(core) }), kept: map[string]string{"nonce": "n7q2x"}}
		for _, s := range readCases(t, file) {
			if err := run.step(s); err != nil {
				t.Errorf("%s: %v", s.name, err)
			}
			requests := 1
			if s.then != "" {
				requests = 2
			}
			for end := time.Now().Add(patience); logs.Len() < requests && time.Now().Before(end); { // the line comes after the answer
				time.Sleep(time.Millisecond)
			}
			dialect := logs.TakeAll()[0].ContextMap()["dialect"]
			fmt.Fprintf(&got, "%-24s %s: %s\n", dialect, strings.TrimSuffix(filepath.Base(file), ".case"), s.name)
		}
	}
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Error(diff)
	}
}

// D-15: what gives a dialect away, and that nothing else does.
func TestDialectIsRecognisedByAgentOrShape(t *testing.T) {
	t.Parallel()
	const op = `{"Operations":[{"op":"replace",%s}]}`
	for name, test := range map[string]struct {
		agent, method, query, body string
		differently                bool
		want                       string
	}{
		"Okta by its agent":                      {agent: "Okta SCIM Client 1.0.0", want: "Okta"},
		"Okta integration by its agent":          {agent: "OKTA SCIM Integration", differently: true, want: "Okta"},
		"Ping by its agent":                      {agent: "PingFederate/12", want: "Ping"},
		"JumpCloud by its agent":                 {agent: "JumpCloud-SCIM", want: "JumpCloud"},
		"authentik by its agent":                 {agent: "authentik@2026.8", want: "authentik"},
		"SailPoint by its agent":                 {agent: "SailPoint", want: "SailPoint"},
		"an agent goes before a shape":           {agent: "OneLogin", method: "PATCH", body: `{"Operations":[{"op":"Replace"}]}`, want: "OneLogin"},
		"nobody in particular":                   {agent: "curl/8", method: "PATCH", body: fmt.Sprintf(op, `"path":"active","value":true`), want: "RFC 7644"},
		"something odd by nobody in particular":  {differently: true, want: "unknown"},
		"a capital beside others":                {method: "PATCH", body: `{"Operations":[{"op":"add","value":{"name.givenName":"x"}},{"op":"Add"}]}`, want: "Entra legacy PATCH"},
		"False as text":                          {method: "PATCH", body: fmt.Sprintf(op, `"path":"active","value":"False"`), want: "Entra legacy PATCH"},
		"the flag with the dialect it turns off": {method: "PATCH", query: "aadOptscim062020", body: `{"Operations":[{"op":"Replace"}]}`, want: "Entra legacy PATCH"},
		"a qualified key":                        {method: "PATCH", body: fmt.Sprintf(op, `"value":{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department":"x"}`), want: "Entra aadOptscim062020"},
		"an extension is no qualified key":       {method: "PATCH", body: fmt.Sprintf(op, `"value":{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{}}`), want: "RFC 7644"},
		"an array of one text":                   {method: "PATCH", body: fmt.Sprintf(op, `"path":"active","value":["true"]`), want: "Keycloak (SCIM-SDK)"},
		"an array of one member":                 {method: "PATCH", body: fmt.Sprintf(op, `"path":"members","value":[{"value":"x"}]`), want: "RFC 7644"},
		"a null path and no schemas":             {method: "PATCH", body: fmt.Sprintf(op, `"path":null,"value":{"displayName":"x"}`), want: "RFC 7644"},
		"a search by body":                       {method: "POST", body: `{"filter":"emails[type eq \"work\"].value eq \"x\""}`, want: "Entra"},
		"Ping's complex attribute":               {method: "GET", query: "filter=emails%20eq%20%22x%22", want: "Ping"},
		"a query that is none":                   {method: "GET", query: "filter=%zz", want: "RFC 7644"},
		"no object where one is meant":           {method: "PATCH", body: `{"Operations":["x",{"op":7},{"op":"add","value":[null]}]}`, want: "RFC 7644"},
		"primary as text":                        {method: "POST", body: `{"emails":[{"primary":"True"}]}`, want: "Entra"},
		"a manager of SCIM 1.1":                  {method: "PUT", body: `{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"managerId":"7"}}}`, want: "OneLogin"},
		"meta that is repeated":                  {method: "PUT", body: `{"meta":{"resourceType":"User"}}`, want: "RFC 7644"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := scim.Dialect(test.agent, test.method, test.query, test.body, test.differently)
			if err != nil || got != test.want {
				t.Errorf("%q %v", got, err)
			}
		})
	}
}
