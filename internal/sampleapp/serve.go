package sampleapp

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	contentType  = "application/scim+json"
	userSchema   = "urn:ietf:params:scim:schemas:core:2.0:User"
	maxBody      = 1 << 20
	maxPage      = 100
	listSchema   = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	errorSchema  = "urn:ietf:params:scim:api:messages:2.0:Error"
	configSchema = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
)

// scimError is an answer of RFC 7644 §3.12.
type scimError struct {
	status int
	typ    string
	detail string
}

func (e scimError) Error() string { return e.detail }

func (a *App) serve(w http.ResponseWriter, r *http.Request, h func(http.ResponseWriter, *http.Request, *Faults) error) {
	a.requests.Add(1)
	f := a.faults.Load()
	if f.answer(w, r) {
		return
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare([]byte(token), []byte(a.token)) != 1 {
		w.Header().Set("WWW-Authenticate", "Bearer")
		writeError(w, scimError{http.StatusUnauthorized, "", "the token is missing or wrong"})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := h(w, r, f); err != nil {
		var e scimError
		if !errors.As(err, &e) {
			e = scimError{http.StatusInternalServerError, "", "the app could not store the change"}
		}
		writeError(w, e)
	}
}

func (a *App) config(w http.ResponseWriter, _ *http.Request, f *Faults) error {
	if f.NoConfig {
		return scimError{http.StatusNotFound, "", "no such resource"}
	}
	no := map[string]any{"supported": false}
	writeJSON(w, http.StatusOK, map[string]any{
		"schemas":        []string{configSchema},
		"patch":          map[string]any{"supported": !f.NoPatch},
		"bulk":           map[string]any{"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
		"filter":         map[string]any{"supported": true, "maxResults": maxPage},
		"changePassword": no, "sort": no,
		"etag": map[string]any{"supported": true},
		"authenticationSchemes": []any{map[string]any{
			"type": "oauthbearertoken", "name": "Bearer token", "description": "The token the app was started with", "primary": true,
		}},
	})
	return nil
}

func (a *App) list(w http.ResponseWriter, r *http.Request, f *Faults) error {
	q := r.URL.Query()
	match := func(*user) bool { return true }
	if text := q.Get("filter"); text != "" && !f.IgnoreQuery {
		var err error
		if match, err = parseFilter(text, f.NoFilter); err != nil {
			return err
		}
	}
	start, count := max(1, number(q.Get("startIndex"), 1)), min(max(0, number(q.Get("count"), maxPage)), maxPage)
	if f.PageSize > 0 {
		count = min(count, f.PageSize)
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	if f.IgnoreQuery {
		start, count = 1, len(a.users)
	}
	page, total := []any{}, 0
	for _, u := range a.users {
		if !match(u) {
			continue
		}
		if total++; total >= start && len(page) < count {
			page = append(page, u.resource(r))
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"schemas": []string{listSchema}, "totalResults": total + f.WrongTotal, "startIndex": start, "itemsPerPage": len(page), "Resources": page,
	})
	return nil
}

func (a *App) get(w http.ResponseWriter, r *http.Request, _ *Faults) error {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, u := range a.users {
		if u.ID == r.PathValue("id") {
			u.write(w, r, http.StatusOK)
			return nil
		}
	}
	return scimError{http.StatusNotFound, "", "no such user"}
}

// resource is the user as RFC 7643 §4.1 has it. Nothing of it is shared with the state.
func (u *user) resource(r *http.Request) map[string]any {
	res := maps.Clone(u.Attrs)
	res["id"], res["active"] = u.ID, u.Active
	schemas := []string{userSchema}
	for k := range u.Attrs {
		if strings.HasPrefix(k, "urn:") {
			schemas = append(schemas, k)
		}
	}
	res["schemas"] = schemas
	res["meta"] = map[string]any{
		"resourceType": "User", "created": u.Created.Format(time.RFC3339Nano), "lastModified": u.Modified.Format(time.RFC3339Nano),
		"version": u.etag(), "location": location(r, u.ID),
	}
	return res
}

func (u *user) etag() string { return fmt.Sprintf(`W/"%d"`, u.Version) }

func (u *user) write(w http.ResponseWriter, r *http.Request, status int) {
	w.Header().Set("ETag", u.etag())
	if status == http.StatusCreated {
		w.Header().Set("Location", location(r, u.ID))
	}
	writeJSON(w, status, u.resource(r))
}

func location(r *http.Request, id string) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host + "/scim/v2/Users/" + id
}

func readJSON(r *http.Request) (map[string]any, error) {
	var body map[string]any
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, scimError{http.StatusRequestEntityTooLarge, "", "the body is too large"}
	}
	if err := json.Unmarshal(text, &body); err != nil || body == nil {
		return nil, scimError{http.StatusBadRequest, "invalidSyntax", "the body is not a JSON object"}
	}
	return body, nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil { // values came from JSON
		panic(err)
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	w.Write(text) //nolint:errcheck // the client went away
}

func writeError(w http.ResponseWriter, e scimError) {
	body := map[string]any{"schemas": []string{errorSchema}, "status": strconv.Itoa(e.status)}
	if e.typ != "" {
		body["scimType"] = e.typ
	}
	if e.detail != "" {
		body["detail"] = e.detail
	}
	writeJSON(w, e.status, body)
}

func number(text string, fallback int) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return fallback
	}
	return n
}
