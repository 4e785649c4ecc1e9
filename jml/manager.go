package jml

import (
	"reflect"

	"jmld/model"
)

// ManagerRef is whom a source names as somebody's manager: a record of its own, by its id, or by that in capitals. Who that is is found when it
// is asked for, whenever the record came.
type ManagerRef struct{ Source, Record string }

// ManagerOf is whom the record names; false: nobody.
func ManagerOf(rec model.Record) (ManagerRef, bool) {
	if rec.Kind != model.KindUser || rec.AbsentSince != nil {
		return ManagerRef{}, false
	}
	return managerIn(decode(rec.Attrs, func(name string) bool { return name == EnterpriseUser }), rec.Source)
}

func managerIn(attrs map[string]any, source string) (ManagerRef, bool) {
	ext, _ := attrs[EnterpriseUser].(map[string]any)
	v := ext["manager"]
	if m, ok := v.(map[string]any); ok {
		v = m["value"]
	}
	id := text(v)
	return ManagerRef{source, id}, Fold(id) != ""
}

// ManagerFacts is what rules see of a manager. Who has left everywhere is not active.
func ManagerFacts(i *model.Identity) map[string]any {
	if i == nil {
		return nil
	}
	facts := map[string]any{"active": i.Lifecycle == model.Active}
	ext, _ := decode(i.Attrs, func(name string) bool { return name == EnterpriseUser })[EnterpriseUser].(map[string]any)
	for name, v := range map[string]string{"userName": i.UserName, "displayName": i.DisplayName, "email": i.Email, "employeeNumber": text(ext["employeeNumber"])} {
		if v != "" {
			facts[name] = v
		}
	}
	return facts
}

// SameManager says whether rules see the same of both.
func SameManager(a, b *model.Identity) bool {
	return reflect.DeepEqual(ManagerFacts(a), ManagerFacts(b))
}

// manager is what is known of whom the winning source names.
func (f Fused) manager(known map[ManagerRef]map[string]any) map[string]any {
	if len(known) == 0 {
		return nil
	}
	p, ok := f.Provenance[EnterpriseUser+":manager"]
	if !ok {
		p = f.Provenance[everything]
	}
	ref, ok := managerIn(f.Attrs, p.Winner)
	if !ok {
		return nil
	}
	return known[ref]
}
