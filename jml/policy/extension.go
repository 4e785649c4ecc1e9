package policy

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"jmld/model"
)

// FieldNames are the fields of `person` that are there whatever extensions are declared.
func FieldNames() []string {
	var list []string
	for _, f := range fieldTable() {
		list = append(list, f.name)
	}
	return list
}

// partType is the type of a declared extension, or of a complex attribute of one.
type partType struct {
	name   string // "jmld.Person.hr"
	label  string // "person.hr"
	fields map[string]partField
	names  []string
}

type partField struct {
	typ *types.Type
	// get returns nil when nobody said anything.
	get func(v any) (ref.Val, error)
}

// partTypes are the types of the declared extensions of users, in their order, each followed by those of its complex
// attributes. Attributes whose names are no identifiers of CEL are not there, nor are lists of objects without a value.
func partTypes(extensions []model.Extension) (all []*partType, top map[string]*partType) {
	top = map[string]*partType{}
	for _, e := range extensions {
		if e.Kind == model.KindUser {
			top[e.URN] = newPartType(e.Name, e.Attributes, &all)
		}
	}
	return all, top
}

func newPartType(name string, attrs []model.Attribute, all *[]*partType) *partType {
	p := &partType{name: typeName + "." + name, label: variable + "." + name, fields: map[string]partField{}}
	*all = append(*all, p)
	identifier := regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)
	for _, a := range attrs {
		if !identifier.MatchString(a.Name) {
			continue
		}
		f, ok := newPartField(name, a, all)
		if ok {
			p.fields[a.Name] = f
			p.names = append(p.names, a.Name)
		}
	}
	return p
}

func newPartField(name string, a model.Attribute, all *[]*partType) (partField, bool) {
	typ, one := scalarOf(a.Type)
	if a.Type == model.TypeComplex {
		if !a.MultiValued {
			inner := newPartType(name+"."+a.Name, a.Attributes, all)
			return partField{cel.ObjectType(inner.name), func(v any) (ref.Val, error) {
				m, _ := v.(map[string]any)
				return &partValue{inner, m}, nil
			}}, true
		}
		found := false
		for _, s := range a.Attributes {
			if s.Name == "value" {
				typ, one = scalarOf(s.Type)
				found = true
			}
		}
		if !found {
			return partField{}, false
		}
		scalar := one
		one = func(v any) (ref.Val, error) {
			if m, ok := v.(map[string]any); ok {
				v = m["value"]
			}
			return scalar(v)
		}
	}
	if !a.MultiValued {
		return partField{typ, one}, true
	}
	return partField{types.NewListType(typ), func(v any) (ref.Val, error) {
		list, ok := lookup(map[string]any{"": v}, "").([]any)
		if !ok {
			if v == nil {
				return nil, nil
			}
			list = []any{v}
		}
		var out []ref.Val
		for _, e := range list {
			x, err := one(e)
			if err != nil {
				return nil, err
			}
			if x != nil {
				out = append(out, x)
			}
		}
		if len(out) == 0 {
			return nil, nil
		}
		return types.NewRefValList(types.DefaultTypeAdapter, out), nil
	}}, true
}

// scalarOf is the CEL type of a SCIM type. Directories deliver everything as text.
func scalarOf(typ string) (*types.Type, func(any) (ref.Val, error)) {
	switch typ {
	case model.TypeBoolean:
		return types.BoolType, func(v any) (ref.Val, error) {
			if s, ok := v.(string); ok {
				if b, err := strconv.ParseBool(s); err == nil {
					v = b
				}
			}
			switch v := v.(type) {
			case nil:
				return nil, nil
			case bool:
				return types.Bool(v), nil
			}
			return nil, fmt.Errorf("is %s, not true or false", describeValue(v))
		}
	case model.TypeInteger, model.TypeDecimal:
		whole := typ == model.TypeInteger
		number := func(v any) (ref.Val, error) {
			if s, ok := v.(string); ok {
				if f, err := strconv.ParseFloat(s, 64); err == nil {
					v = f
				}
			}
			switch v := v.(type) {
			case nil:
				return nil, nil
			case float64:
				switch {
				case !whole:
					return types.Double(v), nil
				case v == math.Trunc(v) && math.Abs(v) < 1<<53:
					return types.Int(v), nil
				}
			}
			return nil, fmt.Errorf("is %s, not of type %s", describeValue(v), typ)
		}
		if whole {
			return types.IntType, number
		}
		return types.DoubleType, number
	}
	return types.StringType, func(v any) (ref.Val, error) {
		switch v := v.(type) {
		case nil:
			return nil, nil
		case string:
			return types.String(v), nil
		}
		return nil, fmt.Errorf("is %s, not text", describe(v))
	}
}

func describeValue(v any) string {
	if _, ok := v.(string); ok {
		return "text"
	}
	return describe(v)
}

// partValue is what a person has of an extension: an object that is always there, perhaps with nothing in it.
type partValue struct {
	of    *partType
	attrs map[string]any
}

var (
	_ ref.Val            = (*partValue)(nil)
	_ traits.Indexer     = (*partValue)(nil)
	_ traits.FieldTester = (*partValue)(nil)
)

func (p *partValue) field(name string) (ref.Val, error) {
	f, ok := p.of.fields[name]
	if !ok {
		return nil, fmt.Errorf("%s has no field %s", p.of.label, name)
	}
	v, err := f.get(p.attrs[name])
	if err != nil {
		return nil, fmt.Errorf("%s.%s %w", p.of.label, name, err)
	}
	return v, nil
}

// value is the field, or the reason why there is none. Unassigned is an error: unknown is not no.
func (p *partValue) value(name string) (ref.Val, error) {
	v, err := p.field(name)
	if err == nil && v == nil {
		err = fmt.Errorf("%s.%s is unassigned", p.of.label, name)
	}
	return v, err
}

// has: what is there and cannot be read is there.
func (p *partValue) has(name string) bool {
	v, err := p.field(name)
	inner, nested := v.(*partValue)
	return err != nil || v != nil && (!nested || len(inner.attrs) > 0)
}

func (t *partType) fieldType(name string) (*types.FieldType, bool) {
	f, ok := t.fields[name]
	if !ok {
		return nil, false
	}
	return &types.FieldType{
		Type: f.typ,
		IsSet: func(target any) bool {
			p, ok := target.(*partValue)
			return ok && p.has(name)
		},
		GetFrom: func(target any) (any, error) {
			p, ok := target.(*partValue)
			if !ok {
				return nil, fmt.Errorf("not a %s", t.label)
			}
			return p.value(name)
		},
	}, true
}

func (p *partValue) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("%s cannot be converted to %v", p.of.label, t)
}

func (p *partValue) ConvertToType(t ref.Type) ref.Val {
	if t.TypeName() == types.TypeType.TypeName() {
		return cel.ObjectType(p.of.name)
	}
	return types.NewErr("%s cannot be converted to %s", p.of.label, t.TypeName())
}

func (p *partValue) Equal(other ref.Val) ref.Val {
	o, ok := other.(*partValue)
	return types.Bool(ok && o.of == p.of && reflect.DeepEqual(o.attrs, p.attrs))
}
func (p *partValue) Type() ref.Type { return cel.ObjectType(p.of.name) }
func (p *partValue) Value() any     { return p }

// Get serves dyn(person.hr).badge.
func (p *partValue) Get(name ref.Val) ref.Val {
	text, _ := name.Value().(string)
	v, err := p.value(text)
	if err != nil {
		return types.WrapErr(err)
	}
	return v
}

// IsSet serves has(dyn(person.hr).badge).
func (p *partValue) IsSet(name ref.Val) ref.Val {
	text, _ := name.Value().(string)
	if _, ok := p.of.fields[text]; !ok {
		return types.NewErr("%s has no field %s", p.of.label, text)
	}
	return types.Bool(p.has(text))
}
