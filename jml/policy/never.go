package policy

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"jmld/jml/access"
	"jmld/model"
)

// Conditions that cannot hold are mistakes: whoever wrote one meant something else. What is found:
//
//	1 == 2, person.active && false                          false whatever the person
//	person.title == "A" && person.title == "B"              two values at once
//	person.title in ["A", "B"] && person.title == "C"       the same
//	person.active && !person.active                         yes and no at once
//	"platform" in person.categories, and no rule yields it  a name that nothing has
//
// It is found in each way in which && and || let the condition hold. What is not found may still never hold.

const (
	mostWays  = 256  // are looked at
	mostParts = 4096 // of a condition are visited for them: a condition within a condition is needed as true and as false
)

// claim is a part of a condition without && and ||, wanted or refused.
type claim struct {
	expr ast.Expr
	not  bool
}

// ways are the lists of claims of which one has to hold as a whole; ok is false when there are too many. left is how many parts may
// still be visited.
func ways(e ast.Expr, not bool, left *int) (list [][]claim, ok bool) {
	if *left--; *left < 0 {
		return nil, false
	}
	if e.Kind() == ast.LiteralKind {
		if e.AsLiteral() == types.Bool(!not) {
			return [][]claim{nil}, true
		}
		return nil, true
	}
	if e.Kind() != ast.CallKind {
		return [][]claim{{{e, not}}}, true
	}
	call := e.AsCall()
	args := call.Args()
	switch call.FunctionName() {
	case operators.LogicalNot:
		return ways(args[0], !not, left)
	case operators.LogicalAnd, operators.LogicalOr:
		a, okA := ways(args[0], not, left)
		b, okB := ways(args[1], not, left)
		if (call.FunctionName() == operators.LogicalAnd) != not {
			list = both(a, b)
		} else {
			list = append(slices.Clone(a), b...)
		}
		return list, okA && okB && len(list) <= mostWays
	case operators.Conditional:
		yes, ok1 := ways(args[0], false, left)
		no, ok2 := ways(args[0], true, left)
		a, ok3 := ways(args[1], not, left)
		b, ok4 := ways(args[2], not, left)
		list = append(both(yes, a), both(no, b)...)
		return list, ok1 && ok2 && ok3 && ok4 && len(list) <= mostWays
	}
	return [][]claim{{{e, not}}}, true
}

func both(a, b [][]claim) [][]claim {
	var out [][]claim
	for _, x := range a {
		for _, y := range b {
			if len(out) > mostWays {
				return out
			}
			out = append(out, slices.Concat(x, y))
		}
	}
	return out
}

// never says why a condition cannot hold, and where; nil: it may.
func (k *compiler) never(tree *cel.Ast) *Mistake {
	if folded := k.fold(tree); folded == types.False {
		return &Mistake{Text: "the condition is never true; expected one that can hold, or no rule"}
	}
	native := tree.NativeRep()
	left := mostParts
	all, ok := ways(native.Expr(), false, &left)
	if !ok {
		return nil
	}
	var first *Mistake
	for _, claims := range all {
		m := k.contradiction(native, claims)
		if m == nil {
			return nil
		}
		if first == nil {
			first = m
		}
	}
	return first
}

// fold is the constant that an expression is, or nil.
func (k *compiler) fold(tree *cel.Ast) ref.Val {
	folding, err := cel.NewConstantFoldingOptimizer()
	if err != nil {
		return nil
	}
	opt, err := cel.NewStaticOptimizer(folding)
	if err != nil {
		return nil
	}
	out, issues := opt.Optimize(k.env, tree)
	if issues.Err() != nil || out.NativeRep().Expr().Kind() != ast.LiteralKind {
		return nil
	}
	return out.NativeRep().Expr().AsLiteral()
}

// allowed are the values that something may have, as far as the claims say.
type allowed struct {
	may  []ref.Val // nil: anything
	not  []ref.Val
	seen ref.Val // what was said first
}

func (k *compiler) contradiction(tree *ast.AST, claims []claim) *Mistake {
	said, of := map[string]bool{}, map[string]*allowed{}
	at := func(e ast.Expr, format string, args ...any) *Mistake {
		loc := tree.SourceInfo().GetStartLocation(e.ID())
		return &Mistake{Line: max(1, loc.Line()), Col: loc.Column() + 1, Text: fmt.Sprintf(format, args...) + "; expected a condition that can hold"}
	}
	for _, c := range claims {
		subject, list, not, ok := compared(c)
		if !ok {
			subject, list = c.expr, []ref.Val{types.True}
			not = c.not
		}
		name, err := cel.ExprToString(subject, tree.SourceInfo())
		if err != nil {
			continue
		}
		if len(list) == 1 && list[0].Type() == types.BoolType { // x, x == true, x != false are the same
			want := (list[0] == types.True) != not
			if was, twice := said[name]; twice && was != want {
				return at(c.expr, "%s would have to be true and false at once", name)
			}
			said[name] = want
			continue
		}
		v := of[name]
		if v == nil {
			v = &allowed{}
			of[name] = v
		}
		switch {
		case not:
			v.not = append(v.not, list...)
		case v.may == nil:
			v.may, v.seen = slices.Clone(list), list[0]
		default:
			v.may = slices.DeleteFunc(v.may, func(x ref.Val) bool {
				return !slices.ContainsFunc(list, func(y ref.Val) bool { return x.Equal(y) == types.True })
			})
		}
		if v.may == nil {
			continue
		}
		left := slices.ContainsFunc(v.may, func(x ref.Val) bool {
			return !slices.ContainsFunc(v.not, func(y ref.Val) bool { return x.Equal(y) == types.True })
		})
		if !left {
			verb := "be"
			if not {
				verb = "not be"
			}
			return at(c.expr, "%s would have to be %s and %s %s at once", name, constant(v.seen), verb, constant(list[0]))
		}
	}
	return nil
}

// compared takes `x == constant`, `x != constant` and `x in [constants]` apart.
func compared(c claim) (subject ast.Expr, list []ref.Val, not, ok bool) {
	if c.expr.Kind() != ast.CallKind {
		return nil, nil, false, false
	}
	call := c.expr.AsCall()
	args := call.Args()
	switch call.FunctionName() {
	case operators.Equals, operators.NotEquals:
		not = c.not != (call.FunctionName() == operators.NotEquals)
		for i := range args {
			if args[i].Kind() == ast.LiteralKind && args[1-i].Kind() != ast.LiteralKind {
				return args[1-i], []ref.Val{args[i].AsLiteral()}, not, true
			}
		}
	case operators.In:
		if args[1].Kind() != ast.ListKind || args[0].Kind() == ast.LiteralKind || args[1].AsList().Size() == 0 {
			break
		}
		for _, e := range args[1].AsList().Elements() {
			if e.Kind() != ast.LiteralKind {
				return nil, nil, false, false
			}
			list = append(list, e.AsLiteral())
		}
		return args[0], list, c.not, true
	}
	return nil, nil, false, false
}

func constant(v ref.Val) string {
	if s, ok := v.(types.String); ok {
		return fmt.Sprintf("%q", string(s))
	}
	return fmt.Sprint(v.Value())
}

// Known are the names that expressions may speak of; nil: nobody knows them, and any will do.
type Known struct {
	Sources, Organisations, Groups, Roles, Resources, Permissions []string
}

// unknown finds a name in an expression that nothing has: of a category, a source or an organisation; or that nothing declared has: of a
// group, a role, a resource or a permission. Operators make those, too, beside the declared ones.
func (k *compiler) unknown(tree *cel.Ast) *Mistake {
	native := tree.NativeRep()
	var found *Mistake
	check := func(e ast.Expr, what string, known []string, may bool) {
		if found != nil && (may || !found.May) || known == nil || e.Kind() != ast.LiteralKind {
			return
		}
		name, ok := e.AsLiteral().(types.String)
		if !ok || name == "" || slices.Contains(known, string(name)) {
			return
		}
		loc := native.SourceInfo().GetStartLocation(e.ID())
		found = &Mistake{Line: max(1, loc.Line()), Col: loc.Column() + 1, May: may}
		if len(known) == 0 {
			found.Text = fmt.Sprintf("unknown %s %q; there is none", what, string(name))
			return
		}
		found.Text = fmt.Sprintf("unknown %s %q%s", what, string(name), meant(string(name), known))
	}
	each := func(subject, names ast.Expr, what string) {
		field := fieldOf(subject)
		known, word := k.names(field)
		if what == "list" {
			known, word = k.elements(field)
		}
		may := strings.HasPrefix(field, accessVariable+".")
		if names.Kind() == ast.ListKind {
			for _, e := range names.AsList().Elements() {
				check(e, word, known, may)
			}
			return
		}
		check(names, word, known, may)
	}
	ast.PreOrderVisit(native.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind {
			return
		}
		call := e.AsCall()
		args := call.Args()
		switch call.FunctionName() {
		case operators.In:
			each(args[1], args[0], "list") // "x" in person.categories
			each(args[0], args[1], "one")  // person.lifecycle in ["x"]
		case operators.Equals, operators.NotEquals:
			each(args[0], args[1], "one")
			each(args[1], args[0], "one")
		case "rolesOn", "permissionsOn":
			if known := k.known.Resources; known != nil && args[0].Kind() == ast.LiteralKind {
				if name, ok := args[0].AsLiteral().(types.String); ok && !slices.Contains(known, anyPlace(string(name))) {
					check(args[0], "resource", known, true)
				}
			}
		case "translit":
			if len(args) == 1 {
				check(args[0], "custom of transliteration", []string{"de", "nordic"}, false)
			}
		}
	}))
	return found
}

// fieldOf is "person.FIELD" or "access.FIELD", or "".
func fieldOf(e ast.Expr) string {
	if e.Kind() != ast.SelectKind || e.AsSelect().IsTestOnly() || e.AsSelect().Operand().Kind() != ast.IdentKind {
		return ""
	}
	return e.AsSelect().Operand().AsIdent() + "." + e.AsSelect().FieldName()
}

// names are the values that a field may have.
func (k *compiler) names(field string) (known []string, what string) {
	switch field {
	case "person.lifecycle":
		return []string{string(model.Established), string(model.Active), string(model.Suspended), string(model.Archived)}, "phase"
	case "person.organisation":
		if k.known.Organisations != nil {
			return k.known.Organisations, "organisation"
		}
	}
	return nil, ""
}

// elements are the values that a list may have.
func (k *compiler) elements(field string) (known []string, what string) {
	switch field {
	case "person.categories":
		return k.yielded, "category, or one that no category rule yields,"
	case "person.sources":
		return k.known.Sources, "source"
	case "access.groups":
		return k.known.Groups, "group"
	case "access.roles":
		return k.known.Roles, "role"
	case "access.resources":
		return k.known.Resources, "resource"
	case "access.permissions":
		return k.known.Permissions, "permission"
	}
	return nil, ""
}

// anyPlace is a place as rules may write it, in full.
func anyPlace(text string) string {
	switch kind, name, _ := strings.Cut(text, ":"); kind {
	case access.KindApp, access.KindNamespace, access.KindGroup:
		return access.Place(kind, name)
	}
	return access.Place(access.KindApp, text)
}

// shadowed finds rules that never count, because one before them in the same target always holds.
func (k *compiler) shadowed(rules []Rule) {
	always := map[string]string{}
	for i, r := range rules {
		if before, ok := always[r.Target]; ok {
			k.lint([]any{"accounts", i, "when"}, "rule %s comes before and always holds, so that this one never counts; expected it behind this one", before)
			continue
		}
		if tree, issues := k.env.Compile(r.When); issues.Err() == nil && k.fold(tree) == types.True {
			always[r.Target] = r.Name
		}
	}
}
