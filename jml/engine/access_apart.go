package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"jmld/jml/access"
	"jmld/model"
)

// keptApart refuses an edit by which somebody would have, now or when it begins, what a rule of separation keeps apart, and has not
// had before.
func (e *Engine) keptApart(before, after access.State, c *AccessChange) error {
	rules := e.rules().Separation
	if len(rules) == 0 || len(c.Affected) == 0 {
		return nil
	}
	was, err := access.New(before)
	if err != nil {
		return err
	}
	is, err := access.New(after)
	if err != nil {
		return err
	}
	moments := []time.Time{e.now()}
	for _, m := range c.Changes.Members.Put {
		if m.ValidFrom != nil && m.ValidFrom.After(moments[0]) && !slices.ContainsFunc(moments, m.ValidFrom.Equal) {
			moments = append(moments, *m.ValidFrom)
		}
	}
	for _, s := range rules {
		for _, name := range c.Affected {
			who := name
			if id := after.People[name]; id != "" {
				who = id
			}
			for _, at := range moments {
				had, has := s.Together(was, was.Rows(who), at), s.Together(is, is.Rows(who), at)
				fresh := slices.DeleteFunc(slices.Clone(has), func(t string) bool { return slices.Contains(had, t) })
				if len(has) > 1 && len(fresh) > 0 && s.Excepted(is.Rows(who), at) == nil {
					return model.Errorf(model.CodeSeparated, "%s would have %s, which rule %s keeps apart", who, strings.Join(has, " and "), fmt.Sprintf("%q", s.Name))
				}
			}
		}
	}
	return nil
}
