package manual

import (
	"testing"

	"jmld/model"
)

// Who leaves has a person look wherever an account may be that nobody has said is gone. The target as a whole is tested with the engine
// and both databases.
func TestAnAccountThatMayBeThere(t *testing.T) {
	t.Parallel()
	open := func(op model.Op) []model.Task { return []model.Task{{Op: op}} }
	for name, c := range map[string]struct {
		want model.Account
		open []model.Task
		may  bool
	}{
		"being made":                  {model.Account{State: model.AccountInactive, AppliedState: model.AccountUnknown}, open(model.OpCreate), true},
		"being reactivated":           {model.Account{State: model.AccountAbsent, AppliedState: model.AccountInactive}, open(model.OpReactivate), true},
		"being looked for":            {model.Account{State: model.AccountInactive, AppliedState: model.AccountUnknown}, open(model.OpDeactivate), true},
		"made by another target":      {model.Account{State: model.AccountInactive, AppliedState: model.AccountUnknown, NativeID: "7"}, nil, true},
		"never asked for":             {model.Account{State: model.AccountInactive, AppliedState: model.AccountUnknown}, nil, false},
		"made again after a deletion": {model.Account{State: model.AccountAbsent, AppliedState: model.AccountAbsent}, open(model.OpCreate), true},
		"known to be as it should":    {model.Account{State: model.AccountInactive, AppliedState: model.AccountInactive, NativeID: "7"}, nil, false},
		"who has not left":            {model.Account{State: model.AccountActive, AppliedState: model.AccountUnknown, NativeID: "7"}, open(model.OpCreate), false},
	} {
		if got := mayBeThere(c.want, c.open); got != c.may {
			t.Errorf("%s: %v", name, got)
		}
	}
}
