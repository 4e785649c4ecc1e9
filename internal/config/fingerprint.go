package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Fingerprint names the part of the configuration that decisions depend on. Two configurations with the same one decide
// alike; comments, addresses and timeouts do not count.
func (c *Config) Fingerprint() (string, error) {
	type target struct{ Name, Class string }
	var names []string
	for _, s := range c.Sources {
		names = append(names, s.Name)
	}
	var targets []target
	for _, t := range c.Targets {
		targets = append(targets, target{t.Name, string(t.Class)})
	}
	parts := []any{2, names, targets, c.Correlation, c.Fusion, c.Organisations, c.Lifecycle, c.External, c.Protect, c.Policy}
	for _, s := range c.Sources {
		if !s.CreatesPeople {
			parts = append(parts, []string{"joins", s.Name})
		}
	}
	if len(c.Extensions) > 0 {
		parts = append(parts, c.Extensions)
	}
	text, err := json.Marshal(parts)
	if err != nil {
		return "", fmt.Errorf("fingerprint of the configuration: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
