package scimapp

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"jmld/jml/engine"
	"jmld/model"
)

// locate looks for the account: by native id, then by what it is called. nil: the provider has none.
func (t *Target) locate(ctx context.Context, w wanted) (*resource, error) {
	if w.account.NativeID != "" {
		cur, err := t.get(ctx, w.account.NativeID)
		switch {
		case err != nil:
			return nil, err
		case cur == nil:
		case w.known(), w.ours(cur.text("externalId")):
			return cur, nil
		case sameName(cur, w.userName): // a person said that it is this one; a slip must not give somebody else's away
			return t.choose(w, []*resource{cur})
		}
	}
	return t.find(ctx, w)
}

// get reads one resource; nil: there is none.
func (t *Target) get(ctx context.Context, id string) (*resource, error) {
	if id == "." || id == ".." {
		return nil, engine.Permanent(model.Errorf(model.CodeTargetBroken, "%s", t.name("%q is no id", id)))
	}
	a, err := t.do(ctx, http.MethodGet, "/Users/"+url.PathEscape(id), nil, nil)
	switch {
	case err != nil:
		return nil, err
	case a.missing():
		return nil, nil
	case a.status >= 300:
		return nil, t.refusal(a)
	}
	cur, err := t.resource(a.op, a.body)
	if err == nil && !strings.EqualFold(cur.id, id) {
		return nil, model.Errorf(model.CodeTargetBroken, "%s", t.name("%s: answers with another resource than asked for", a.op))
	}
	return cur, err
}

// find looks for the account by externalId, then by userName. Filters on externalId are refused here and there; where
// those on userName are, too, everybody is looked at.
func (t *Target) find(ctx context.Context, w wanted) (*resource, error) {
	for _, id := range w.externalIDs {
		found, _, err := t.search(ctx, "externalId", id, func(r *resource) bool { return r.text("externalId") == id })
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			return t.only(found, "externalId")
		}
	}
	if w.userName == "" {
		return nil, nil
	}
	byName := func(r *resource) bool { return sameName(r, w.userName) }
	byMark := func(r *resource) bool { return slices.Contains(w.externalIDs, r.text("externalId")) }
	found, ok, err := t.search(ctx, "userName", w.userName, byName)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return t.scanFor(ctx, w, byName, byMark)
	case len(found) == 0 && w.oldName != "": // renamed by us, and its id forgotten: ours only with our mark
		found, _, err = t.search(ctx, "userName", w.oldName, func(r *resource) bool { return sameName(r, w.oldName) })
		if found = slices.DeleteFunc(found, func(r *resource) bool { return !byMark(r) }); err != nil {
			return nil, err
		}
	}
	return t.choose(w, found)
}

// scanFor does without filters what find does with them.
func (t *Target) scanFor(ctx context.Context, w wanted, byName, byMark func(*resource) bool) (*resource, error) {
	var named, marked []*resource
	err := t.each(ctx, func(r *resource) bool {
		if byMark(r) {
			marked = append(marked, r)
		} else if byName(r) {
			named = append(named, r)
		}
		return true
	})
	switch {
	case engine.IsPermanent(err):
		return nil, engine.Permanent(model.Errorf(model.CodeTargetRefused, "%w: %w", err, errBlind))
	case err != nil:
		return nil, err
	case len(marked) > 0:
		return t.only(marked, "externalId")
	}
	return t.choose(w, named)
}

// choose takes the account of that userName, unless it carries somebody else's externalId.
func (t *Target) choose(w wanted, found []*resource) (*resource, error) {
	if len(found) == 0 {
		return nil, nil
	}
	cur, err := t.only(found, "userName")
	if err != nil {
		return nil, err
	}
	if other := cur.text("externalId"); other != "" && !w.ours(other) {
		if w.account.State != model.AccountActive {
			return nil, nil // to take somebody else's away is not wanted
		}
		return nil, engine.Permanent(model.Errorf(model.CodeTargetConflict, "%s", t.name(
			"account %s has this userName and another externalId: it is somebody else's, or another system's", clip(cur.id, 60))))
	}
	return cur, nil
}

// only refuses to guess between several accounts.
func (t *Target) only(found []*resource, attr string) (*resource, error) {
	if len(found) > 1 {
		return nil, engine.Permanent(model.Errorf(model.CodeTargetConflict, "%s", t.name(
			"%d accounts have this %s, among them %s and %s", len(found), attr, clip(found[0].id, 60), clip(found[1].id, 60))))
	}
	return found[0], nil
}

// search asks with a filter (RFC 7644 §3.4.2.2) and returns what really matches. ok is false when the provider refuses
// the filter. A provider that ignores it answers with everybody: then everybody is looked at, page by page.
func (t *Target) search(ctx context.Context, attr, value string, match func(*resource) bool) (found []*resource, ok bool, err error) {
	literal, err := encode(value) // a filter's string is a JSON string
	if err != nil {
		return nil, false, engine.Permanent(model.Errorf(model.CodeTargetRefused, "%s", t.name("%s cannot be searched for", attr)))
	}
	a, err := t.do(ctx, http.MethodGet, "/Users?filter="+escapeQuery(attr+" eq "+string(literal)), nil, nil)
	if err != nil {
		return nil, false, err
	}
	switch a.status {
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusRequestURITooLong, http.StatusNotImplemented:
		return nil, false, nil // invalidFilter, or no search at all
	}
	if a.status >= 300 {
		return nil, false, t.noList(a)
	}
	p, err := t.page(a)
	if err != nil {
		return nil, false, err
	}
	stranger := false
	for _, r := range p.resources {
		if match(r) {
			found = append(found, r)
		} else {
			stranger = true
		}
	}
	if !stranger {
		return found, true, nil
	}
	found = nil
	err = t.each(ctx, func(r *resource) bool {
		if match(r) {
			found = append(found, r)
		}
		return true
	})
	return found, true, err
}

// escapeQuery writes a space as %20: not every server takes + for one.
func escapeQuery(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
