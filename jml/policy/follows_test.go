package policy_test

import (
	"testing"

	"jmld/jml/policy"
	"jmld/model"
)

// M-29: a rule finds its group by name as names of groups are compared everywhere, whether the group has the name or had it last.
func TestARuleFollowsAGroupInWhateverUnicodeForm(t *testing.T) {
	t.Parallel()
	const composed, decomposed, wide = "Prüfer IT", "Pru\u0308fer it", "Pru\u0308fer\u00a0ＩＴ"
	p := compile(t, policy.Config{Roles: []policy.RoleRule{{Name: "r", Role: "auditor", Place: "group:a", Source: "corp", Group: decomposed}}})
	for name, m := range map[string]model.Membership{
		"as it is":       {DisplayName: decomposed},
		"composed":       {DisplayName: composed},
		"compatible":     {DisplayName: wide},
		"had it last":    {DisplayName: "Others", Former: "x\nprüfer it"},
		"another source": {Source: "entra", DisplayName: composed},
		"another name":   {DisplayName: "Prufer IT"},
	} {
		want := m.Source == "" && m.DisplayName != "Prufer IT"
		if m.Source == "" {
			m.Source = "corp"
		}
		hold, unsure := p.Birthrights(policy.Person{Memberships: []model.Membership{m}})
		if len(unsure) > 0 || (len(hold) == 1) != want {
			t.Errorf("%s: %v, %v", name, hold, unsure)
		}
	}
}
