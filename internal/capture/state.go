package capture

func (r *redaction) state(b *before) *State {
	if b.empty() {
		return nil
	}
	out := &State{Bounded: b.bounded}
	for i := range b.records {
		rec := &b.records[i]
		out.Records = append(out.Records, Record{
			ID: r.id(rec.ID), Kind: rec.Kind, Version: rec.Version, Active: rec.Active, Created: rec.CreatedAt.UTC(), Updated: rec.UpdatedAt.UTC(),
			Attrs: r.body([]byte(rec.Attrs)),
		})
	}
	for i := range b.names {
		rec := &b.names[i]
		out.Records = append(out.Records, Record{ID: r.id(rec.ID), Kind: rec.Kind, Name: r.Text(rec.DisplayName)})
	}
	out.Members = r.members(b)
	return out
}

func (r *redaction) members(b *before) []Members {
	by := map[string]*Members{}
	var order []string
	of := func(group string) *Members {
		if by[group] == nil {
			by[group] = &Members{Group: r.id(group)}
			order = append(order, group)
		}
		return by[group]
	}
	for group, ids := range b.in {
		for _, id := range ids {
			of(group).In = append(of(group).In, r.id(id))
		}
	}
	for group, ids := range b.out {
		for _, id := range ids {
			of(group).Out = append(of(group).Out, r.id(id))
		}
	}
	var out []Members
	for _, group := range order {
		out = append(out, *by[group])
	}
	return out
}
