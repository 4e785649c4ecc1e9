package config

import (
	"slices"
	"testing"
)

// Whoever has more doubts than are shown has doubts only; a mistake that is not shown is one all the same.
func TestWhatIsNotShownIsOfTheSameKind(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]bool{"doubts only": false, "a mistake behind them": true} {
		r := &report{file: "jmld.yaml"}
		for i := range maxMistakes + 5 {
			r.mistake(place{i + 1, 1}, "can never hold")
		}
		r.lint(0, true)
		if wrong {
			r.mistake(place{maxMistakes + 9, 1}, "unknown target")
		}
		list, _ := r.finish()
		if got := slices.ContainsFunc(list, func(m Mistake) bool { return !m.Lint }); got != wrong || len(list) != maxMistakes+1 {
			t.Errorf("%s: %d lines, a mistake: %t", name, len(list), got)
		}
	}
}
