package jml

import (
	"fmt"
	"slices"

	"jmld/jml/policy"
	"jmld/model"
)

// external says what people of other organisations lack for a new account. What they have stays, and the finding says so too.
func (r *Rules) external(w *situation, out policy.Outcome) {
	if !out.External || len(out.Grants) == 0 || w.verdict == take {
		return
	}
	need := r.Calendar.External
	if need.RequireEnd && w.end.IsZero() {
		w.lacking = true
		w.found(model.CodeNoEnd, "external and without an end: there is no endDate, and no engagement of %s that ends", orNobody(out.Organisation))
	}
	if sponsor := text(lifecycleOf(w.fused.Attrs)["sponsor"]); need.RequireSponsor && sponsor == "" && w.sponsor == "" {
		w.lacking = true
		w.found(model.CodeNoSponsor, "external, and nobody answers for them: there is no sponsor")
	}
	for _, g := range out.Grants {
		if slices.Contains(need.Forbidden, g.Target) {
			w.findings = append(w.findings, model.Finding{Code: model.CodeForeign, Target: g.Target, Rule: g.Rule,
				Text: fmt.Sprintf("the configuration admits nobody of %s there", orNobody(out.Organisation))})
		}
	}
}

// admitted says whether the person may get an account in the target that they do not have.
func (r *Rules) admitted(w *situation, target string, out policy.Outcome) bool {
	return !w.lacking && !(out.External && slices.Contains(r.Calendar.External.Forbidden, target))
}

func orNobody(organisation string) string {
	if organisation == "" {
		return "an unknown organisation"
	}
	return organisation
}
