package simulate_test

import (
	"path/filepath"
	"testing"
	"time"

	"jmld/internal/simulate"
	"jmld/internal/store"
	"jmld/internal/testserver"
	"jmld/jml"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
	"jmld/target/memory"
)

// play simulates a small company with a policy and a guard.
func play(t *testing.T, url string, platform string, guard jml.Limits) *simulate.Report {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{URL: url, Simulated: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	own := []string{"example.org"}
	p, mistakes := policy.Compile(policy.Config{
		Organisations: []policy.Organisation{{Name: "Example", Own: true, Domains: own}},
		Accounts: []policy.Rule{
			{Name: "builders", Target: simulate.Platform, When: platform},
			{Name: "everybody", Target: simulate.App, When: "true"},
		},
	}, []string{simulate.App, simulate.Platform})
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	report, err := simulate.Run(t.Context(), simulate.Options{
		People: 60, Days: 85, Seed: 3, Pace: 8, Start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Store: db, Guard: guard, Directory: "corp", Provider: "idp",
		Rules: &jml.Rules{Precedence: []string{"corp", "idp"}, Authority: map[string][]string{"active": {"corp", "idp"}},
			Correlation: []string{"employeeNumber", "email", "userName"}, OwnDomains: own, Policy: p, Targets: []string{simulate.App, simulate.Platform}},
		Targets: []engine.TargetSpec{{Target: memory.New(simulate.App), Class: model.ClassApp}, {Target: memory.New(simulate.Platform), Class: model.ClassPlatform}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if report.Events < 30 || report.Accounts < 60 || report.Failed == 0 || report.Kinds[simulate.Incident] == 0 {
		t.Fatalf("too little happened: %+v", report)
	}
	return report
}

const builders = `"builders" in person.groups`

// However people come and go and sources break: nobody is without what they should have, and nobody keeps what they should not.
func TestTheCompanyAndTheOracleAgree(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func() string{
		"sqlite":   func() string { return "sqlite:" + filepath.Join(t.TempDir(), "jmld.db") },
		"postgres": func() string { return testserver.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := play(t, url(), builders, jml.DefaultLimits())
			if r.Disagreements+r.Mistakes > 0 {
				t.Errorf("%d disagreements, %d mistakes: %+v", r.Disagreements, r.Mistakes, r.Differences)
			}
			if r.Held == 0 {
				t.Error("a third of the people was said to be inactive, and nothing was held")
			}
		})
	}
}

// An oracle that cannot see a mistake would agree with everything.
func TestTheOracleSeesMistakes(t *testing.T) {
	t.Parallel()
	url := func() string { return "sqlite:" + filepath.Join(t.TempDir(), "jmld.db") }
	t.Run("a rule that is wrong", func(t *testing.T) {
		t.Parallel()
		r := play(t, url(), builders+` && person.title in ["Engineer", "Manager"]`, jml.DefaultLimits())
		if r.Disagreements == 0 || r.Mistakes == 0 || len(r.Differences) == 0 {
			t.Errorf("most builders had no account, and nobody noticed: %d, %d", r.Disagreements, r.Mistakes)
		}
	})
}
