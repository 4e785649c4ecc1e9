package entry

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/traits"

	"jmld/jml/policy"
)

// The names expressions see: `entry.mail` is the list of an attribute's values as text, `dn` the entry's name.
const (
	variable = "entry"
	nameOf   = "dn"
)

// Expression computes the values of one SCIM attribute. It is read-only and may be used by several goroutines.
type Expression struct {
	attrs   []string // as they are written, without duplicates
	literal bool
	program cel.Program
}

// Compile type-checks an expression over `entry`: text, or a list of text when plural, or true, false and whole numbers when
// literal. The mistakes have their line and column in the expression.
func Compile(text string, plural, literal bool) (*Expression, []policy.Mistake) {
	wrong := func(line, col int, format string, args ...any) (*Expression, []policy.Mistake) {
		return nil, []policy.Mistake{{Line: line, Col: col, Text: fmt.Sprintf(format, args...)}}
	}
	env, err := cel.NewEnv(append(policy.Language(),
		cel.Variable(variable, cel.MapType(cel.StringType, cel.ListType(cel.StringType))), cel.Variable(nameOf, cel.StringType))...)
	if err != nil {
		return wrong(0, 0, "expressions cannot be compiled at all: %s", err)
	}
	if strings.TrimSpace(text) == "" {
		return wrong(0, 0, "no expression; expected CEL, such as entry.mail[0].lowerAscii()")
	}
	tree, issues := env.Compile(text)
	if issues.Err() != nil {
		var list []policy.Mistake
		for _, e := range issues.Errors() {
			list = append(list, policy.Mistake{Line: max(1, e.Location.Line()), Col: max(1, e.Location.Column()+1), Text: explain(e.Message)})
		}
		return nil, list
	}
	attrs, at := attributesOf(tree)
	if at != nil {
		return wrong(at.Line, at.Col, "%s", at.Text)
	}
	if len(attrs) == 0 {
		return wrong(1, 1, "the expression uses no attribute of the entry; expected such as entry.mail[0]")
	}
	if out := tree.OutputType(); !accepts(out, plural, literal) {
		return wrong(1, 1, "the expression yields %s; expected %s", cel.FormatCELType(out), wanted(plural, literal))
	}
	estimate, err := env.EstimateCost(tree, sizes{})
	if err != nil {
		return wrong(1, 1, "the cost of the expression cannot be told: %s", err)
	}
	if estimate.Max > policy.MaxCost {
		return wrong(1, 1, "the expression could take too long (cost up to %d); expected at most %d", estimate.Max, policy.MaxCost)
	}
	program, err := env.Program(tree, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(policy.MaxCost))
	if err != nil {
		return wrong(1, 1, "%s; expected another expression", err)
	}
	out := tree.OutputType()
	return &Expression{attrs: attrs, literal: out.IsExactType(cel.BoolType) || out.IsExactType(cel.IntType), program: program}, nil
}

func explain(text string) string {
	if rest, ok := strings.CutPrefix(text, "undeclared reference to '"); ok {
		name, _, _ := strings.Cut(rest, "'")
		return fmt.Sprintf("unknown name %q; expected entry.ATTRIBUTE, dn or a function of CEL", name)
	}
	return policy.Explain(text)
}

func accepts(t *cel.Type, plural, literal bool) bool {
	return t.IsExactType(cel.StringType) || plural && t.IsExactType(cel.ListType(cel.StringType)) ||
		literal && (t.IsExactType(cel.BoolType) || t.IsExactType(cel.IntType))
}

func wanted(plural, literal bool) string {
	switch {
	case plural:
		return "text or a list of text"
	case literal:
		return "text, true or false, or a whole number"
	}
	return "text"
}

// attributesOf lists the attributes the expression looks at: they must be known before an entry is asked for. The mistake
// is a use of `entry` that hides their names.
func attributesOf(tree *cel.Ast) ([]string, *policy.Mistake) {
	var attrs []string
	native := tree.NativeRep()
	named := map[int64]bool{} // uses of the variable that name their attribute
	isEntry := func(e ast.Expr) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == variable }
	var bad *policy.Mistake
	use := func(e ast.Expr, attr string) {
		named[e.ID()] = true
		if err := NoSecret(attr); err != nil && bad == nil {
			at := native.SourceInfo().GetStartLocation(e.ID())
			bad = &policy.Mistake{Line: max(1, at.Line()), Col: at.Column() + 1, Text: err.Error()}
		}
		if !slices.Contains(attrs, attr) {
			attrs = append(attrs, attr)
		}
	}
	ast.PreOrderVisit(native.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.SelectKind:
			if s := e.AsSelect(); isEntry(s.Operand()) {
				use(s.Operand(), s.FieldName())
			}
		case ast.CallKind:
			call := e.AsCall()
			args := call.Args()
			if len(args) != 2 || call.FunctionName() != operators.Index && call.FunctionName() != operators.In {
				return
			}
			if call.FunctionName() == operators.In { // 'mail' in entry
				args = []ast.Expr{args[1], args[0]}
			}
			if isEntry(args[0]) && args[1].Kind() == ast.LiteralKind {
				if name, ok := args[1].AsLiteral().(types.String); ok {
					use(args[0], string(name))
				}
			}
		case ast.IdentKind:
			if isEntry(e) && !named[e.ID()] && bad == nil {
				at := native.SourceInfo().GetStartLocation(e.ID())
				bad = &policy.Mistake{Line: max(1, at.Line()), Col: at.Column() + 1,
					Text: "entry is used without the name of an attribute; expected entry.ATTRIBUTE or entry['ATTRIBUTE']"}
			}
		}
	}))
	return attrs, bad
}

// Attributes are the LDAP attributes the expression looks at, as it writes them.
func (x *Expression) Attributes() []string { return x.attrs }

// Values evaluates the expression for one entry; values returns those of the i-th of Attributes. An empty text is no value.
// An attribute that the entry does not have is an error, unless the expression asks with has() first.
func (x *Expression) Values(dn string, values func(i int) [][]byte) ([]string, error) {
	entry := make(map[string][]string, len(x.attrs))
	for i, attr := range x.attrs {
		raw := values(i)
		if len(raw) == 0 {
			continue
		}
		list := make([]string, len(raw))
		for j, v := range raw {
			if !utf8.Valid(v) {
				return nil, fmt.Errorf("a value of %s is not UTF-8", attr)
			}
			list[j] = string(v)
		}
		slices.Sort(list) // they are a set, RFC 4512 §2.2
		entry[attr] = list
	}
	out, _, err := x.program.Eval(map[string]any{variable: entry, nameOf: dn})
	if err != nil {
		text := strings.TrimPrefix(err.Error(), "operation cancelled: ")
		if attr, missing := strings.CutPrefix(text, "no such key: "); missing {
			return nil, fmt.Errorf("the entry has no %s", attr)
		}
		return nil, fmt.Errorf("%s", text)
	}
	var list []string
	add := func(s string) {
		if strings.TrimSpace(s) != "" {
			list = append(list, s)
		}
	}
	switch v := out.(type) {
	case types.String:
		add(string(v))
	case types.Bool, types.Int:
		add(fmt.Sprint(v.Value()))
	case traits.Lister:
		for it := v.Iterator(); it.HasNext() == types.True; {
			one, ok := it.Next().(types.String)
			if !ok {
				return nil, fmt.Errorf("it yields a list with something that is not text")
			}
			add(string(one))
		}
	default:
		return nil, fmt.Errorf("it yields %s, not text", out.Type().TypeName())
	}
	return list, nil
}

// sizes tells the cost estimate how big an entry may be.
type sizes struct{}

func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

func (sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	const assumedText, assumedValues, assumedAttrs = 256, 100, 50
	path := n.Path()
	if len(path) == 0 || path[0] != variable && path[0] != nameOf {
		return nil
	}
	text := cost.RangedSizeEstimate(0, assumedText)
	if n.Type() == nil {
		return &text
	}
	list := cost.ListSizeEstimate(cost.RangedSizeEstimate(0, assumedValues), text)
	switch n.Type().Kind() {
	case types.ListKind:
		return &list
	case types.MapKind:
		all := cost.MapSizeEstimate(cost.RangedSizeEstimate(0, assumedAttrs), text, list)
		return &all
	}
	return &text
}

// Literal says that values are true, false or whole numbers rather than text.
func (x *Expression) Literal() bool { return x.literal }
