package targettest_test

import (
	"context"
	"iter"
	"os"
	"os/exec"
	"strings"
	"testing"

	"jmld/jml/engine"
	"jmld/model"
	"jmld/target/memory"
	"jmld/target/targettest"
)

// defective is a target with one defect.
type defective struct {
	engine.Target
	defect string
}

func (d defective) Ensure(ctx context.Context, want model.Account) (model.Account, error) {
	switch {
	case d.defect == "says what is wanted and does nothing":
		want.NativeID, want.AppliedState, want.Applied = want.IdentityID, want.State, want.Desired
		return want, nil
	case d.defect == "keeps whoever should be inactive" && want.State == model.AccountInactive:
		want.State = model.AccountActive
		got, err := d.Target.Ensure(ctx, want)
		got.State, got.AppliedState = model.AccountInactive, model.AccountInactive
		return got, err
	case d.defect == "works on when told to stop":
		return d.Target.Ensure(context.WithoutCancel(ctx), want)
	case d.defect == "makes an account for whoever is to be inactive" && want.State == model.AccountInactive:
		active := want
		active.State = model.AccountActive
		if _, err := d.Target.Ensure(ctx, active); err != nil {
			return active, err
		}
	case d.defect == "calls a refusal for good a passing one":
		got, err := d.Target.Ensure(ctx, want)
		if err != nil && ctx.Err() == nil {
			err = context.DeadlineExceeded
		}
		return got, err
	}
	return d.Target.Ensure(ctx, want)
}

func (d defective) Accounts(ctx context.Context) iter.Seq2[model.Account, error] {
	if d.defect == "lists nobody" {
		return func(func(model.Account, error) bool) {}
	}
	return d.Target.Accounts(ctx)
}

// The suite is of use as far as it finds what is wrong: it is run on a defective target in a process of its own, because it
// is to fail there. Without a defect it passes.
func TestTheSuiteFindsDefects(t *testing.T) {
	t.Parallel()
	for defect, found := range map[string]string{
		"none":                                           "",
		"says what is wanted and does nothing":           "an_account_is_created_as_wanted_and_listed",
		"keeps whoever should be inactive":               "deactivation_is_reversible",
		"works on when told to stop":                     "a_cancelled_context_ends_the_work",
		"makes an account for whoever is to be inactive": "somebody_to_be_inactive_who_has_no_account",
		"calls a refusal for good a passing one":         "an_account_without_a_userName_is_refused_for_good",
		"lists nobody":                                   "an_account_is_created_as_wanted_and_listed",
	} {
		t.Run(defect, func(t *testing.T) {
			t.Parallel()
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), self, "-test.run", "^TestDefective$", "-test.v", "-rapid.checks=5", "-rapid.nofailfile")
			cmd.Env = append(os.Environ(), "TARGETTEST_DEFECT="+defect)
			out, err := cmd.CombinedOutput()
			if failed := err != nil; failed != (found != "") {
				t.Fatalf("the suite fails: %t\n%s", failed, out)
			}
			if found != "" && !strings.Contains(string(out), "--- FAIL: TestDefective/"+found) {
				t.Errorf("%s is not what fails:\n%s", found, out)
			}
		})
	}
}

// TestDefective is what TestTheSuiteFindsDefects runs.
func TestDefective(t *testing.T) {
	defect := os.Getenv("TARGETTEST_DEFECT")
	if defect == "" {
		t.Skip("only with a defect; see TestTheSuiteFindsDefects")
	}
	targettest.Run(t, func(testing.TB) engine.Target { return defective{memory.New("scratch"), defect} })
}
