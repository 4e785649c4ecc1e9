package scimapp

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strconv"

	"jmld/model"
)

// page is a ListResponse (RFC 7644 §3.4.2).
type page struct {
	total     int
	resources []*resource
}

// Accounts lists the users of the provider, page by page. It ends without an error only when as many different users
// came as the provider says there are.
func (t *Target) Accounts(ctx context.Context) iter.Seq2[model.Account, error] {
	return func(yield func(model.Account, error) bool) {
		err := t.each(ctx, func(r *resource) bool {
			return yield(model.Account{
				Target: t.o.Name, Origin: model.OriginUnmanaged, NativeID: r.id, UserName: r.text("userName"),
				AppliedState: r.state(), Applied: r.attributes(),
			}, nil)
		})
		if err != nil {
			yield(model.Account{}, err)
		}
	}
}

// each calls yield for every user until it returns false.
func (t *Target) each(ctx context.Context, yield func(*resource) bool) error {
	seen := map[string]bool{}
	for {
		a, err := t.do(ctx, http.MethodGet, fmt.Sprintf("/Users?startIndex=%d&count=%d", len(seen)+1, t.o.PageSize), nil, nil)
		if err != nil {
			return err
		}
		if a.status >= 300 {
			return t.noList(a)
		}
		p, err := t.page(a)
		if err != nil {
			return err
		}
		for _, r := range p.resources {
			if seen[r.id] {
				return model.Errorf(model.CodeTargetBroken, "%s",
					t.name("the listing repeats itself after %d of %d users: pages are not obeyed, or users came and went", len(seen), p.total))
			}
			seen[r.id] = true
			if !yield(r) {
				return nil
			}
		}
		switch { // each turn sees somebody new, or ends
		case len(seen) == p.total:
			return nil
		case len(p.resources) == 0 || len(seen) > p.total:
			return model.Errorf(model.CodeTargetBroken, "%s", t.name("the listing has %d users and says %d", len(seen), p.total))
		}
	}
}

// noList: a provider without /Users is none, and the url is wrong. It must not pass for one that has nobody.
func (t *Target) noList(a *answer) error {
	if a.missing() {
		return model.Errorf(model.CodeTargetBroken, "%s", t.name("%s: status %d: there is no SCIM service at this url", a.op, a.status))
	}
	return t.refusal(a)
}

func (t *Target) page(a *answer) (page, error) {
	broken := func(what string) (page, error) {
		return page{}, model.Errorf(model.CodeTargetBroken, "%s", t.name("%s: %s", a.op, what))
	}
	n, _ := a.body["totalResults"].(json.Number)
	total, err := strconv.Atoi(n.String())
	if err != nil || total < 0 {
		return broken("the answer is not a list: no totalResults")
	}
	p := page{total: total}
	list, ok := a.body["Resources"].([]any)
	if !ok && a.body["Resources"] != nil {
		return broken("Resources is not a list")
	}
	for _, e := range list {
		body, _ := e.(map[string]any)
		r, err := t.resource(a.op, body)
		if err != nil {
			return page{}, err
		}
		p.resources = append(p.resources, r)
	}
	return p, nil
}
