package policy

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
)

const (
	variable = "person"
	typeName = "jmld.Person"

	maxExpression = 16 << 10 // code points
	maxNesting    = 50
	maxNodes      = 10_000
	maxRegexp     = 2_000 // instructions of a compiled pattern

	// MaxCost bounds one expression, compiled for an assumed person and again when it runs. A unit is about the work of
	// comparing two short strings, so the worst expression takes some tens of milliseconds.
	MaxCost = 1_000_000
	// What is assumed of a person when the cost is estimated.
	assumedText   = 256   // bytes in a text
	assumedGroups = 2_000 // values in groups
	assumedValues = 100   // values in other lists
)

// newEnv declares `person` and `access`.
func newEnv(fields []field, parts []*partType) (*cel.Env, error) {
	registry := types.NewEmptyRegistry()
	options := append(Language(),
		cel.CustomTypeAdapter(registry),
		cel.CustomTypeProvider(newProvider(registry, fields, parts)),
		cel.Variable(variable, cel.ObjectType(typeName)),
		cel.Variable(managerVariable, cel.ObjectType(managerType().name)),
	)
	return cel.NewEnv(append(options, accessOptions()...)...)
}

// Language is what all expressions of the configuration have in common: CEL's own functions, its string extension, lower(),
// what names are made with, and bounds on what is compiled. Whoever runs one bounds its cost with MaxCost.
func Language() []cel.EnvOption {
	return append(nameOptions(),
		ext.Strings(),
		cel.Function("lower", cel.MemberOverload("string_lower", []*cel.Type{cel.StringType}, cel.StringType,
			cel.UnaryBinding(func(v ref.Val) ref.Val {
				s, ok := v.(types.String)
				if !ok {
					return types.MaybeNoSuchOverloadErr(v)
				}
				return types.String(strings.ToLower(string(s)))
			}))),
		cel.CostModel(cost.MemberOverload("string_lower",
			cost.EvalCost(cost.Sum(cost.Const(cost.CallCost), cost.StringScan(cost.Length(cost.Target())))),
			cost.ResultSize(cost.AtMost(cost.Scale(cost.Target(), 2))))), // some letters are longer in lower case
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateDurationLiterals()),
		cel.RegexProgramSizeLimit(maxRegexp),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(maxNesting),
		cel.ExpressionNodeLimit(maxNodes),
	)
}

// provider adds the type of `person` to CEL's own types.
type provider struct {
	*types.Registry
	names  []string
	fields map[string]*types.FieldType
	parts  map[string]*partType // by the name of the type
}

func newProvider(r *types.Registry, fields []field, parts []*partType) *provider {
	p := &provider{Registry: r, fields: make(map[string]*types.FieldType, len(fields)), parts: map[string]*partType{}}
	for _, t := range parts {
		p.parts[t.name] = t
	}
	for i, f := range fields {
		p.names = append(p.names, f.name)
		p.fields[f.name] = &types.FieldType{
			Type: f.typ,
			IsSet: func(target any) bool {
				s, ok := target.(*subject)
				if !ok {
					return false
				}
				c := s.read(i)
				return c.value != nil || c.err != nil
			},
			GetFrom: func(target any) (any, error) {
				s, ok := target.(*subject)
				if !ok {
					return nil, errors.New("not a person")
				}
				return s.field(i)
			},
		}
	}
	return p
}

// field is the value, or the reason why there is none. Unassigned is an error: unknown is not no.
func (s *subject) field(i int) (ref.Val, error) {
	c := s.read(i)
	switch {
	case c.err != nil:
		return nil, c.err
	case c.value == nil:
		return nil, fmt.Errorf("person.%s is unassigned", s.fields[i].name)
	}
	return c.value, nil
}

func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if name == typeName || name == accessType || p.parts[name] != nil {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return p.Registry.FindStructType(name)
}

func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	if name == typeName {
		return p.names, true
	}
	if name == accessType {
		return accessNames(), true
	}
	if t := p.parts[name]; t != nil {
		return t.names, true
	}
	return p.Registry.FindStructFieldNames(name)
}

func (p *provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	if name == typeName {
		f, ok := p.fields[field]
		return f, ok
	}
	if name == accessType {
		return accessField(field)
	}
	if t := p.parts[name]; t != nil {
		return t.fieldType(field)
	}
	return p.Registry.FindStructFieldType(name, field)
}

// NewValue is never reached for a person: expressions that build objects are refused when they are compiled.
func (p *provider) NewValue(name string, fields map[string]ref.Val) ref.Val {
	if name == typeName || name == accessType || p.parts[name] != nil {
		return types.NewErr("a person cannot be made")
	}
	return p.Registry.NewValue(name, fields)
}

// subject is the value of `person`: a ref.Val whose fields are found by the provider, or by name after dyn().

var (
	_ ref.Val            = (*subject)(nil)
	_ traits.Indexer     = (*subject)(nil)
	_ traits.FieldTester = (*subject)(nil)
	_ cel.Activation     = (*subject)(nil)
)

func (s *subject) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("person cannot be converted to %v", t)
}

func (s *subject) ConvertToType(t ref.Type) ref.Val {
	if t.TypeName() == types.TypeType.TypeName() {
		return cel.ObjectType(typeName)
	}
	return types.NewErr("person cannot be converted to %s", t.TypeName())
}

func (s *subject) Equal(other ref.Val) ref.Val { return types.Bool(other == ref.Val(s)) }
func (s *subject) Type() ref.Type              { return cel.ObjectType(typeName) }
func (s *subject) Value() any                  { return s }

// Get serves dyn(person).name.
func (s *subject) Get(name ref.Val) ref.Val {
	i := s.index(name)
	if i < 0 {
		return types.NewErr("person has no field %v", name.Value())
	}
	v, err := s.field(i)
	if err != nil {
		return types.WrapErr(err)
	}
	return v
}

// IsSet serves has(dyn(person).name).
func (s *subject) IsSet(name ref.Val) ref.Val {
	i := s.index(name)
	if i < 0 {
		return types.NewErr("person has no field %v", name.Value())
	}
	c := s.read(i)
	return types.Bool(c.value != nil || c.err != nil)
}

func (s *subject) index(name ref.Val) int {
	for i := range s.fields {
		if name.Value() == s.fields[i].name {
			return i
		}
	}
	return -1
}

// ResolveName and Parent make the subject the activation in which its expressions run.
func (s *subject) ResolveName(name string) (any, bool) {
	switch name {
	case variable:
		return s, true
	case accessVariable:
		return accessValue{s.person.Access}, true
	case managerVariable:
		return &partValue{s.manager, s.person.Manager}, true
	}
	return nil, false
}

func (s *subject) Parent() cel.Activation { return nil }

// sizes tells the cost estimate how big a person may be.
type sizes struct{}

func (sizes) EstimateCallCost(function, _ string, _ *cost.AstNode, _ []cost.AstNode) *cost.CallEstimate {
	if function != "rolesOn" && function != "permissionsOn" {
		return nil
	}
	work := cost.FixedCostEstimate(assumedGroups)
	return cost.NewListCallEstimate(work, cost.ListSizeEstimate(cost.RangedSizeEstimate(0, assumedGroups), cost.RangedSizeEstimate(0, assumedText)))
}

func (sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	path := n.Path()
	if len(path) == 0 || path[0] != variable && path[0] != accessVariable && path[0] != managerVariable {
		return nil
	}
	text := cost.RangedSizeEstimate(0, assumedText)
	if n.Type() != nil && n.Type().Kind() == types.ListKind {
		count := uint64(assumedValues)
		if path[len(path)-1] == "groups" || path[0] == accessVariable {
			count = assumedGroups
		}
		list := cost.ListSizeEstimate(cost.RangedSizeEstimate(0, count), text)
		return &list
	}
	return &text
}
