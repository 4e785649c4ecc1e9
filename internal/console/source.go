package console

import (
	"context"
	"net/http"
	"slices"

	"jmld/model"
)

// sourcePage is about a source that clients push to: how they speak.
type sourcePage struct {
	Source
	Dialects []model.DialectUse // requests of each, the most frequent first
	Notes    []model.DialectUse // what was read differently, likewise
}

func (c *console) source(ctx context.Context, r *http.Request) (view, error) {
	name := clean(r.PathValue("name"))
	i := slices.IndexFunc(c.o.Sources, func(s Source) bool { return s.Name == name })
	if i < 0 {
		return view{}, model.ErrNotFound
	}
	if c.o.Sources[i].Reads() {
		return view{to: link("/runs", "source", name)}, nil
	}
	uses, err := c.o.View.Dialects(ctx, name)
	if err != nil {
		return view{}, err
	}
	p := sourcePage{Source: c.o.Sources[i]}
	for _, u := range uses {
		if u.Note == "" {
			p.Dialects = append(p.Dialects, u)
		} else {
			p.Notes = append(p.Notes, u)
		}
	}
	return view{name: "source", title: "Source " + name, section: "overview", data: p}, nil
}
