package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"jmld/model"
)

// Policy is a compiled Config. It is read-only and may be used by several goroutines.
type Policy struct {
	fields     []field
	domains    domainTable
	categories []category
	rules      map[string][]rule // by target
	targets    []string          // that rules name, sorted
	defaults   []defaultPath
	ahead      []time.Duration // of the rules, each once, sorted
	conditions []program
	roles      []roleRule
	manager    *partType

	asksManagers bool
}

type roleRule struct {
	RoleRule
	when program
}

type category struct {
	name string
	when program
}

type rule struct {
	Rule
	when  program
	attrs []mapping // sorted by path; nil: the default mapping
	names []program // of Naming.Patterns
}

type mapping struct {
	name string
	path path
	expr program
}

// program is an expression in two forms. The metered one is stopped at MaxCost; it takes twice the time, and is needed
// only for people bigger than the estimate assumed.
type program struct{ plain, metered cel.Program }

// Compile type-checks the policy. It returns every mistake there is, in the order of the Config; the Policy is nil when
// there are any, but those that May be none and those of Lint. targets are the names of the configured targets.
func Compile(c Config, targets []string) (*Policy, []Mistake) {
	parts, extensions := partTypes(c.Extensions)
	var declared []field
	for _, e := range c.Extensions {
		if t := extensions[e.URN]; t != nil {
			declared = append(declared, field{e.Name, types.NewObjectType(t.name), func(s *subject) (any, error) {
				m, _ := s.person.Attrs[e.URN].(map[string]any)
				return &partValue{t, m}, nil
			}})
		}
	}
	fields, manager := fieldTable(declared...), managerType()
	parts = append(parts, manager)
	env, err := newEnv(fields, parts)
	if err != nil {
		return nil, []Mistake{{Text: "expressions cannot be compiled at all: " + err.Error()}}
	}
	k := &compiler{env: env, fields: fields, parts: parts, known: c.Known, yielded: []string{}}
	p := &Policy{fields: fields, rules: map[string][]rule{}, defaults: defaultPaths(), manager: manager}
	p.domains, k.bad = compileDomains(c.Organisations)
	p.categories = k.categories(c.Categories)
	ruleNames := map[string]bool{}
	for i, r := range c.Accounts {
		out := k.rule(r, []any{"accounts", i}, ruleNames, targets)
		p.rules[r.Target] = append(p.rules[r.Target], out)
		if r.BeforeStart > 0 {
			p.ahead = append(p.ahead, r.BeforeStart)
		}
	}
	k.named(c.Accounts)
	k.shadowed(c.Accounts)
	slices.Sort(p.ahead)
	p.ahead = slices.Compact(p.ahead)
	k.yielded = nil // what is said of categories is said below
	for i, when := range c.Conditions {
		at, before := []any{"conditions", i}, k.managers
		k.managers = false
		p.conditions = append(p.conditions, k.early(when, at))
		if k.managers {
			k.mistake(at, "manager is not known here: who that is follows from what this decides")
		}
		k.managers = before
	}
	for i, r := range c.Roles {
		at := []any{"roles", i}
		k.ruleName(r.Name, under(at, "name"), ruleNames)
		out := roleRule{RoleRule: r}
		if r.Group == "" {
			out.when = k.early(r.When, under(at, "when"))
		}
		p.roles = append(p.roles, out)
	}
	if slices.ContainsFunc(k.bad, func(m Mistake) bool { return !m.May && !m.Lint }) {
		return nil, k.bad
	}
	for t := range p.rules {
		p.targets = append(p.targets, t)
	}
	slices.Sort(p.targets)
	p.asksManagers = k.managers
	return p, k.bad
}

// compiler collects the mistakes.
type compiler struct {
	env    *cel.Env
	fields []field
	parts  []*partType
	bad    []Mistake

	known    Known
	managers bool     // an expression asks about the manager
	yielded  []string // categories of the rules so far
}

func (k *compiler) mistake(at []any, format string, args ...any) {
	k.bad = append(k.bad, Mistake{Path: at, Text: fmt.Sprintf(format, args...)})
}

// lint is a mistake of a policy that can be worked with.
func (k *compiler) lint(at []any, format string, args ...any) {
	k.bad = append(k.bad, Mistake{Path: at, Text: fmt.Sprintf(format, args...), Lint: true})
}

// under makes a path of its own: append could share memory between mistakes.
func under(at []any, more ...any) []any { return append(slices.Clone(at), more...) }

func (k *compiler) categories(list []Category) []category {
	known := []string{model.CategoryPlatform, model.CategoryExtended, model.CategoryApp}
	seen := map[string]bool{}
	var out []category
	for _, c := range list {
		at := []any{"categories", c.Name}
		switch {
		case !slices.Contains(known, c.Name):
			k.bad = append(k.bad, Mistake{Path: at, Key: true,
				Text: fmt.Sprintf("unknown category %q%s", c.Name, meant(c.Name, known))})
		case seen[c.Name]:
			k.mistake(at, "category %s is there twice; expected one expression, joined with ||", c.Name)
		}
		seen[c.Name] = true
		_, when := k.condition(c.When, at)
		out = append(out, category{c.Name, when})
		k.yielded = append(k.yielded, c.Name)
	}
	return out
}

func (k *compiler) ruleName(name string, at []any, seen map[string]bool) {
	switch {
	case name == "":
		k.mistake(at, "a rule needs a name; it is shown as the reason for what it gives")
	case seen[name]:
		k.mistake(at, "rule %q is there twice; expected a name of its own", name)
	}
	seen[name] = true
}

// early is a condition of something that categories and access follow from.
func (k *compiler) early(when string, at []any) program {
	tree, prog := k.condition(when, at)
	if tree == nil {
		return prog
	}
	ast.PreOrderVisit(tree.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch {
		case e.Kind() == ast.SelectKind && e.AsSelect().FieldName() == "categories":
			k.mistake(at, "person.categories is not known here: categories follow from what this decides")
		case e.Kind() == ast.IdentKind && e.AsIdent() == accessVariable:
			k.mistake(at, "access is not known here: what people may do follows from what this decides")
		}
	}))
	return prog
}

func (k *compiler) rule(r Rule, at []any, seen map[string]bool, targets []string) rule {
	k.ruleName(r.Name, under(at, "name"), seen)
	if !slices.Contains(targets, r.Target) {
		if len(targets) == 0 {
			k.mistake(under(at, "target"), "unknown target %q; no targets are configured", r.Target)
		} else {
			k.mistake(under(at, "target"), "unknown target %q%s", r.Target, meant(r.Target, targets))
		}
	}
	if r.Leaver != LeaverDeactivate && r.Leaver != LeaverDelete {
		k.mistake(under(at, "leaver"), "unknown way %q; expected deactivate or delete", r.Leaver)
	}
	if r.Leaver == LeaverDelete && r.DeleteAfter > 0 {
		k.bad = append(k.bad, Mistake{Path: under(at, "delete_after"), Key: true, Text: "leaver: delete deletes at once; expected one of both"})
	}
	_, when := k.condition(r.When, under(at, "when"))
	out := rule{Rule: r, when: when}
	out.Attributes, out.names = nil, k.naming(r, at) // compiled into attrs
	if r.Attributes == nil {
		return out
	}
	at = under(at, "attributes")
	if _, ok := r.Attributes["userName"]; !ok && r.Naming == nil {
		k.mistake(at, "userName is missing; expected it among the attributes, or no attributes for the default ones")
	}
	names := make([]string, 0, len(r.Attributes))
	for name := range r.Attributes {
		names = append(names, name)
	}
	slices.Sort(names)
	out.attrs = make([]mapping, 0, len(names))
	mapped := map[string]string{}
	for _, name := range names {
		m := k.mapping(name, r.Attributes[name], under(at, name))
		full := strings.Join(m.path.steps, "\x00")
		if other, twice := mapped[full]; twice && full != "" {
			k.bad = append(k.bad, Mistake{Path: under(at, name), Key: true,
				Text: fmt.Sprintf("%s and %s are the same attribute; expected one of them", other, name)})
		}
		mapped[full] = name
		out.attrs = append(out.attrs, m)
	}
	return out
}

func (k *compiler) mapping(name, expr string, at []any) mapping {
	p, err := parsePath(name)
	if err != nil {
		k.bad = append(k.bad, Mistake{Path: at, Key: true, Text: err.Error()})
	}
	tree, prog := k.compile(expr, at)
	if tree != nil && err == nil {
		if ok, want := p.accepts(tree.OutputType()); !ok {
			k.mistake(at, "the expression yields %s; expected %s", typeText(tree.OutputType()), want)
		}
	}
	return mapping{name, p, prog}
}

func (k *compiler) condition(expr string, at []any) (*cel.Ast, program) {
	tree, prog := k.compile(expr, at)
	if tree != nil && !tree.OutputType().IsExactType(cel.BoolType) {
		k.mistake(at, "the expression yields %s; expected a condition, true or false", typeText(tree.OutputType()))
		return tree, prog
	}
	if tree != nil {
		if m := k.never(tree); m != nil {
			m.Path, m.Lint = at, true
			k.bad = append(k.bad, *m)
		}
	}
	return tree, prog
}

// compile checks one expression; tree is nil when it has a mistake.
func (k *compiler) compile(expr string, at []any) (*cel.Ast, program) {
	if strings.TrimSpace(expr) == "" {
		k.mistake(at, `no expression; expected CEL, such as person.active or "true"`)
		return nil, program{}
	}
	tree, issues := k.env.Compile(expr)
	if issues.Err() != nil {
		for _, e := range issues.Errors() {
			line, col := max(1, e.Location.Line()), max(1, e.Location.Column()+1)
			of := ""
			if name, ok := quoted(e.Message, undefinedField); ok { // the checker points at the dot before it
				col = behindDot(expr, line, col, name)
				of = operand(expr, line, col)
			}
			k.bad = append(k.bad, Mistake{Path: at, Line: line, Col: col, Text: k.explain(e.Message, of)})
		}
		return nil, program{}
	}
	if m := k.objects(tree); m != nil {
		m.Path = at
		k.bad = append(k.bad, *m)
		return nil, program{}
	}
	k.asksManager(tree)
	unknown := k.unknown(tree)
	if unknown != nil {
		unknown.Path, unknown.Lint = at, !unknown.May
		k.bad = append(k.bad, *unknown)
	}
	estimate, err := k.env.EstimateCost(tree, sizes{})
	if err != nil {
		k.mistake(at, "the cost of the expression cannot be told: %s", err)
		return nil, program{}
	}
	if estimate.Max > MaxCost {
		k.mistake(at, "the expression could take too long (cost up to %d for a person in %d groups); expected at most %d,"+
			" with fewer nested lists", estimate.Max, assumedGroups, MaxCost)
		return nil, program{}
	}
	plain, err := k.env.Program(tree, cel.EvalOptions(cel.OptOptimize))
	if err == nil {
		var metered cel.Program
		if metered, err = k.env.Program(tree, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(MaxCost)); err == nil {
			if unknown != nil && unknown.Lint { // one mistake at a place
				tree = nil
			}
			return tree, program{plain, metered}
		}
	}
	k.mistake(at, "%s; expected another expression", err)
	return nil, program{}
}

const undefinedField = "undefined field '"

// behindDot moves from the place the checker names, a dot or the bracket of has(), to the field, if that is in the same
// line.
func behindDot(expr string, line, col int, name string) int {
	lines := strings.Split(expr, "\n")
	if line > len(lines) {
		return col
	}
	runes := []rune(lines[line-1])
	for i := max(col-1, 0); i < len(runes); i++ {
		if runes[i] != '.' {
			continue
		}
		rest := string(runes[i+1:])
		if skipped := len(rest) - len(strings.TrimLeft(rest, " \t")); strings.HasPrefix(rest[skipped:], name) {
			return i + 2 + skipped
		}
	}
	return col
}

// operand is the name, such as person or person.hr, of what has the field in the column; "" where it is not named in the line.
func operand(expr string, line, col int) string {
	lines := strings.Split(expr, "\n")
	if line > len(lines) {
		return ""
	}
	runes := []rune(lines[line-1])
	before, dot := strings.CutSuffix(strings.TrimRight(string(runes[:min(col-1, len(runes))]), " \t"), ".")
	if !dot {
		return ""
	}
	before = strings.TrimRight(before, " \t")
	name := strings.LastIndexFunc(before, func(r rune) bool { return r != '.' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	return before[name+1:]
}

// objects refuses expressions that build objects: nothing here takes one.
func (k *compiler) objects(tree *cel.Ast) *Mistake {
	var found *Mistake
	native := tree.NativeRep()
	ast.PreOrderVisit(native.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.StructKind && found == nil {
			at := native.SourceInfo().GetStartLocation(e.ID())
			found = &Mistake{Line: max(1, at.Line()), Col: at.Column() + 1,
				Text: "an expression makes no objects; expected text, true or false, or a list of text"}
		}
	}))
	return found
}

// fieldsOf are the fields of what has that name; of "", everything there is but those of access.
func (k *compiler) fieldsOf(of string) []string {
	var list []string
	if of == accessVariable {
		return accessNames()
	}
	for _, p := range k.parts {
		if p.label == of {
			return p.names
		}
	}
	for _, f := range k.fields {
		list = append(list, f.name)
	}
	for _, p := range k.parts {
		if short, ok := strings.CutPrefix(p.label, variable+"."); ok || of != variable {
			for _, f := range p.names {
				list = append(list, short+"."+f)
			}
		}
	}
	return list
}

// explain puts the commonest messages of the checker into our words. of has the field that a message is about.
func (k *compiler) explain(text, of string) string {
	if name, ok := quoted(text, undefinedField); ok {
		list := k.fieldsOf(of)
		if near := Nearest(name, accessNames()); near != "" && Nearest(name, list) == "" {
			return fmt.Sprintf("unknown field %q; did you mean access.%s?", name, near)
		}
		return fmt.Sprintf("unknown field %q%s", name, meant(name, list))
	}
	if name, ok := quoted(text, "undeclared reference to '"); ok {
		if near := Nearest(name, []string{variable, accessVariable, managerVariable}); near != "" {
			return fmt.Sprintf("unknown name %q; did you mean %s?", name, near)
		}
		return fmt.Sprintf("unknown name %q; expected person.FIELD, access.FIELD, manager.FIELD or a function of CEL", name)
	}
	return Explain(text)
}

// Explain puts a message of CEL's parser or checker into our words.
func Explain(text string) string {
	text = strings.TrimPrefix(text, "Syntax error: ")
	switch {
	case strings.HasPrefix(text, "mismatched input '<EOF>'"):
		return "the expression ends too early; expected more"
	case strings.HasPrefix(text, "mismatched input"), strings.HasPrefix(text, "extraneous input"):
		text, _, _ = strings.Cut(text, " expecting ") // a list of all that CEL has
	case text == "invalid matches argument":
		return "not a regular expression; expected RE2 syntax"
	}
	return text + "; expected a CEL expression"
}

func quoted(text, prefix string) (string, bool) {
	rest, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return "", false
	}
	name, _, _ := strings.Cut(rest, "'")
	return name, true
}

func typeText(t *cel.Type) string {
	switch {
	case t.IsExactType(cel.StringType):
		return "text"
	case t.IsExactType(cel.BoolType):
		return "true or false"
	case t.IsExactType(cel.ListType(cel.StringType)):
		return "a list of text"
	case t.IsExactType(cel.ObjectType(typeName)):
		return "a person"
	case t.IsExactType(cel.NullType):
		return `null (write "" to leave an attribute out)`
	}
	return cel.FormatCELType(t)
}
