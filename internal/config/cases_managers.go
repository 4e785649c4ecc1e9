package config

import (
	"maps"
	"slices"

	"jmld/jml"
	"jmld/jml/policy"
	"jmld/jml/trial"
	"jmld/model"
)

// managers are the people whom sources may name as manager in a case, by id.
type managers map[string]*manager

type manager struct {
	facts map[string]any
	at    route // where they are mentioned first
}

// known adds what is said about managers from the moment on to what was said before: from then on they are there.
func (who managers) known(b *caseBuilder, m trial.Moment, news map[string]wanted, at route) trial.Moment {
	for _, id := range slices.Sorted(maps.Keys(news)) {
		one := who[id]
		if one == nil {
			one = &manager{facts: map[string]any{"active": true}, at: at.with(id)}
			who[id] = one
		}
		one.facts = maps.Clone(one.facts) // an earlier moment keeps its own
		for _, v := range news[id] {
			b.managerFact(one.facts, v)
		}
	}
	for _, rec := range m.Records {
		ref, ok := jml.ManagerOf(rec)
		if one := who[who.key(ref)]; ok && one != nil {
			if m.Managers == nil {
				m.Managers = map[jml.ManagerRef]map[string]any{}
			}
			m.Managers[ref] = one.facts
		}
	}
	return m
}

// key is whom the reference names: by the very id, or by that in other letters where it has no capitals itself.
func (who managers) key(ref jml.ManagerRef) string {
	if who[ref.Record] != nil {
		return ref.Record
	}
	return jml.Fold(ref.Record)
}

// named reports managers whom no source ever names.
func (who managers) named(b *caseBuilder, moments []trial.Moment) {
	names := func(key string) bool {
		return slices.ContainsFunc(moments, func(m trial.Moment) bool {
			return slices.ContainsFunc(m.Records, func(rec model.Record) bool {
				ref, ok := jml.ManagerOf(rec)
				return ok && who.key(ref) == key
			})
		})
	}
	for _, key := range slices.Sorted(maps.Keys(who)) {
		if !names(key) {
			b.mistake(b.keyPlace(who[key].at), "no source names %q as manager; expected such as manager: %s in what one says about the person", key, key)
		}
	}
}

// managerFact is one field of `manager` in expressions; null: there is none.
func (b *caseBuilder) managerFact(facts map[string]any, v saidValue) {
	known := policy.ManagerFields()
	value := b.anything(v.node)
	text, isText := value.(string)
	_, isBool := value.(bool)
	switch {
	case !slices.Contains(known, v.name):
		b.mistake(b.keyPlace(v.at), "unknown field %q of a manager%s", v.name, meant(v.name, known))
	case v.name == "active" && !isBool:
		b.mistake(start(v.node), "active is %s; expected true or false", kind(v.node))
	case v.name == "active":
		facts[v.name] = value
	case value == nil:
		delete(facts, v.name)
	case !isText || text == "":
		b.mistake(start(v.node), "%s is %s; expected text, in quotes, or null when there is none", v.name, kind(v.node))
	default:
		facts[v.name] = text
	}
}
