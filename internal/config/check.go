package config

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"jmld/jml"
	"jmld/jml/policy"
	"jmld/model"
)

// check looks at what the types cannot say. It adds to the mistakes of decoding, so it must stand half-filled structs:
// what is empty here was reported there.
func check(d *decoder, c *Config) {
	d.checks = true
	d.checkDatabase(c)
	d.checkListen(c)
	d.checkSecret(c.Console.Token, route{"console", "token"})
	d.checkExtensions(c)
	sources := d.checkSources(c)
	d.checkFusion(c, sources)
	d.checkCorrelation(c)
	targets := d.checkTargets(c)
	d.checkLifecycle(c, targets)
	d.checkProtect(c, targets)
	d.checkPolicy(c, targets)
	d.checkAccess(c)
	d.checkRequests(c, targets)
	d.checkEntitle(c, targets)
	d.checkGuard(c)
}

func (d *decoder) checkDatabase(c *Config) {
	at := route{"database_password"}
	d.checkSecret(c.DatabasePassword, at)
	if d.has(at) && c.Database.SQLite != "" {
		d.mistake(d.keyPlace(at), "database_password has no meaning for sqlite; expected it with postgres:// only")
	}
	if !d.has(route{"database"}) {
		c.Database.SQLite.in(d.dir)
	}
	if u, err := url.Parse(c.Database.Postgres); err == nil && u.Query().Get("sslmode") == "disable" &&
		!isLoopback(u.Hostname()) && u.Hostname() != "" {
		d.warn(d.place(route{"database"}), "the connection to the database is not encrypted (sslmode=disable)")
	}
}

func (d *decoder) checkListen(c *Config) {
	l, at := &c.Listen, route{"listen"}
	host, port, err := net.SplitHostPort(l.Address)
	n, portErr := strconv.Atoi(port)
	switch {
	case err != nil || portErr != nil || n < 0 || n > 65535 || strings.ContainsAny(host, " /@"):
		d.wrong(at.with("address"), "%q is not an address; expected HOST:PORT such as 127.0.0.1:8484 or [::]:8484", l.Address)
		return
	case l.TLS == nil && !l.Loopback() && !l.Insecure:
		d.wrong(at.with("address"), "plain http on an address that others can reach; expected tls: {certificate: …, key: …},"+
			" or insecure: true beside it when something else encrypts")
	case l.TLS != nil && l.Insecure:
		d.wrong(at.with("insecure"), "insecure has no meaning with tls; expected one of them")
	}
	if !l.Loopback() && !c.Console.Token.IsSet() && !d.has(route{"console", "token"}) {
		d.wrong(at.with("address"), "the console needs a token on an address that others can reach;"+
			" expected console: {token: {file: …}}")
	}
	if l.TLS != nil && l.TLS.Certificate != "" && l.TLS.Key != "" {
		if _, err := tls.LoadX509KeyPair(string(l.TLS.Certificate), string(l.TLS.Key)); err != nil {
			d.absent(at.with("tls", "certificate"), "%s; expected a certificate and its key, PEM files", err)
		}
	}
	if l.TLS != nil {
		d.checkCA(l.TLS.ClientCA, at.with("tls", "client_ca_file"))
	}
	d.checkPublicURL(l, host)
}

func (d *decoder) checkPublicURL(l *Listen, host string) {
	at := route{"listen", "url"}
	if l.URL != "" {
		u, ok := d.httpURL(at, l.URL)
		if ok && (u.RawQuery != "" || u.Fragment != "") {
			d.wrong(at, "the URL has a query or a fragment; expected such as https://jmld.example.org")
		}
		l.URL = strings.TrimRight(l.URL, "/")
		return
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		d.wrong(route{"listen", "address"}, "the address names no host, so listen.url must: expected url: https://HOST,"+
			" as clients see it")
		return
	}
	l.URL = "http://" + l.Address
	if l.TLS != nil {
		l.URL = "https://" + l.Address
	}
}

// httpURL checks an absolute http or https URL.
func (d *decoder) httpURL(at route, text string) (*url.URL, bool) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || !validPort(u.Port()):
		d.wrong(at, "not a URL; expected such as https://app.example.org")
	case u.User != nil:
		d.conceal(d.values[at.String()])
		d.wrong(at, "a name or password does not belong into a URL; expected the URL without it")
	default:
		return u, true
	}
	return nil, false
}

func validPort(port string) bool {
	if port == "" {
		return true
	}
	n, err := strconv.Atoi(port)
	return err == nil && n > 0 && n <= 65535
}

// checkSecret reads the secret once, to know that it is there.
func (d *decoder) checkSecret(s Secret, at route) {
	if !s.IsSet() {
		return
	}
	if _, err := s.Value(); err != nil {
		d.absent(at, "%s; expected it to be there and readable", err)
	}
}

func (d *decoder) checkName(name string, at route, what string, seen map[string]bool) {
	switch {
	case name == "":
	case !regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`).MatchString(name):
		d.wrong(at, "%q cannot be the name of a %s; expected small letters, digits, - and _", name, what)
	case seen[name]:
		d.wrong(at, "%s %q is there twice; expected a name of its own", what, name)
	}
	seen[name] = true
}

func (d *decoder) checkSources(c *Config) []string {
	var names []string
	seen := map[string]bool{}
	if d.has(route{"sources"}) && len(c.Sources) == 0 {
		d.wrong(route{"sources"}, "no sources; expected at least one")
	}
	for i := range c.Sources {
		s, at := &c.Sources[i], route{"sources", i}
		d.checkName(s.Name, at.with("name"), "source", seen)
		if !slices.Contains(names, s.Name) {
			names = append(names, s.Name)
		}
		d.checkOne(at, "ldap", "scim")
		if s.LDAP != nil {
			d.checkLDAP(s.LDAP, at.with("ldap"))
		}
		if s.SCIM != nil {
			d.checkSCIMSource(c, s.SCIM, at.with("scim"))
		}
	}
	if len(c.Sources) > 0 && !slices.ContainsFunc(c.Sources, func(s Source) bool { return s.CreatesPeople }) {
		d.wrong(route{"sources"}, "every source has creates_people: false, so that nobody would ever be known; expected one that creates people")
	}
	return names
}

// checkOne asks for exactly one of the keys.
func (d *decoder) checkOne(at route, keys ...string) {
	if _, ok := pairs(d.values[at.String()]); !ok {
		return
	}
	var found []string
	for _, k := range keys {
		if d.has(at.with(k)) {
			found = append(found, k)
		}
	}
	switch len(found) {
	case 0:
		d.wrong(at, "it says not what kind it is; expected one of %s", strings.Join(keys, ", "))
	case 1:
	default:
		d.mistake(d.keyPlace(at.with(found[1])), "%s and %s at once; expected one of %s", found[0], found[1], strings.Join(keys, ", "))
	}
}

func (d *decoder) checkFusion(c *Config, sources []string) {
	for name, list := range c.Fusion.Authority {
		at := route{"fusion", "authority", name}
		if !isFusable(name) {
			d.mistake(d.keyPlace(at), "unknown attribute %q%s", name, meant(name, fusable()))
		}
		if len(list) == 0 {
			d.wrong(at, "no sources; expected at least one")
		}
		for i, a := range list {
			under := at
			if !d.plainList(at) {
				under = at.with(i)
				switch {
				case name == "active" && a.Exclusive:
					d.wrong(under.with("exclusive"), "every record says whether it is active; expected exclusive with other attributes")
				case i < len(list)-1 && a.When == "":
					d.wrong(under, "this one always holds, so that those below never count; expected when, or it as the last")
				}
				under = under.with("sources")
				if len(a.Sources) == 0 && d.has(under) {
					d.wrong(under, "no sources; expected at least one")
				}
			}
			d.checkWords(a.Sources, under, "source", sources)
		}
	}
}

// fusable are the attributes that have one winner each, besides those of extensions by URN.
func fusable() []string {
	list := []string{"active", "name", "addresses", "x509Certificates"}
	for _, p := range policy.AttributePaths() {
		if !strings.Contains(p, ".") && p != "groups" {
			list = append(list, p)
		}
	}
	slices.Sort(list)
	return list
}

func isFusable(name string) bool {
	if strings.HasPrefix(name, "urn:") {
		_, err := policy.CanonicalPath(name)
		return err == nil
	}
	return slices.Contains(fusable(), name)
}

// checkWords reports entries of a list that are unknown or there twice.
func (d *decoder) checkWords(list []string, at route, what string, known []string) {
	for i, w := range list {
		switch {
		case w == "":
		case !slices.Contains(known, w):
			d.wrong(at.with(i), "unknown %s %q%s", what, w, meant(w, known))
		case slices.Index(list, w) < i:
			d.wrong(at.with(i), "%s %s is there twice; expected it once", what, w)
		}
	}
}

func (d *decoder) checkCorrelation(c *Config) {
	at := route{"correlation"}
	if !d.has(at) {
		c.Correlation = []string{jml.KeyEmployeeNumber, jml.KeyEmail}
	}
	known := jml.KeyNames()
	for i, key := range c.Correlation {
		if strings.HasPrefix(key, "urn:") && d.checkKeyAttribute(c, key, at.with(i)) {
			known = append(known, key)
		}
	}
	d.checkWords(slices.DeleteFunc(slices.Clone(c.Correlation), func(k string) bool {
		return strings.HasPrefix(k, "urn:") && !slices.Contains(known, k) // said above
	}), at, "correlation key", known)
	own := slices.ContainsFunc(c.Organisations, func(o Organisation) bool { return o.Own })
	if i := slices.Index(c.Correlation, jml.KeyEmail); i >= 0 && d.has(at) && !own {
		d.warn(d.place(at.with(i)), "email joins nobody, because no organisation has own: true")
	}
}

// checkKeyAttribute: a key is one text. What may be anything else would join people by accident.
func (d *decoder) checkKeyAttribute(c *Config, key string, at route) bool {
	why := "no extension is declared that has it"
	for _, e := range c.Declared() {
		name, ok := strings.CutPrefix(key, e.URN+":")
		if !ok || e.Kind != model.KindUser {
			continue
		}
		why = "extension " + e.Name + " has no such attribute"
		if i := slices.IndexFunc(e.Attributes, func(a model.Attribute) bool { return a.Name == name }); i >= 0 {
			why = ""
			if e.Attributes[i].Type != model.TypeString || e.Attributes[i].MultiValued {
				why = "it is not a single text"
			}
		}
	}
	if why != "" {
		d.wrong(at, "%q is no correlation key: %s", key, why)
	}
	return why == ""
}

func (d *decoder) checkTargets(c *Config) []string {
	var names []string
	seen := map[string]bool{}
	for i := range c.Targets {
		t, at := &c.Targets[i], route{"targets", i}
		d.checkName(t.Name, at.with("name"), "target", seen)
		if !slices.Contains(names, t.Name) {
			names = append(names, t.Name)
		}
		if t.SCIM != nil && t.Manual != nil {
			d.checkOne(at, "local", "scim", "memory")
		} else {
			d.checkOne(at, "local", "scim", "manual", "memory")
		}
		if t.SCIM != nil {
			d.checkSCIMTarget(t.SCIM, at.with("scim"))
		}
		if t.Manual != nil {
			d.checkManual(t, at.with("manual"))
		}
	}
	return names
}

func (d *decoder) checkSCIMTarget(t *SCIMTarget, at route) {
	d.checkSecret(t.Token, at.with("token"))
	if t.URL == "" {
		return
	}
	u, ok := d.httpURL(at.with("url"), t.URL)
	if !ok {
		return
	}
	t.URL = strings.TrimRight(t.URL, "/")
	switch {
	case u.RawQuery != "" || u.Fragment != "":
		d.wrong(at.with("url"), "the URL has a query or a fragment; expected the base, such as https://app.example.org/scim/v2")
	case u.Scheme == "http" && !isLoopback(u.Hostname()) && !t.Insecure:
		d.wrong(at.with("url"), "plain http to another machine would show the token; expected https://,"+
			" or insecure: true beside it when something else encrypts")
	case u.Scheme == "http" && t.CAFile != "":
		d.wrong(at.with("ca_file"), "ca_file has no meaning for http; expected an https:// url")
	}
	d.checkCA(t.CAFile, at.with("ca_file"))
}

func (d *decoder) checkCA(file Path, at route) {
	if file == "" {
		return
	}
	pem, err := readSome(string(file), maxPEM)
	if err != nil {
		d.absent(at, "%s; expected certificates, a PEM file", err)
		return
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		d.wrong(at, "no certificate in %s; expected certificates, a PEM file", file)
	}
}

func (d *decoder) checkGuard(c *Config) {
	if c.Guard.Leavers.Share > c.Guard.Ceiling {
		d.wrong(route{"guard", "leavers", "share"}, "the share %s is above the ceiling %s; expected at most the ceiling",
			c.Guard.Leavers.Share, c.Guard.Ceiling)
	}
}

// warnOfGroups: a SCIM service provider keeps memberships at its groups; at the user they are read-only (RFC 7643 §4.1.2).
func (d *decoder) warnOfGroups(c *Config) {
	for i, r := range c.Policy.Accounts {
		at := route{"policy", "accounts", i, "attributes", "groups"}
		if d.has(at) && slices.ContainsFunc(c.Targets, func(t Target) bool { return t.Name == r.Target && t.SCIM != nil }) {
			d.warn(d.keyPlace(at), "target %s is a SCIM service provider, where groups of a user are read-only; expected roles or"+
				" entitlements", r.Target)
		}
	}
}

// checkPolicy compiles the rules, and finds the place of each mistake in them.
func (d *decoder) checkPolicy(c *Config, targets []string) {
	in := policy.Config{Extensions: c.Declared(), Known: c.known()}
	for _, o := range c.Organisations {
		in.Organisations = append(in.Organisations, policy.Organisation{Name: o.Name, Own: o.Own, Domains: o.Domains})
	}
	in.Categories = c.Policy.Categories
	for _, r := range c.Policy.Accounts {
		leaver := policy.LeaverDeactivate
		if r.Leaver == "delete" {
			leaver = policy.LeaverDelete
		}
		var naming *policy.Naming
		if n := r.UserName; n != nil {
			naming = &policy.Naming{Patterns: n.Patterns, Numbered: n.Number, Rename: n.Rename, Longest: n.Longest}
		}
		in.Accounts = append(in.Accounts, policy.Rule{
			Naming: naming,
			Name:   r.Name, Target: r.Target, When: r.When, Attributes: r.Attributes, Leaver: leaver,
			BeforeStart: r.BeforeStart.Std(), DeleteAfter: r.DeleteAfter.Std(), Administrator: r.Administrator,
		})
	}
	for _, r := range c.Policy.Roles {
		in.Roles = append(in.Roles, r.rule())
	}
	d.warnOfGroups(c)
	var conditions []route
	in.Conditions, conditions = c.conditions()
	compiled, mistakes := policy.Compile(in, targets)
	for _, m := range mistakes {
		before := len(d.mistakes)
		at := route(m.Path)
		if len(at) > 1 && at[0] == "conditions" {
			at = conditions[at[1].(int)]
		} else if len(at) == 0 || at[0] != "organisations" {
			at = append(route{"policy"}, at...)
		}
		n := d.values[at.String()]
		if text, ok := plain(n); n == nil && !d.has(at[:len(at)-1]) || ok && text == "" || n != nil && kind(n) == "nothing" {
			continue // it is missing or empty, which decoding reported
		}
		switch {
		case d.faulty[at.String()]:
		case m.Key:
			d.mistake(d.keyPlace(at), "%s", m.Text)
		case m.May && n != nil:
			d.warn(d.inside(n, m.Line, m.Col), "%s; it may be one that operators made", m.Text)
		case m.Line > 0 && n != nil:
			d.mistake(d.inside(n, m.Line, m.Col), "%s", m.Text)
		case n == nil && m.Path[len(m.Path)-1] != "attributes":
			continue // a required key that is missing
		default:
			d.wrong(at, "%s", m.Text)
		}
		d.lint(before, m.Lint)
	}
	c.compiled = compiled
}
