package sampleapp

import (
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

func (a *App) create(w http.ResponseWriter, r *http.Request, f *Faults) error {
	body, err := readJSON(r)
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	u := &user{ID: "u-" + strings.ToLower(rand.Text()), Created: now, Modified: now, Version: 1, Active: true}
	if err := u.fill(body); err != nil {
		return err
	}
	if err := a.change(func(users []*user) ([]*user, error) {
		return append(users, u), f.unique(users, u)
	}); err != nil {
		return err
	}
	f.loseAnswer(r)
	u.write(w, r, http.StatusCreated)
	return nil
}

// replace is RFC 7644 §3.5.1: what the body does not have is gone. The id and meta of the body are read only, so ignored.
func (a *App) replace(w http.ResponseWriter, r *http.Request, f *Faults) error {
	if f.NoPut {
		return scimError{http.StatusNotImplemented, "", "PUT is not supported"}
	}
	body, err := readJSON(r)
	if err != nil {
		return err
	}
	return a.update(w, r, f, func(u *user) error {
		if f.PutActive && !u.Active {
			return scimError{http.StatusInternalServerError, "", "the user is not active"}
		}
		if _, says := body["active"]; !says {
			u.Active = !f.PutActive
		}
		return u.fill(body)
	})
}

func (a *App) patch(w http.ResponseWriter, r *http.Request, f *Faults) error {
	if f.NoPatch || f.PatchLie {
		return scimError{http.StatusNotImplemented, "", "PATCH is not supported"}
	}
	body, err := readJSON(r)
	if err != nil {
		return err
	}
	ops, _ := body["Operations"].([]any)
	if len(ops) == 0 {
		return scimError{http.StatusBadRequest, "invalidSyntax", "no Operations"}
	}
	return a.update(w, r, f, func(u *user) error {
		res := maps.Clone(u.Attrs)
		res["active"] = u.Active
		for _, o := range ops {
			if err := patchOne(res, o); err != nil {
				return err
			}
		}
		return u.fill(res)
	})
}

func (a *App) remove(w http.ResponseWriter, r *http.Request, f *Faults) error {
	if err := a.change(func(users []*user) ([]*user, error) {
		i := slices.IndexFunc(users, func(u *user) bool { return u.ID == r.PathValue("id") })
		switch {
		case i < 0:
			return nil, scimError{http.StatusNotFound, "", "no such user"}
		case f.LieDelete:
			u := *users[i]
			u.Active = false
			users[i] = &u
			return users, nil
		}
		return slices.Delete(users, i, i+1), nil
	}); err != nil {
		return err
	}
	f.loseAnswer(r)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// update runs f on a copy of the user and keeps it. If-Match is obeyed (RFC 7644 §3.14).
func (a *App) update(w http.ResponseWriter, r *http.Request, faults *Faults, f func(*user) error) error {
	var done *user
	if err := a.change(func(users []*user) ([]*user, error) {
		i := slices.IndexFunc(users, func(u *user) bool { return u.ID == r.PathValue("id") })
		if i < 0 {
			return nil, scimError{http.StatusNotFound, "", "no such user"}
		}
		if tag := r.Header.Get("If-Match"); tag != "" && tag != "*" && tag != users[i].etag() {
			return nil, scimError{http.StatusPreconditionFailed, "", "the user has changed"}
		}
		u := *users[i]
		if err := f(&u); err != nil {
			return nil, err
		}
		if faults.LieActive {
			u.Active = users[i].Active
		}
		u.Modified = time.Now().UTC()
		u.Version++
		done, users[i] = &u, &u
		return users, faults.unique(users, &u)
	}); err != nil {
		return err
	}
	faults.loseAnswer(r)
	done.write(w, r, http.StatusOK)
	return nil
}

// fill takes the attributes of a resource. active may come as text, as some clients send it.
func (u *user) fill(body map[string]any) error {
	attrs := maps.Clone(body)
	for _, k := range []string{"id", "meta", "schemas", "groups", "active"} {
		delete(attrs, k)
	}
	for k, v := range attrs {
		if isEmpty(v) { // RFC 7643 §2.5: null, [] and {} are no value
			delete(attrs, k)
		}
	}
	if name, _ := attrs["userName"].(string); strings.TrimSpace(name) == "" {
		return scimError{http.StatusBadRequest, "invalidValue", "userName is required"}
	}
	switch v := body["active"].(type) {
	case nil:
	case bool:
		u.Active = v
	case string:
		u.Active = strings.EqualFold(v, "true")
	default:
		return scimError{http.StatusBadRequest, "invalidValue", "active is not true or false"}
	}
	u.Attrs = attrs
	return nil
}

func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

func (f *Faults) unique(users []*user, u *user) error {
	for _, other := range users {
		if !f.Twins && other.ID != u.ID && strings.EqualFold(other.text("userName"), u.text("userName")) {
			return scimError{http.StatusConflict, "uniqueness", "another user has this userName"}
		}
	}
	return nil
}

// patchOne applies an operation with a simple path ("active", "name.givenName", "urn:…:User:department") or without one.
func patchOne(res map[string]any, operation any) error {
	o, _ := operation.(map[string]any)
	op, _ := o["op"].(string)
	path, _ := o["path"].(string)
	op = strings.ToLower(op)
	if op != "add" && op != "replace" && op != "remove" {
		return scimError{http.StatusBadRequest, "invalidSyntax", fmt.Sprintf("unknown op %q", op)}
	}
	if path == "" {
		values, ok := o["value"].(map[string]any)
		if !ok || op == "remove" {
			return scimError{http.StatusBadRequest, "noTarget", "no path"}
		}
		maps.Copy(res, values)
		return nil
	}
	if strings.ContainsAny(path, "[]") {
		return scimError{http.StatusBadRequest, "invalidPath", "value paths are not supported"}
	}
	holder, name, err := resolve(res, path)
	if err != nil {
		return err
	}
	if op == "remove" {
		delete(holder, name)
	} else {
		holder[name] = o["value"]
	}
	return nil
}

// resolve finds the object that holds the attribute, making it where there is none; objects on the way are copied.
func resolve(res map[string]any, path string) (map[string]any, string, error) {
	parent, name := "", path
	if strings.HasPrefix(strings.ToLower(path), "urn:") {
		if i := strings.LastIndex(path, ":"); strings.Contains(path[:i], ":User") {
			parent, name = path[:i], path[i+1:]
		}
	} else if head, tail, ok := strings.Cut(path, "."); ok {
		parent, name = head, tail
	}
	if parent == "" {
		return res, name, nil
	}
	child, ok := res[parent].(map[string]any)
	if !ok && res[parent] != nil {
		return nil, "", scimError{http.StatusBadRequest, "invalidPath", path + " is not in a complex attribute"}
	}
	child = maps.Clone(child)
	if child == nil {
		child = map[string]any{}
	}
	res[parent] = child
	return child, name, nil
}

// loseAnswer is a crash of the app, or of the network, right after the work was done.
func (f *Faults) loseAnswer(r *http.Request) {
	if f.LoseAnswer && f.applies(r) {
		panic(http.ErrAbortHandler)
	}
}
