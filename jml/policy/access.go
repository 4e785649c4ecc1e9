package policy

import (
	"fmt"
	"reflect"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"jmld/jml/access"
)

const (
	accessVariable = "access"
	accessType     = "jmld.Access"
)

// accessNames are the fields of `access`, all lists of text.
func accessNames() []string { return []string{"groups", "roles", "permissions", "resources"} }

// accessValue is the value of `access`: what the person holds by groups and roles. Nothing of it is ever unassigned: who holds
// nothing has empty lists.
type accessValue struct{ view *access.View }

var (
	_ ref.Val            = accessValue{}
	_ traits.Indexer     = accessValue{}
	_ traits.FieldTester = accessValue{}
)

func (a accessValue) field(name string) (ref.Val, bool) {
	var list []string
	switch name {
	case "groups":
		list = a.view.Groups()
	case "roles":
		list = a.view.Roles()
	case "permissions":
		list = a.view.Permissions()
	case "resources":
		list = a.view.Resources()
	default:
		return nil, false
	}
	return types.NewStringList(types.DefaultTypeAdapter, list), true
}

func accessField(name string) (*types.FieldType, bool) {
	if _, ok := (accessValue{}).field(name); !ok {
		return nil, false
	}
	return &types.FieldType{
		Type:  types.NewListType(types.StringType),
		IsSet: func(any) bool { return true },
		GetFrom: func(target any) (any, error) {
			a, ok := target.(accessValue)
			if !ok {
				return nil, fmt.Errorf("not what somebody may do")
			}
			v, _ := a.field(name)
			return v, nil
		},
	}, true
}

// accessOptions declare `access` and what it can be asked.
func accessOptions() []cel.EnvOption {
	on := func(name string, of func(*access.View, string) []string) cel.EnvOption {
		return cel.Function(name, cel.MemberOverload("access_"+name, []*cel.Type{cel.ObjectType(accessType), cel.StringType}, cel.ListType(cel.StringType),
			cel.BinaryBinding(func(target, place ref.Val) ref.Val {
				a, ok := target.(accessValue)
				text, isText := place.(types.String)
				if !ok || !isText {
					return types.MaybeNoSuchOverloadErr(target)
				}
				return types.NewStringList(types.DefaultTypeAdapter, of(a.view, string(text)))
			})))
	}
	return []cel.EnvOption{
		cel.Variable(accessVariable, cel.ObjectType(accessType)),
		on("rolesOn", (*access.View).RolesOn), on("permissionsOn", (*access.View).PermissionsOn),
	}
}

func (a accessValue) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("access cannot be converted to %v", t)
}

func (a accessValue) ConvertToType(t ref.Type) ref.Val {
	if t.TypeName() == types.TypeType.TypeName() {
		return cel.ObjectType(accessType)
	}
	return types.NewErr("access cannot be converted to %s", t.TypeName())
}

// Equal: there is one of it while an expression runs.
func (a accessValue) Equal(other ref.Val) ref.Val {
	_, ok := other.(accessValue)
	return types.Bool(ok)
}
func (a accessValue) Type() ref.Type { return cel.ObjectType(accessType) }
func (a accessValue) Value() any     { return a }

// Get serves dyn(access).groups.
func (a accessValue) Get(name ref.Val) ref.Val {
	text, _ := name.Value().(string)
	v, ok := a.field(text)
	if !ok {
		return types.NewErr("access has no field %v", name.Value())
	}
	return v
}

// IsSet serves has(dyn(access).groups).
func (a accessValue) IsSet(name ref.Val) ref.Val {
	text, _ := name.Value().(string)
	if _, ok := a.field(text); !ok {
		return types.NewErr("access has no field %v", name.Value())
	}
	return types.True
}
