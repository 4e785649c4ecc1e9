package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"jmld/jml"
	"jmld/jml/access"
	"jmld/jml/policy"
	"jmld/jml/trial"
	"jmld/model"
)

// Cases are what a file of cases for the rules of a configuration says.
type Cases struct {
	List   []trial.Case
	Access access.State // the groups and roles of the configuration, with those of the file
}

// casesFile is the file. Tags are those of Config.
type casesFile struct {
	Day    string     `yaml:"day"` // of cases without one
	Access Access     `yaml:"access"`
	Cases  []caseFile `yaml:"cases,required"`
}

type caseFile struct {
	Name     string              `yaml:"name,required"`
	About    string              `yaml:"about"`
	Day      string              `yaml:"day"`
	Person   map[string]said     `yaml:"person,required"` // by source
	Managers map[string]wanted   `yaml:"managers"`        // by the id that a source names
	Access   []memberFile        `yaml:"access"`
	Taken    map[string][]string `yaml:"taken"`
	Then     []momentFile        `yaml:"then"`
	Expect   *expectFile         `yaml:"expect,required"`
}

type momentFile struct {
	Day      string            `yaml:"day,required"`
	Person   map[string]said   `yaml:"person"`
	Managers map[string]wanted `yaml:"managers"`
}

// memberFile is what the person holds: in one of group, app and namespace, or an exception.
type memberFile struct {
	Exception string `yaml:"exception"` // from this rule of separation
	Group     string `yaml:"group"`
	App       string `yaml:"app"`
	Namespace string `yaml:"namespace"`
	Role      string `yaml:"role"`
	From      string `yaml:"from"`
	Until     string `yaml:"until"`
	Owner     bool   `yaml:"owner"` // of the app
}

type expectFile struct {
	Lifecycle    string         `yaml:"lifecycle" oneof:"established active suspended archived"`
	Organisation *optText       `yaml:"organisation"`
	External     *optBool       `yaml:"external"`
	Categories   []string       `yaml:"categories"`
	Person       wanted         `yaml:"person"`
	Roles        wantedRoles    `yaml:"roles"`
	Accounts     wantedAccounts `yaml:"accounts"`
	Findings     []string       `yaml:"findings"`
}

// said is what one source says: attributes, or that it has nobody any more.
type said struct {
	gone   bool
	values []saidValue
}

type saidValue struct {
	name string
	node ast.Node
	at   route
}

// wanted are attributes with what is expected of them.
type wanted []saidValue

// wantedAccounts are by target; none is no account at all.
type wantedAccounts struct {
	none    bool
	targets []saidValue
}

// wantedRoles are those held somewhere, or those at places.
type wantedRoles struct {
	said   bool
	names  ast.Node // a list; nil: none, or by place
	places []saidValue
}

type accountFile struct {
	State         string   `yaml:"state" default:"active" oneof:"active inactive deleted none"`
	Name          string   `yaml:"name"`
	Rule          string   `yaml:"rule"`
	Administrator *optBool `yaml:"administrator"`
	Attributes    wanted   `yaml:"attributes"`
}

// optText and optBool tell nothing from the zero value: fields of them are pointers.
type optText string

func (t *optText) parse(s string) error { *t = optText(s); return nil }

type optBool bool

func (o *optBool) parse(s string) error {
	if s != "true" && s != "false" {
		return fmt.Errorf("%q is not a condition; expected true or false", s)
	}
	*o = s == "true"
	return nil
}

// LoadCases reads and checks a file of cases. A file with mistakes gives *Mistakes.
func LoadCases(path string, c *Config) (*Cases, error) {
	data, err := readSome(path, maxFile)
	if err != nil {
		return nil, model.Errorf(model.CodeConfig, "read cases: %w", err)
	}
	return ParseCases(path, data, c)
}

// ParseCases checks data as if it were the file called name.
func ParseCases(name string, data []byte, c *Config) (*Cases, error) {
	content := strings.ReplaceAll(strings.TrimPrefix(string(data), "\uFEFF"), "\r\n", "\n")
	r := &report{file: name, lines: strings.Split(content, "\n")}
	var out *Cases
	if tree := parse(r, content); tree != nil {
		d := newDecoder(r, filepath.Dir(name))
		var f casesFile
		d.value(tree, reflect.ValueOf(&f).Elem(), nil, "")
		d.checks = true
		b := &caseBuilder{decoder: d, config: c, sources: map[string]bool{}, roles: map[string]string{}}
		out = b.cases(&f)
	}
	if mistakes, _ := r.finish(); len(mistakes) > 0 {
		return nil, &Mistakes{List: mistakes}
	}
	return out, nil
}

// caseBuilder makes cases of what was read, and reports what cannot be meant.
type caseBuilder struct {
	*decoder
	config  *Config
	sources map[string]bool
	targets []string
	roles   map[string]string // names by id
	tree    *access.Tree
}

func (b *caseBuilder) cases(f *casesFile) *Cases {
	for _, s := range b.config.Sources {
		b.sources[s.Name] = true
	}
	for _, t := range b.config.Targets {
		b.targets = append(b.targets, t.Name)
	}
	out := &Cases{Access: b.config.AccessState()}
	more, _ := declared(&Config{Access: f.Access})
	out.Access.Roles = append(out.Access.Roles, more.Roles...)
	out.Access.Groups = append(out.Access.Groups, more.Groups...)
	out.Access.Resources = append(out.Access.Resources, more.Resources...)
	out.Access.Links = append(out.Access.Links, more.Links...)
	out.Access.Members = append(out.Access.Members, more.Members...)
	var err error
	if b.tree, err = access.New(out.Access); err != nil {
		b.wrong(route{"access"}, "%s", err)
		return nil
	}
	for _, r := range out.Access.Roles {
		b.roles[r.ID] = r.Name
	}
	if len(f.Cases) == 0 && b.has(route{"cases"}) {
		b.wrong(route{"cases"}, "no cases; expected at least one")
	}
	seen := map[string]bool{}
	for i, c := range f.Cases {
		at := route{"cases", i}
		if c.Name != "" && seen[c.Name] {
			b.wrong(at.with("name"), "case %q is there twice; expected a name of its own", c.Name)
		}
		seen[c.Name] = true
		out.List = append(out.List, b.one(c, f.Day, at))
	}
	return out
}

func (b *caseBuilder) one(c caseFile, day string, at route) trial.Case {
	out := trial.Case{Name: c.Name, Line: b.place(at).line, Taken: map[jml.NameKey]bool{}}
	when := at.with("day")
	if c.Day == "" {
		c.Day, when = day, route{"day"}
	}
	if c.Day == "" {
		b.mistake(b.place(at), "day is missing; expected day: YYYY-MM-DD in the case, or at the top of the file for all")
	}
	if b.has(at.with("person")) && len(c.Person) == 0 {
		b.wrong(at.with("person"), "no source says anything; expected at least one")
	}
	all, who := map[string]said{}, managers{}
	last := b.moment(c.Day, when)
	out.Moments = append(out.Moments, who.known(b, b.says(all, c.Person, last, at.with("person")), c.Managers, at.with("managers")))
	for i, m := range c.Then {
		under := at.with("then", i)
		now := b.moment(m.Day, under.with("day"))
		if !now.IsZero() && !now.After(last) {
			b.wrong(under.with("day"), "%s is not after what came before; expected the days in order", m.Day)
		}
		last = now
		out.Moments = append(out.Moments, who.known(b, b.says(all, m.Person, now, under.with("person")), m.Managers, under.with("managers")))
	}
	who.named(b, out.Moments)
	for _, target := range slices.Sorted(maps.Keys(c.Taken)) {
		if !slices.Contains(b.targets, target) {
			b.mistake(b.keyPlace(at.with("taken", target)), "unknown target %q%s", target, meant(target, b.targets))
		}
		for _, name := range c.Taken[target] {
			out.Taken[jml.KeyOfName(target, name)] = true
		}
	}
	for i, m := range c.Access {
		out.Access = append(out.Access, b.member(m, at.with("access", i)))
	}
	if c.Expect != nil {
		out.Expect = b.expectation(c.Expect, at.with("expect"))
	}
	return out
}

// moment is a time, or the noon of a day where people are who have no time zone of their own.
func (b *caseBuilder) moment(text string, at route) time.Time {
	zone := b.config.calendar.Zone
	if zone == nil {
		zone = time.UTC
	}
	if d, err := time.ParseInLocation(time.DateOnly, text, zone); err == nil {
		return time.Date(d.Year(), d.Month(), d.Day(), 12, 0, 0, 0, zone).UTC()
	}
	t, err := jml.StartOf(text, zone)
	if err != nil {
		b.wrong(at, "%s", err)
	}
	return t
}

// says is what the sources say after something new was said.
func (b *caseBuilder) says(all map[string]said, news map[string]said, now time.Time, at route) trial.Moment {
	known := slices.Sorted(maps.Keys(b.sources))
	for _, source := range slices.Sorted(maps.Keys(news)) {
		if !b.sources[source] {
			b.mistake(b.keyPlace(at.with(source)), "unknown source %q%s", source, meant(source, known))
			continue
		}
		said := news[source]
		if before, there := all[source]; there && !said.gone {
			said.values = append(slices.Clone(before.values), said.values...)
		}
		all[source] = said
	}
	m := trial.Moment{At: now}
	for _, source := range slices.Sorted(maps.Keys(all)) {
		if s := all[source]; !s.gone {
			rec, groups := b.record(source, s)
			m.Records, m.Groups = append(m.Records, rec), append(m.Groups, groups...)
		}
	}
	return m
}

func (b *caseBuilder) member(m memberFile, at route) model.AccessMember {
	out := model.AccessMember{Person: trial.Person, Reason: "the case says so", Approver: "the case", Admin: m.Owner, ManagedBy: model.ManagedByConfig,
		ValidFrom: day(m.From), ValidTo: day(m.Until)}
	b.checkOne(at, "group", "app", "namespace", "exception")
	for field, date := range map[string]string{"from": m.From, "until": m.Until} {
		if date != "" && day(date) == nil {
			b.wrong(at.with(field), "%q is not a date; expected such as 2027-03-31", date)
		}
	}
	switch {
	case m.Group != "":
		out.Place = access.Place(access.KindGroup, m.Group)
		if !b.tree.Has(out.Place) {
			var names []string
			for _, g := range b.tree.Groups() {
				names = append(names, g.Name)
			}
			b.wrong(at.with("group"), "unknown group %q%s", m.Group, meant(m.Group, names))
		}
	case m.App != "":
		out.Place = access.Place(access.KindApp, m.App)
	case m.Namespace != "":
		out.Place = access.Place(access.KindNamespace, m.Namespace)
	case m.Exception != "":
		b.exception(m, at)
		out.Place = access.Place(access.KindException, m.Exception)
		return out
	}
	if out.Place != "" && m.Group == "" && !b.tree.Has(out.Place) {
		b.wrong(at, "there is no %s; expected one that access declares", out.Place)
	}
	if m.Owner && m.App == "" {
		b.wrong(at.with("owner"), "only an app has an owner; expected owner beside app")
	}
	if out.Role = access.ID(m.Role); m.Role != "" {
		b.role(m.Role, at.with("role"))
	}
	return out
}

func (b *caseBuilder) expectation(e *expectFile, at route) trial.Expect {
	out := trial.Expect{Lifecycle: e.Lifecycle, Organisation: (*string)(e.Organisation), External: (*bool)(e.External), Categories: e.Categories,
		NoAccounts: e.Accounts.none, Accounts: map[string]trial.Account{}, Findings: e.Findings}
	if list, ok := pairs(b.values[at.String()]); ok && len(list) == 0 {
		b.wrong(at, "nothing is expected; expected such as accounts: {%s: active}", orFirst(b.targets))
	}
	b.checkWords(e.Categories, at.with("categories"), "category", []string{model.CategoryPlatform, model.CategoryExtended, model.CategoryApp})
	out.Attributes = b.expectedValues(e.Person)
	b.expectedRoles(e.Roles, at.with("roles"), &out)
	for _, v := range e.Accounts.targets {
		if !slices.Contains(b.targets, v.name) {
			b.mistake(b.keyPlace(v.at), "unknown target %q%s", v.name, meant(v.name, b.targets))
			continue
		}
		out.Accounts[v.name] = b.expectedAccount(v)
	}
	return out
}

func orFirst(list []string) string {
	if len(list) == 0 {
		return "TARGET"
	}
	return list[0]
}

func (b *caseBuilder) expectedAccount(v saidValue) trial.Account {
	if word, ok := plain(v.node); ok {
		if !slices.Contains(trial.States(), word) {
			b.mistake(start(v.node), "unknown state %q%s", word, meant(word, trial.States()))
		}
		return trial.Account{State: word}
	}
	var f accountFile
	b.checks = false
	b.structure(v.node, reflect.ValueOf(&f).Elem(), v.at)
	b.checks = true
	if f.Rule != "" && !slices.Contains(b.config.compiled.RuleNames(v.name), f.Rule) {
		b.wrong(v.at.with("rule"), "unknown rule %q%s", f.Rule, meant(f.Rule, b.config.compiled.RuleNames(v.name)))
	}
	if gone := f.State == "none" || f.State == "deleted"; gone && (f.Name != "" || f.Rule != "" || f.Administrator != nil || len(f.Attributes) > 0) {
		b.wrong(v.at.with("state"), "an account that is not there has nothing; expected the state alone")
	}
	return trial.Account{State: f.State, Name: f.Name, Rule: f.Rule, Administrator: (*bool)(f.Administrator), Attributes: b.expectedValues(f.Attributes)}
}

// expectedValues are attributes by their SCIM paths.
func (b *caseBuilder) expectedValues(list wanted) []trial.Value {
	var out []trial.Value
	for _, v := range list {
		path, err := policy.ParseAttribute(v.name)
		if err != nil {
			b.mistake(b.keyPlace(v.at), "%s", err)
			continue
		}
		out = append(out, trial.Value{Name: v.name, Path: path, Want: b.anything(v.node)})
	}
	return out
}
