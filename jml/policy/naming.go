package policy

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

const longestName = 64

// Candidates are the names in the order in which they are tried: what the patterns yield, then numbers from 2 on behind the last one.
// A number stands in front of an @, and the name is cut so that it fits.
func (n Naming) Candidates(numbers int) []string {
	var out []string
	add := func(pattern, number string) {
		if name := n.fit(pattern, number); name != "" && name[0] != '@' {
			out = append(out, name)
		}
	}
	for _, p := range n.Patterns {
		add(p, "")
	}
	for k := 2; n.Numbered && k <= numbers; k++ {
		add(n.Patterns[len(n.Patterns)-1], strconv.Itoa(k))
	}
	return out
}

// Makes says whether the name is one that the patterns make, with whatever number. Case does not count.
func (n Naming) Makes(name string) bool {
	for i, p := range n.Patterns {
		if strings.EqualFold(name, n.fit(p, "")) {
			return true
		}
		local, _, _ := strings.Cut(name, "@")
		digits := local[len(strings.TrimRight(local, "0123456789")):]
		for ; n.Numbered && i == len(n.Patterns)-1 && digits != ""; digits = digits[1:] {
			if k, err := strconv.Atoi(digits); err == nil && k >= 2 && strings.EqualFold(name, n.fit(p, strconv.Itoa(k))) {
				return true
			}
		}
	}
	return false
}

func (n Naming) fit(name, number string) string {
	local, domain, at := strings.Cut(name, "@")
	if at {
		domain = "@" + domain
	}
	longest := n.Longest
	if longest == 0 {
		longest = longestName
	}
	for room := longest - utf8.RuneCountInString(domain) - len(number); utf8.RuneCountInString(local) > max(room, 1); {
		_, last := utf8.DecodeLastRuneInString(local)
		local = local[:len(local)-last]
	}
	return strings.TrimRight(local, ".-_") + number + domain
}

// naming compiles how a rule makes names.
func (k *compiler) naming(r Rule, at []any) []program {
	if r.Naming == nil {
		return nil
	}
	at = under(at, "user_name")
	if len(r.Naming.Patterns) == 0 {
		k.mistake(at, "no patterns; expected at least one")
	}
	if _, ok := r.Attributes["userName"]; ok {
		k.bad = append(k.bad, Mistake{Path: at, Key: true, Text: "user_name and attributes.userName at once; expected one of them"})
	}
	var out []program
	for i, p := range r.Naming.Patterns {
		where := under(at, "patterns", i)
		tree, prog := k.compile(p, where)
		if tree != nil && typeText(tree.OutputType()) != "text" {
			k.mistake(where, "the expression yields %s; expected text", typeText(tree.OutputType()))
		}
		out = append(out, prog)
	}
	return out
}

// named makes sure that names of a target are made by all of its rules, or by none: nobody would have a name for sure.
func (k *compiler) named(rules []Rule) {
	first := map[string]int{}
	for i, r := range rules {
		j, ok := first[r.Target]
		if !ok {
			first[r.Target] = i
			continue
		}
		if (rules[j].Naming == nil) != (r.Naming == nil) {
			with := i
			if r.Naming == nil {
				with = j
			}
			k.bad = append(k.bad, Mistake{Path: []any{"accounts", with, "user_name"}, Key: true, Text: fmt.Sprintf(
				"another rule for target %s has no user_name; expected it in all of them, so that no name is given twice", r.Target)})
			first[r.Target] = i // said once
		}
	}
}

// names evaluates the patterns. Empty ones make no name.
func (p *Policy) names(s *subject, r *rule) (*Naming, []Finding) {
	out := *r.Naming
	out.Patterns = nil
	var bad []Finding
	for i, prog := range r.names {
		v, err := value(prog, s)
		if err != nil {
			bad = append(bad, Finding{r.Target, r.Name, fmt.Sprintf("user_name pattern %d: %s", i+1, err)})
			continue
		}
		if text, _ := v.(string); strings.Trim(text, ".-_ ") != "" && !strings.HasPrefix(text, "@") {
			out.Patterns = append(out.Patterns, strings.TrimSpace(text))
		}
	}
	if len(bad) == 0 && len(out.Patterns) == 0 {
		bad = append(bad, Finding{r.Target, r.Name, "user_name: every pattern is empty, and an account needs a name"})
	}
	return &out, bad
}

// NamingTargets are the targets whose user names are made here.
func (p *Policy) NamingTargets() []string {
	var out []string
	for _, t := range p.targets {
		if p.rules[t][0].Naming != nil {
			out = append(out, t)
		}
	}
	return out
}
