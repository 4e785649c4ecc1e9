package jml_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"jmld/jml"
	"jmld/jml/access"
	"jmld/jml/policy"
	"jmld/model"
)

var update = flag.Bool("update", false, "write what happens into testdata") //nolint:gochecknoglobals // a flag

// story is a file of testdata: one situation, as a governance officer would tell it, and what the core makes of it.
type story struct {
	Title string   `yaml:"title"`
	About string   `yaml:"about"`
	Rows  []string `yaml:"rows"`
	// Incidents are losses of others that the situation keeps from happening here.
	Incidents []string `yaml:"incidents"`

	Rules  storyRules       `yaml:"rules"`
	Policy *storyPolicy     `yaml:"policy"`
	Steps  []map[string]any `yaml:"steps"`

	Happens string `yaml:"happens"`
}

type storyRules struct {
	Precedence  []string            `yaml:"precedence"`
	Authority   map[string][]string `yaml:"authority"`
	Correlation []string            `yaml:"correlation"`
	JoinOnly    []string            `yaml:"join_only"`
	Conditional map[string][]struct {
		Sources   []string
		When      string
		Exclusive bool
	} `yaml:"conditional"`
	TimeZone    string `yaml:"time_zone"`
	Grace       string `yaml:"grace"`
	Engagements map[string][]struct {
		From, Until, Sponsor, Reason string
	} `yaml:"engagements"`
	Protect  storyProtection `yaml:"protect"`
	Entitle  storyEntitle    `yaml:",inline"`
	External struct {
		RequireEnd     bool     `yaml:"require_end"`
		RequireSponsor bool     `yaml:"require_sponsor"`
		Forbidden      []string `yaml:"forbidden"`
	} `yaml:"external"`
}

type storyProtection struct {
	People []struct {
		Name           string
		UserName       string `yaml:"userName"`
		Email          string
		EmployeeNumber string `yaml:"employeeNumber"`
	}
	Accounts []struct {
		Name, Target, Kind string
		UserName           string `yaml:"userName"`
	}
}

func (p storyProtection) protection() (out jml.Protection) {
	for _, e := range p.People {
		key, pattern := jml.KeyUserName, e.UserName
		if e.Email != "" {
			key, pattern = jml.KeyEmail, e.Email
		}
		if e.EmployeeNumber != "" {
			key, pattern = jml.KeyEmployeeNumber, e.EmployeeNumber
		}
		out.People = append(out.People, jml.ProtectedPeople{Name: e.Name, Key: key, Pattern: pattern})
	}
	for _, e := range p.Accounts {
		out.Accounts = append(out.Accounts, jml.ProtectedAccounts{Name: e.Name, Target: e.Target, Pattern: e.UserName, Kind: e.Kind})
	}
	return out
}

type storyPolicy struct {
	Categories yaml.MapSlice `yaml:"categories"`
	Accounts   []struct {
		Name, Target, When, Leaver string
		Attributes                 map[string]string
		BeforeStart                string `yaml:"before_start"`
		DeleteAfter                string `yaml:"delete_after"`
		Administrator              bool   `yaml:"administrator"`
		UserName                   *struct {
			Patterns       []string
			Number, Rename bool
			Longest        int
		} `yaml:"user_name"`
	} `yaml:"accounts"`
	Roles []struct{ Name, Role, Place, When, Source, Group string } `yaml:"roles"`
}

func TestStories(t *testing.T) { // M-01, M-02, M-24, D-20
	t.Parallel()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 200 {
		t.Fatalf("%d stories, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var s story
			if err := yaml.UnmarshalWithOptions(text, &s, yaml.Strict()); err != nil {
				t.Fatal(err)
			}
			got := s.play(t)
			if *update {
				given, _, _ := strings.Cut(string(text), "\nhappens: |\n")
				body := "  " + strings.ReplaceAll(strings.TrimSuffix(got, "\n"), "\n", "\n  ")
				given = strings.TrimRight(given, "\n") + "\nhappens: |\n" + body + "\n"
				if err := os.WriteFile(file, []byte(given), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(s.Happens, got); d != "" {
				t.Errorf("%s (-file +core):\n%s", s.Title, d)
			}
		})
	}
}

func (s story) play(t *testing.T) string {
	rules := usualRules(t)
	if s.Rules.Precedence != nil {
		rules.Precedence = s.Rules.Precedence
	}
	if s.Rules.Correlation != nil {
		rules.Correlation = s.Rules.Correlation
	}
	rules.Authority = s.Rules.Authority
	rules.Calendar, rules.Protect = s.Rules.calendar(t), s.Rules.Protect.protection()
	rules.JoinOnly = s.Rules.JoinOnly
	s.Rules.Entitle.rules(t, rules)
	rules.Conditional = map[string][]jml.Authority{}
	told := usual()
	if s.Policy != nil {
		told = s.Policy.config()
	}
	for name, list := range s.Rules.Conditional {
		for _, a := range list {
			rules.Conditional[name] = append(rules.Conditional[name], jml.Authority{Sources: a.Sources, When: a.When, If: len(told.Conditions), Exclusive: a.Exclusive})
			if a.When != "" {
				told.Conditions = append(told.Conditions, a.When)
			}
		}
	}
	rules.Policy = compile(t, told)
	w := newWorld(rules)
	for i, step := range s.Steps {
		if len(step) != 1 {
			t.Fatalf("step %d has %d parts", i+1, len(step))
		}
		for what, v := range step {
			if what != "later" && what != "asleep until" {
				w.now = w.now.AddDate(0, 0, 1)
			}
			fmt.Fprintf(&w.story, "%d. %s\n", i+1, heading(what, v))
			w.step(t, what, v)
		}
	}
	return w.story.String() + "in the end\n" + w.people()
}

func heading(what string, v any) string {
	switch v := v.(type) {
	case string:
		return what + " " + v
	case []any:
		if len(v) == 0 {
			return what + ": none"
		}
		return what + ": " + strings.Trim(strings.ReplaceAll(fmt.Sprint(v), " ", ", "), "[]")
	}
	return what
}

// step plays one step:
//
//	entra e1: {userName: ada, …}       a source writes a user
//	entra e1: gone                     a source deletes it
//	corp 7: missing                    a complete read does not list it
//	groups of entra e1: [builders]     its groups change
//	new policy: {…}                    the rules change, everybody is reviewed
//	new authority: {active: [entra]}
//	give Ada Example: {role: Developer, place: Builders, from: …, until: …}   a person gives a role
//	take Ada Example: {role: Developer, place: Builders}
//	except Ada Example: {rule: two hands, until: 2027-01-01}                  from a rule of separation
//	roles of: Ada Example                                                     what they hold, and what is withheld
//	new restrictions: {certification: …, separation: …}
//	guard: holds | lets go             whether leavers wait from now on
//	approve: everything                somebody approves all that waits
//	review: everybody
//	look: title of Ada Example         whose word counts
//	decide entra e1: link Ada Example | new | ignore | undo
//	protect: app of Ada Example        somebody protects the account
//	adopted: app of Ada Example        the target had the account before
//	deaf: [platform]                   these targets do nothing that they are told
//	without target: platform           it is no longer configured
//	later: 2027-04-01                  time passes, and whatever is due is done when it is due
//	asleep until: 2027-04-01           time passes, and whatever is due is done then
func (w *world) step(t *testing.T, what string, v any) {
	switch {
	case w.entitles(t, what, v):
		return
	case what == "look":
		attr, name, _ := strings.Cut(v.(string), " of ")
		w.look(t, attr, name)
		return
	case strings.HasPrefix(what, "decide "):
		source, id, _ := strings.Cut(strings.TrimPrefix(what, "decide "), " ")
		w.rule(t, source, id, v.(string))
		return
	case what == "guard":
		w.holding = v == "holds"
		return
	case what == "review":
		w.everybody("looked at again")
		return
	case what == "later":
		w.wait(moment(t, v))
		return
	case what == "asleep until":
		w.now = moment(t, v)
		w.wait(w.now)
		return
	case what == "deaf":
		w.deaf = nil
		for _, target := range v.([]any) {
			w.deaf = append(w.deaf, target.(string))
		}
		w.told()
		return
	case what == "without target":
		w.rules.Targets = slices.DeleteFunc(slices.Clone(w.rules.Targets), func(x string) bool { return x == v })
		w.everybody("target no longer configured")
		return
	case what == "new policy":
		var p storyPolicy
		parse(t, v, &p)
		w.rules.Policy = compile(t, p.config())
		w.everybody("rules changed")
		return
	case what == "new protect":
		var p storyProtection
		parse(t, v, &p)
		w.rules.Protect = p.protection()
		w.everybody("rules changed")
		return
	case what == "approve":
		w.approve()
		return
	case what == "new external":
		parse(t, v, &w.rules.Calendar.External)
		w.everybody("rules changed")
		return
	case what == "new authority":
		w.rules.Authority = map[string][]string{}
		for name, order := range v.(map[string]any) {
			for _, s := range order.([]any) {
				w.rules.Authority[name] = append(w.rules.Authority[name], s.(string))
			}
		}
		w.everybody("rules changed")
		return
	case what == "protect", what == "adopted":
		target, name, _ := strings.Cut(v.(string), " of ")
		for key, a := range w.accounts {
			if key[1] == target && w.identities[key[0]].DisplayName == name {
				a.Origin = map[string]model.Origin{"protect": model.OriginProtected, "adopted": model.OriginAdopted}[what]
				w.accounts[key] = a
				return
			}
		}
		t.Fatalf("no account %v", v)
	}
	if rec, ok := strings.CutPrefix(what, "groups of "); ok {
		w.groups[rec] = nil
		for _, g := range v.([]any) {
			w.groups[rec] = append(w.groups[rec], g.(string))
		}
		source, id, _ := strings.Cut(rec, " ")
		if owner := w.records[rec].IdentityID; owner != "" {
			w.decide(owner, jml.Cause{Source: source, Record: id, Text: "groups changed in " + source})
		}
		return
	}
	source, id, ok := strings.Cut(what, " ")
	if !ok {
		t.Fatalf("unknown step %q", what)
	}
	cur, had := w.records[what]
	switch v {
	case "gone":
		w.say(source, id, nil, "deleted by "+source)
	case "missing":
		if !had {
			t.Fatalf("nobody is %s", what)
		}
		cur.AbsentSince = &w.now
		w.say(source, id, &cur, "missing in a complete read of "+source)
	default:
		rec := record(t, v.(map[string]any))
		text := "created by " + source
		switch {
		case had && cur.AbsentSince != nil:
			text = "back in " + source
		case had && cur.Active && !rec.Active:
			text = "deactivated by " + source
		case had && !cur.Active && rec.Active:
			text = "activated by " + source
		case had:
			text = "changed by " + source
		}
		w.say(source, id, rec, text)
	}
}

func parse(t *testing.T, v, into any) {
	t.Helper()
	text, err := yaml.Marshal(v)
	if err == nil {
		err = yaml.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// record makes a user record of the attributes, with short names for those of the enterprise extension and of e-mail.
func record(t *testing.T, given map[string]any) *model.Record {
	rec := model.Record{Active: true}
	attrs, ext, dates := map[string]any{}, map[string]any{}, map[string]any{}
	for name, v := range given {
		switch name {
		case "active":
			if v == nil { // as no edge of ours stores it
				attrs[name] = nil
				continue
			}
			rec.Active = v.(bool)
		case "externalId":
			rec.ExternalID = v.(string)
		case "employeeNumber", "department", "costCenter", "division":
			ext[name] = v
		case "manager":
			ext[name] = map[string]any{"value": v}
		case "startDate", "endDate", "workerType", "sponsor", "certification", "certified until":
			dates[name] = v
		case "email":
			attrs["emails"] = []any{map[string]any{"value": v, "type": "work", "primary": true}}
		case "emails":
			var list []any
			for _, a := range v.([]any) {
				list = append(list, map[string]any{"value": a})
			}
			attrs["emails"] = list
		default:
			attrs[name] = v
		}
	}
	if len(ext) > 0 {
		attrs[jml.EnterpriseUser] = ext
	}
	if len(dates) > 0 {
		attrs[jml.LifecycleUser] = dates
	}
	rec.UserName, _ = attrs["userName"].(string)
	rec.DisplayName, _ = attrs["displayName"].(string)
	rec.Attrs = jml.Canonical(attrs)
	return &rec
}

func (p storyPolicy) config() policy.Config {
	c := policy.Config{Organisations: usual().Organisations}
	for _, item := range p.Categories {
		c.Categories = append(c.Categories, policy.Category{Name: item.Key.(string), When: item.Value.(string)})
	}
	for _, a := range p.Accounts {
		leaver := policy.LeaverDeactivate
		if a.Leaver == "delete" {
			leaver = policy.LeaverDelete
		}
		var naming *policy.Naming
		if n := a.UserName; n != nil {
			naming = &policy.Naming{Patterns: n.Patterns, Numbered: n.Number, Rename: n.Rename, Longest: n.Longest}
		}
		c.Accounts = append(c.Accounts, policy.Rule{Naming: naming, Name: a.Name, Target: a.Target, When: a.When, Attributes: a.Attributes, Leaver: leaver,
			BeforeStart: duration(a.BeforeStart), DeleteAfter: duration(a.DeleteAfter), Administrator: a.Administrator})
	}
	for _, r := range p.Roles {
		c.Roles = append(c.Roles, policy.RoleRule{Name: r.Name, Role: access.ID(r.Role), Place: access.Place(access.KindGroup, r.Place), When: r.When,
			Source: r.Source, Group: r.Group})
	}
	return c
}

func duration(text string) time.Duration {
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		panic(err)
	}
	return d
}

// moment is the beginning of a day, or a time.
func moment(t *testing.T, v any) time.Time {
	t.Helper()
	text, _ := v.(string)
	at, err := jml.StartOf(text, time.UTC)
	if err != nil || at.IsZero() {
		t.Fatalf("%v: %v", v, err)
	}
	return at
}

func (r storyRules) calendar(t *testing.T) jml.Calendar {
	zone, err := time.LoadLocation(r.TimeZone)
	if err != nil {
		t.Fatal(err)
	}
	c := jml.Calendar{Zone: zone, Grace: duration(r.Grace), Locate: time.LoadLocation, External: jml.External(r.External),
		Engagements: map[string][]jml.Engagement{}}
	for name, periods := range r.Engagements {
		for _, p := range periods {
			from, err := jml.StartOf(p.From, zone)
			if err != nil {
				t.Fatal(err)
			}
			until, err := jml.EndOf(p.Until, zone)
			if err != nil {
				t.Fatal(err)
			}
			c.Engagements[name] = append(c.Engagements[name], jml.Engagement{From: from, Until: until, Sponsor: p.Sponsor, Reason: p.Reason})
		}
	}
	return c
}
