package model_test

import (
	"errors"
	"fmt"
	"testing"

	"jmld/model"
)

func TestCodeOf(t *testing.T) {
	t.Parallel()
	coded := model.Errorf(model.CodeSourceTLS, "certificate of %s: %w", "ldap.example.org", model.ErrInvalid)
	for name, c := range map[string]struct {
		err  error
		want model.Code
	}{
		"coded":                         {coded, model.CodeSourceTLS},
		"coded, wrapped":                {fmt.Errorf("read source corp: %w", coded), model.CodeSourceTLS},
		"the outer code wins":           {model.Errorf(model.CodeConfig, "source corp: %w", coded), model.CodeConfig},
		"no database":                   {fmt.Errorf("load: %w", model.ErrUnavailable), model.CodeStoreUnavailable},
		"no code":                       {errors.New("?"), model.CodeInternal},
		"a sentinel is not yet a cause": {model.ErrStale, model.CodeInternal},
	} {
		if got := model.CodeOf(c.err); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if !errors.Is(coded, model.ErrInvalid) || coded.Error() != "certificate of ldap.example.org: invalid" {
		t.Errorf("%q lost its cause or its sentence", coded)
	}
}
