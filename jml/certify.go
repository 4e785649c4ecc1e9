package jml

import (
	"fmt"
	"slices"
	"strings"

	"jmld/jml/access"
	"jmld/model"
)

// Certification says how certified somebody is, and what needs which level. It is what a source or an import says; several levels
// are as good as the highest of them.
type Certification struct {
	Levels    []string // the lowest first
	Attribute []string // where the level stands among the fused attributes
	End       []string // where its end does; nil: it has none
	Required  []Requirement
}

// Requirement is a thing that nobody has without the level.
type Requirement struct {
	Thing access.Thing
	Level int // its number among the levels, from 1
}

// certify finds out the level. One that cannot be read is unknown: the last one that was known counts until it can be. An end that can be
// read counts whatever the level is called.
func (r *Rules) certify(w *situation) {
	c, e := r.Certification, &w.entitled
	if len(c.Required) == 0 {
		return
	}
	was := c.number(e.was.Level)
	e.rule = formOf(c.Levels, c.Required)
	level, known := 0, true
	for _, name := range textsAt(w.fused.Attrs, c.Attribute) {
		n := c.number(name)
		if n == 0 {
			level, known = was, false
			w.found(model.CodeCertification, "certification %q is none of the levels %s", name, strings.Join(c.Levels, ", "))
			break
		}
		level = max(level, n)
	}
	if (level > 0 || !known) && c.End != nil {
		for _, day := range textsAt(w.fused.Attrs, c.End) {
			zone, _ := r.Calendar.zoneOf(text(w.fused.Attrs["timezone"])) // what is wrong with it is found where dates are
			end, err := EndOf(day, zone)
			switch {
			case err != nil:
				level, known = was, false
				w.found(model.CodeCertification, "the end of the certification cannot be read: %s", err)
			case !end.IsZero() && !w.Now.Before(end):
				e.lapsed = day
				level = 0
			case !end.IsZero():
				w.soon(w.Now, end)
			}
		}
	}
	e.unknown = !known && was == 0 && e.lapsed == ""
	if e.level = level; level > 0 {
		e.Level = c.Levels[level-1]
	}
}

// number is which level that is, 0: none of them.
func (c Certification) number(name string) int {
	return 1 + slices.IndexFunc(c.Levels, func(l string) bool { return Fold(l) == Fold(name) })
}

// lacks says what is missing.
func (c Certification) lacks(e *entitled, need Requirement) string {
	has := "the person has none"
	switch {
	case e.level > 0:
		has = "the person has " + c.Levels[e.level-1]
	case e.lapsed != "":
		has = fmt.Sprintf("the person's ended on %s", e.lapsed)
	}
	return fmt.Sprintf("%s needs certification %s; %s", need.Thing, c.Levels[need.Level-1], has)
}

// textsAt are the texts of an attribute that has one value or several; what is no text stands as it would be printed.
func textsAt(attrs map[string]any, path []string) []string {
	var v any = attrs
	for _, step := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[step]
	}
	var out []string
	add := func(v any) {
		if m, ok := v.(map[string]any); ok {
			v = m["value"]
		}
		switch s := v.(type) {
		case nil:
		case string:
			if strings.TrimSpace(s) != "" {
				out = append(out, strings.TrimSpace(s))
			}
		default:
			out = append(out, fmt.Sprint(s))
		}
	}
	if list, ok := v.([]any); ok {
		for _, one := range list {
			add(one)
		}
		return out
	}
	add(v)
	return out
}
