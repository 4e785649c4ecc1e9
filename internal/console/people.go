package console

import (
	"context"
	"net/http"

	"jmld/model"
)

type peoplePage struct {
	Search     string
	Lifecycle  model.Lifecycle
	Lifecycles []model.Lifecycle
	Rows       []model.Identity
	Pager      pager
	Offset     int
	Push       []string
	Reads      []string
}

func (c *console) people(ctx context.Context, r *http.Request) (view, error) {
	life, err := choice(parameter(r, "lifecycle"), lifecycles()...)
	if err != nil {
		return view{}, err
	}
	off, err := offset(r)
	if err != nil {
		return view{}, err
	}
	search := parameter(r, "q")
	all, err := c.o.View.People(ctx, model.PeopleQuery{Search: search, Lifecycle: life, Offset: off, Limit: pageRows + 1})
	if err != nil {
		return view{}, err
	}
	all, next := more(all, pageRows)
	p := peoplePage{Search: search, Lifecycle: life, Lifecycles: lifecycles(), Rows: all, Offset: off,
		Pager: offsetPager("/people", off, next, "q", search, "lifecycle", string(life))}
	for _, s := range c.o.Sources {
		if s.Reads() {
			p.Reads = append(p.Reads, s.Name)
		} else {
			p.Push = append(p.Push, s.Name)
		}
	}
	return view{name: "people", title: "People", section: "people", data: p}, nil
}
