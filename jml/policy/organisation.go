package policy

import (
	"fmt"
	"strings"
)

// Organisations are recognised by the domain of the person's e-mail address (person.email: the primary one, else the
// first of type work, else the first):
//
//	domains listed        address              organisation
//	example.org           ada@EXAMPLE.org      found, case does not count
//	example.org           ada@dev.example.org  not found: a sub-domain is another domain
//	*.example.org         ada@dev.example.org  found, at any depth; but not ada@example.org
//	both, of two firms    ada@x.dev.example.org the most exact domain wins
//	none of these         ada@example.net      none, external
//	-                     no address           none, external

// domainTable finds the organisation of a domain.
type domainTable struct {
	exact, below map[string]*Organisation
}

func compileDomains(orgs []Organisation) (domainTable, []Mistake) {
	t := domainTable{exact: map[string]*Organisation{}, below: map[string]*Organisation{}}
	var bad []Mistake
	names := map[string]bool{}
	for i := range orgs {
		o := orgs[i] // a copy: the caller may change its own
		at := func(text string, path ...any) {
			bad = append(bad, Mistake{Path: append([]any{"organisations", i}, path...), Text: text})
		}
		switch {
		case o.Name == "":
			at("an organisation needs a name", "name")
		case names[o.Name]:
			at(fmt.Sprintf("organisation %q is there twice; expected one entry with all its domains", o.Name), "name")
		}
		names[o.Name] = true
		if len(o.Domains) == 0 {
			at("no domains; expected at least one e-mail domain", "domains")
		}
		for j, raw := range o.Domains {
			domain := foldDomain(raw)
			table, rest := t.exact, domain
			if after, ok := strings.CutPrefix(domain, "*."); ok {
				table, rest = t.below, after
			}
			if !isDomain(rest) {
				at(fmt.Sprintf("%q is not an e-mail domain; expected example.org, or *.example.org for its sub-domains", raw),
					"domains", j)
				continue
			}
			if other := table[rest]; other != nil {
				at(fmt.Sprintf("domain %s belongs to %s already; expected each domain once", domain, other.Name), "domains", j)
				continue
			}
			table[rest] = &o
		}
	}
	return t, bad
}

func foldDomain(s string) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s), "."))
}

// isDomain is lenient about letters (a domain may be written in its own script) and strict about the shape.
func isDomain(s string) bool {
	if len(s) > 253 || !strings.Contains(s, ".") {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63*4 || strings.ContainsAny(label, " \t\r\n@*/:,;\"'()<>[]\\_") ||
			label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return true
}

// find returns the organisation of an e-mail address, or nil.
func (t domainTable) find(address string) *Organisation {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return nil
	}
	domain := foldDomain(address[at+1:])
	if o := t.exact[domain]; o != nil {
		return o
	}
	for { // one label less each time, so the most exact pattern comes first
		_, rest, ok := strings.Cut(domain, ".")
		if !ok {
			return nil
		}
		if o := t.below[rest]; o != nil {
			return o
		}
		domain = rest
	}
}
