package engine

import (
	"errors"
	"fmt"
	"time"

	"jmld/model"
)

// ErrOtherRules says that what was decided was decided by rules that are not in force. Nothing of it was stored.
var ErrOtherRules = model.Errorf(model.CodeRulesOther, "other rules are in force than those it was decided by: %w", model.ErrStale)

type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

// Permanent marks an error of Target.Ensure that trying again cannot mend: the account goes to the dead letter.
func Permanent(err error) error { return permanentError{err} }

// IsPermanent reports whether err is marked with Permanent.
func IsPermanent(err error) bool {
	var p permanentError
	return errors.As(err, &p)
}

type afterError struct {
	error
	pause time.Duration
}

func (e afterError) Unwrap() error { return e.error }

// After marks an error of Target.Ensure that asks for a pause before the next try (Retry-After); the target as a whole waits.
func After(err error, pause time.Duration) error { return afterError{err, pause} }

// Pause returns the pause an error marked with After asks for.
func Pause(err error) (time.Duration, bool) {
	var a afterError
	if errors.As(err, &a) {
		return a.pause, true
	}
	return 0, false
}

// ByHandError is the answer of a Target.Ensure that looked, did what it may, and leaves the rest to a person. What takes it makes a task
// of it.
type ByHandError struct {
	Op    model.Op
	Found model.Account // as the target has it; without AppliedState: it has none
	Why   string        // what speaks against it being done already; "": nothing
}

func (e *ByHandError) Error() string {
	return fmt.Sprintf("step %s is a person's in this target", e.Op)
}
