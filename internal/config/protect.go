package config

import (
	"slices"
	"strings"

	"jmld/jml"
)

// Protect lists what nothing takes away.
type Protect struct {
	People   []ProtectPeople   `yaml:"people"`
	Accounts []ProtectAccounts `yaml:"accounts"`
}

// ProtectPeople are people who keep every account they have: exactly one of the patterns is set.
type ProtectPeople struct {
	Name           string `yaml:"name,required"`
	UserName       string `yaml:"user_name"`
	Email          string `yaml:"email"`
	EmployeeNumber string `yaml:"employee_number"`
}

// ProtectAccounts are accounts by their name in a target.
type ProtectAccounts struct {
	Name     string `yaml:"name,required"`
	Target   string `yaml:"target"` // default any
	UserName string `yaml:"user_name,required"`
	Kind     string `yaml:"kind,required" oneof:"break-glass credentials local anonymous demo"`
}

// checkProtect makes the protection of the rules.
func (d *decoder) checkProtect(c *Config, targets []string) {
	seen := map[string]bool{}
	named := func(name string, at route) {
		if seen[name] && name != "" {
			d.wrong(at.with("name"), "entry %q is there twice; expected a name of its own", name)
		}
		seen[name] = true
	}
	for i, e := range c.Protect.People {
		at := route{"protect", "people", i}
		named(e.Name, at)
		d.checkOne(at, "user_name", "email", "employee_number")
		for _, p := range []struct{ key, written, pattern string }{{jml.KeyUserName, "user_name", e.UserName}, {jml.KeyEmail, "email", e.Email},
			{jml.KeyEmployeeNumber, "employee_number", e.EmployeeNumber}} {
			if p.pattern != "" {
				d.checkPattern(p.pattern, at.with(p.written))
				c.protection.People = append(c.protection.People, jml.ProtectedPeople{Name: e.Name, Key: p.key, Pattern: p.pattern})
			}
		}
	}
	for i, e := range c.Protect.Accounts {
		at := route{"protect", "accounts", i}
		named(e.Name, at)
		if e.Target != "" && !slices.Contains(targets, e.Target) {
			d.wrong(at.with("target"), "unknown target %q%s", e.Target, meant(e.Target, targets))
		}
		d.checkPattern(e.UserName, at.with("user_name"))
		c.protection.Accounts = append(c.protection.Accounts,
			jml.ProtectedAccounts{Name: e.Name, Target: e.Target, Pattern: e.UserName, Kind: e.Kind})
	}
}

// checkPattern refuses what would protect everybody: nobody could leave any more.
func (d *decoder) checkPattern(pattern string, at route) {
	if pattern != "" && strings.Trim(pattern, "*") == "" {
		d.wrong(at, "%q is everybody, and nobody would ever leave; expected some of the text", pattern)
	}
}
