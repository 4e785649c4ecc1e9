// Package sampleapp is a small app with a SCIM 2.0 service provider (RFC 7643, 7644), for the demo and for tests: users
// only, one bearer token, state in one JSON file, and a page that lists its users. It can be told to misbehave in the
// ways that real service providers do.
package sampleapp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// App is the app. It is an http.Handler: the page at /, the service provider under /scim/v2.
type App struct {
	path  string // "": nothing is kept
	token string
	mux   *http.ServeMux

	faults   atomic.Pointer[Faults]
	requests atomic.Int64

	mu    sync.RWMutex
	users []*user // in order of creation
}

// user is a resource with its attributes as the client gave them; id and meta are ours.
type user struct {
	ID       string         `json:"id"`
	Created  time.Time      `json:"created"`
	Modified time.Time      `json:"modified"`
	Version  int            `json:"version"`
	Active   bool           `json:"active"`
	Attrs    map[string]any `json:"attributes"`
}

// Open loads the state from the file, if it exists, and keeps it there; with an empty path the app forgets. The token
// is what clients have to send.
func Open(path, token string) (*App, error) {
	if token == "" {
		return nil, errors.New("open sample app: no token given")
	}
	a := &App{path: path, token: token}
	a.faults.Store(&Faults{})
	a.routes()
	if path == "" {
		return a, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open sample app: %w", err)
	}
	if err := json.Unmarshal(text, &a.users); err != nil {
		return nil, fmt.Errorf("open sample app: %s: %w", path, err)
	}
	for _, u := range a.users {
		if u == nil || u.ID == "" || u.Attrs == nil {
			return nil, fmt.Errorf("open sample app: %s: it has a user without id or attributes", path)
		}
	}
	return a, nil
}

// Misbehave makes the app do so from the next request on; the zero Faults ends it.
func (a *App) Misbehave(f Faults) { a.faults.Store(&f) }

// Requests is how many SCIM requests came in.
func (a *App) Requests() int { return int(a.requests.Load()) }

// ServeHTTP answers one request.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

func (a *App) routes() {
	a.mux = http.NewServeMux()
	a.mux.HandleFunc("GET /{$}", a.page)
	scim := func(pattern string, h func(http.ResponseWriter, *http.Request, *Faults) error) {
		method, path, _ := strings.Cut(pattern, " ")
		a.mux.HandleFunc(method+" /scim/v2"+path, func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, h) })
	}
	scim("GET /ServiceProviderConfig", a.config)
	scim("GET /Users", a.list)
	scim("POST /Users", a.create)
	scim("GET /Users/{id}", a.get)
	scim("PUT /Users/{id}", a.replace)
	scim("PATCH /Users/{id}", a.patch)
	scim("DELETE /Users/{id}", a.remove)
	a.mux.HandleFunc("/scim/v2/", func(w http.ResponseWriter, r *http.Request) {
		a.serve(w, r, func(http.ResponseWriter, *http.Request, *Faults) error {
			return scimError{http.StatusNotFound, "", "no such resource"}
		})
	})
}

// change runs f on a copy of the users and keeps what f returns once it is on disk.
func (a *App) change(f func(users []*user) ([]*user, error)) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	next, err := f(slices.Clone(a.users))
	if err != nil {
		return err
	}
	if err := a.save(next); err != nil {
		return err
	}
	a.users = next
	return nil
}

// save writes beside the file and renames over it: after a crash the file is the old state or the new one.
func (a *App) save(users []*user) (err error) {
	if a.path == "" {
		return nil
	}
	text, err := json.MarshalIndent(users, "", " ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(a.path)
	tmp, err := os.CreateTemp(dir, filepath.Base(a.path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			tmp.Close()
			os.Remove(tmp.Name())
		}
	}()
	if _, err = tmp.Write(text); err != nil {
		return err
	}
	if err = tmp.Sync(); err != nil {
		return err
	}
	if err = tmp.Close(); err != nil {
		return err
	}
	if err = os.Rename(tmp.Name(), a.path); err != nil {
		return err
	}
	d, err := os.Open(dir) // the rename is durable when the directory is
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
