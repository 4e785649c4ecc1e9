package console

import (
	"context"

	"jmld/jml/access"
	"jmld/jml/engine"
	"jmld/model"
)

// right is one way in which somebody holds something somewhere.
type right struct {
	access.Grant
	Place, Origin string // as they are shown
	Admin         bool
}

// rights are all that the person holds by groups and roles, direct and inherited.
func (c *console) rights(ctx context.Context, i model.Identity, p engine.Person) ([]right, error) {
	var e model.Entitlements
	if i.Entitlements != "" {
		if err := decode(i.Entitlements, &e); err != nil {
			return nil, err
		}
	}
	rows := access.Counting(i.ID, p.Access, e)
	if len(rows) == 0 {
		return nil, nil
	}
	frame, err := c.o.View.AccessFrame(ctx)
	if err != nil {
		return nil, err
	}
	tree, err := access.New(frame)
	if err != nil {
		return nil, err
	}
	name := func(place string) string {
		kind, _ := access.SplitPlace(place)
		return kind + " " + tree.Name(place)
	}
	var out []right
	for _, g := range tree.Rights(rows, c.now()) {
		out = append(out, right{g, name(g.Place), name(g.Origin), g.Row.Admin && g.Direct})
	}
	return out, nil
}
