package scimapp

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"jmld/model"
)

const (
	userSchema  = "urn:ietf:params:scim:schemas:core:2.0:User"
	patchSchema = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
)

// offers is what the provider says it can do (RFC 7644 §4). The zero value is what every provider can.
type offers struct{ patch, etag bool }

// create makes the account and reads it back. When the provider says that it exists, it is looked for again (found): it
// was made meanwhile, or the answer to an earlier try was lost.
func (t *Target) create(ctx context.Context, w wanted) (cur *resource, found bool, err error) {
	body := clone(w.attrs)
	body["active"] = true
	if w.stamp {
		body["externalId"] = w.account.IdentityID
	}
	body["schemas"] = schemas(nil, w.attrs)
	a, err := t.do(ctx, http.MethodPost, "/Users", body, nil)
	switch {
	case err != nil:
		return nil, false, err
	case a.status == http.StatusConflict:
		if cur, err = t.find(ctx, w); cur == nil && (err == nil || errors.Is(err, errBlind)) {
			err = t.refusal(a)
		}
		return cur, true, err
	case a.status >= 300:
		return nil, false, t.noList(a)
	}
	id := lastSegment(a.header.Get("Location"))
	if r, err := t.resource(a.op, a.body); err == nil {
		id = r.id
	}
	if id == "" {
		return nil, false, model.Errorf(model.CodeTargetBroken, "%s", t.name("%s: status %d without the id of what was made", a.op, a.status))
	}
	if cur, err = t.get(ctx, id); err == nil && cur == nil {
		err = model.Errorf(model.CodeTargetReadBack, "%s", t.name("the account was made and cannot be read"))
	}
	return cur, false, err
}

// update writes what is not as wanted: by PATCH where it is offered, because it leaves alone what it does not name;
// else by PUT. Each stands in for the other where the provider does not do what it offers.
func (t *Target) update(ctx context.Context, w wanted, cur *resource) error {
	can, err := t.discover(ctx)
	if err != nil {
		return err
	}
	ways := []func(context.Context, wanted, *resource, offers) (*answer, error){t.put, t.patch}
	if can.patch {
		slices.Reverse(ways)
	}
	var a *answer
	for _, way := range ways {
		if a, err = way(ctx, w, cur, can); err != nil {
			return err
		}
		if !unsupported(a) {
			break
		}
	}
	switch {
	case a.status < 300:
		return nil
	case a.missing() || a.status == http.StatusPreconditionFailed:
		return errMoved
	}
	return t.refusal(a)
}

// unsupported: the verb, or this use of it, is not implemented.
func unsupported(a *answer) bool {
	switch a.status {
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	case http.StatusBadRequest:
		return strings.HasPrefix(a.op, http.MethodPatch) && slices.Contains([]string{"", "invalidPath", "noTarget", "invalidSyntax"}, a.scimType())
	}
	return false
}

// patch is RFC 7644 §3.5.2, an operation with a path for each attribute that differs.
func (t *Target) patch(ctx context.Context, w wanted, cur *resource, _ offers) (*answer, error) {
	ops := []any{}
	for _, e := range w.mine(cur) {
		if empty(e.value) {
			ops = append(ops, map[string]any{"op": "remove", "path": patchPath(e.path)})
		} else {
			ops = append(ops, map[string]any{"op": "replace", "path": patchPath(e.path), "value": e.value})
		}
	}
	return t.do(ctx, http.MethodPatch, "/Users/"+url.PathEscape(cur.id), map[string]any{"schemas": []string{patchSchema}, "Operations": ops}, nil)
}

func patchPath(path []string) string {
	if strings.HasPrefix(path[0], "urn:") {
		return strings.Join(path, ":")
	}
	return strings.Join(path, ".")
}

// put is RFC 7644 §3.5.1: what is there, with what is ours over it. active is always said: some providers take its
// absence for false. If-Match keeps what somebody else writes meanwhile.
func (t *Target) put(ctx context.Context, w wanted, cur *resource, can offers) (*answer, error) {
	body := clone(cur.body)
	for k := range body {
		if providers(k) {
			delete(body, k)
		}
	}
	set(body, "active", cur.state() == model.AccountActive)
	for _, e := range w.mine(cur) {
		write(body, e)
	}
	set(body, "schemas", schemas(lookup(cur.body, "schemas"), body))
	body["id"] = cur.id
	header := http.Header{}
	if v := cur.version(); can.etag && v != "" && !strings.ContainsAny(v, "\r\n") {
		header.Set("If-Match", v)
	}
	return t.do(ctx, http.MethodPut, "/Users/"+url.PathEscape(cur.id), body, header)
}

// write applies an edit to a body that is nobody else's.
func write(body map[string]any, e edit) {
	if len(e.path) == 1 {
		set(body, e.path[0], e.value)
		return
	}
	sub, _ := lookup(body, e.path[0]).(map[string]any)
	sub = clone(sub)
	set(sub, e.path[1], e.value)
	if len(sub) == 0 {
		set(body, e.path[0], nil)
		return
	}
	set(body, e.path[0], sub)
}

// discover reads ServiceProviderConfig, now and then. A provider without one can what every provider can.
func (t *Target) discover(ctx context.Context) (offers, error) {
	const fresh = time.Hour
	t.mu.Lock()
	can, at := t.offers, t.offersAt
	t.mu.Unlock()
	if !at.IsZero() && t.o.Now().Sub(at) < fresh {
		return can, nil
	}
	can = offers{}
	a, err := t.do(ctx, http.MethodGet, "/ServiceProviderConfig", nil, nil)
	switch model.CodeOf(err) {
	case model.CodeTargetThrottled, model.CodeTargetUnreachable:
		return can, err
	}
	if ctx.Err() != nil {
		return can, err
	}
	if err == nil && a.status < 300 { // else it is not served, or not to everybody
		can = offers{patch: supported(a.body, "patch"), etag: supported(a.body, "etag")}
	}
	t.o.Log.Debug("target described itself", zap.String(model.FieldTarget, t.o.Name), zap.Bool("patch", can.patch), zap.Bool("etag", can.etag))
	t.mu.Lock()
	t.offers, t.offersAt = can, t.o.Now()
	t.mu.Unlock()
	return can, nil
}

func supported(body map[string]any, what string) bool {
	m, _ := lookup(body, what).(map[string]any)
	yes, _ := lookup(m, "supported").(bool)
	return yes
}

// schemas are those the resource has, with the core one and the extensions it uses.
func schemas(have any, attrs map[string]any) []string {
	out := []string{userSchema}
	list, _ := have.([]any)
	for _, s := range list {
		if s, _ := s.(string); s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(attrs)) {
		if strings.HasPrefix(k, "urn:") && !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out
}

func clone(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return maps.Clone(m)
}

func lastSegment(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		return ""
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	id, err := url.PathUnescape(path[strings.LastIndexByte(path, '/')+1:])
	if err != nil {
		return ""
	}
	return id
}
