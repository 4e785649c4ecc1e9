package console_test

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
)

// Text has a contrast of at least 4.5 and the edges of controls of at least 3 with what is behind them, in both palettes
// (WCAG 2.2, 1.4.3 and 1.4.11).
func TestPalettesHaveEnoughContrast(t *testing.T) {
	t.Parallel()
	css, err := os.ReadFile("static/console.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, ok := strings.Cut(string(css), "@media (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("no dark palette")
	}
	dark, _, _ = strings.Cut(dark, "\n}\n")
	for name, part := range map[string]string{"light": light, "dark": dark} {
		colours := map[string]string{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`).FindAllStringSubmatch(part, -1) {
			colours[m[1]] = m[2]
		}
		for _, pair := range []struct {
			on, text string
			least    float64
		}{
			{"ground", "ink", 7}, {"paper", "ink", 7}, {"ground", "soft", 4.5}, {"paper", "soft", 4.5}, {"hover", "soft", 4.5}, {"hover", "ink", 7},
			{"ground", "link", 4.5}, {"paper", "link", 4.5}, {"hover", "link", 4.5}, {"brand", "on-brand", 4.5}, {"paper", "act", 4.5}, {"ground", "fine", 4.5},
			{"fine-ground", "fine", 4.5}, {"watch-ground", "watch", 4.5}, {"act-ground", "act", 4.5}, {"plain-ground", "ink", 7}, {"plain-ground", "soft", 4.5},
			{"paper", "edge", 3}, {"ground", "edge", 3},
		} {
			a, b := colours[pair.on], colours[pair.text]
			if a == "" || b == "" {
				t.Errorf("%s: no colour %s or %s", name, pair.on, pair.text)
				continue
			}
			if got := contrast(t, a, b); got < pair.least {
				t.Errorf("%s: %s on %s has %.2f, want %.1f", name, pair.text, pair.on, got, pair.least)
			}
		}
	}
}

func contrast(t *testing.T, a, b string) float64 {
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + .05) / (min(x, y) + .05)
}

// luminance is the relative luminance of WCAG.
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	var rgb [3]int
	if _, err := fmt.Sscanf(colour, "#%02x%02x%02x", &rgb[0], &rgb[1], &rgb[2]); err != nil {
		t.Fatal(err)
	}
	var l [3]float64
	for i, v := range rgb {
		if c := float64(v) / 255; c <= .04045 {
			l[i] = c / 12.92
		} else {
			l[i] = math.Pow((c+.055)/1.055, 2.4)
		}
	}
	return .2126*l[0] + .7152*l[1] + .0722*l[2]
}

// Nothing on a page depends on another host, on a script or on inline style: the content policy forbids them.
func TestStyleSheetNeedsNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	css, err := os.ReadFile("static/console.css")
	if err != nil {
		t.Fatal(err)
	}
	if m := regexp.MustCompile(`(?i)url\(|@import|https?:|expression`).Find(css); m != nil {
		t.Errorf("%s", m)
	}
}
