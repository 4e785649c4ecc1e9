package scim

// collection is the values of a multi-valued attribute, each (value, type) once (RFC 7643 §2.4).
type collection struct {
	attr  *attribute
	list  []any
	exact map[string]int // (value, type) -> position
	value map[string]int // value -> position of the first
}

func newCollection(a *attribute, list []any) *collection {
	c := &collection{attr: a, list: list, exact: map[string]int{}, value: map[string]int{}}
	for i, e := range list {
		c.index(i, e)
	}
	return c
}

// keys are what an element is recognised by; a value that is not complex, or has no value, by its whole content.
func (c *collection) keys(e any) (value, exact string, typed bool) {
	m, ok := e.(map[string]any)
	if !ok {
		s, text := e.(string)
		if !text {
			s = canonical(e)
		} else if !c.attr.caseExact {
			s = fold(s)
		}
		return s, s, true
	}
	v, ok := m["value"].(string)
	if !ok {
		whole := "\x00" + canonical(m)
		return whole, whole, true
	}
	if s := c.attr.index["value"]; s == nil || !s.caseExact {
		v = fold(v)
	}
	t, typed := m["type"].(string)
	return v, v + "\x00" + fold(t), typed
}

func (c *collection) index(i int, e any) {
	value, exact, _ := c.keys(e)
	if _, ok := c.exact[exact]; !ok {
		c.exact[exact] = i
	}
	if _, ok := c.value[value]; !ok {
		c.value[value] = i
	}
}

// find returns the element that stands for e: the same value and type, or the same value when e does not say its type.
func (c *collection) find(e any) (int, bool) {
	value, exact, typed := c.keys(e)
	if i, ok := c.exact[exact]; ok || typed {
		return i, ok
	}
	i, ok := c.value[value]
	return i, ok
}

// add appends e, or merges it into the element that stands for it. It reports whether e was new.
func (c *collection) add(e any) bool {
	i, ok := c.find(e)
	if !ok {
		c.index(len(c.list), e)
		c.list = append(c.list, e)
		return true
	}
	old, isOld := c.list[i].(map[string]any)
	if m, isNew := e.(map[string]any); isOld && isNew {
		if _, said := m["primary"]; said {
			delete(old, lost)
		}
		for k, v := range m {
			if k != "value" && k != "type" || old[k] == nil { // they are equal, if not in case
				old[k] = v
			}
		}
	}
	return false
}
