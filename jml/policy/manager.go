package policy

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"

	"jmld/model"
)

const managerVariable = "manager"

// ManagerFields are the fields of `manager`, in the order in which messages list them. All are text but active.
func ManagerFields() []string {
	return []string{"userName", "displayName", "email", "employeeNumber", "active"}
}

// managerType is the type of `manager`: whom the person reports to, as far as that is somebody known.
func managerType() *partType {
	t := &partType{name: "jmld.Manager", label: managerVariable, fields: map[string]partField{}, names: ManagerFields()}
	for _, name := range t.names {
		typ := model.TypeString
		if name == "active" {
			typ = model.TypeBoolean
		}
		f := partField{}
		f.typ, f.get = scalarOf(typ)
		t.fields[name] = f
	}
	return t
}

// AsksManagers says whether any expression is about people's managers: then who is somebody's manager has to be known.
func (p *Policy) AsksManagers() bool { return p.asksManagers }

// asksManager notes whether an expression asks about the manager.
func (k *compiler) asksManager(tree *cel.Ast) {
	ast.PreOrderVisit(tree.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		k.managers = k.managers || e.Kind() == ast.IdentKind && e.AsIdent() == managerVariable
	}))
}
