package httpd

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"jmld/model"
)

const readyTimeout = 2 * time.Second

func (s *Server) routes(m *metrics) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", m.handler())
	if s.o.Console != nil {
		mux.Handle("/", s.o.Console)
	}
	return s.identify(m.measure(s.recover(s.split(mux))))
}

// split hands SCIM requests on as they came. A ServeMux would answer a doubled slash, which clients make by joining base URL and
// path, with a redirect, and lose the body of a POST.
func (s *Server) split(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.o.SCIM == nil || !isSCIM(r) {
			mux.ServeHTTP(w, r)
			return
		}
		r.Pattern = scimPattern
		s.o.SCIM.ServeHTTP(w, r)
	})
}

const scimPattern = "/scim/"

func isSCIM(r *http.Request) bool {
	path := strings.TrimLeft(r.URL.Path, "/")
	return path == "scim" || strings.HasPrefix(path, "scim/")
}

// health says that the process lives: whoever answers at all is alive.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]string{"status": "ok"})
}

// ready says whether requests should come here. The reason is a class, not the error: the page is open to everybody.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if s.leaving.Load() {
		answer(w, http.StatusServiceUnavailable, map[string]string{"status": "unavailable", "reason": "stopping"})
		return
	}
	if s.o.Ready == nil {
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	err := s.o.Ready(ctx)
	if err == nil {
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
		return
	}
	reason := "internal"
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		reason = "database_timeout"
	case errors.Is(err, model.ErrUnavailable):
		reason = "database_unavailable"
	}
	s.log.Warn("not ready", zap.String("reason", reason), zap.String(model.FieldCode, string(model.CodeOf(err))), zap.Error(err))
	answer(w, http.StatusServiceUnavailable, map[string]string{"status": "unavailable", "reason": reason})
}

func answer(w http.ResponseWriter, status int, v map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // fails only when the reader is gone
}

// route is the name under which a request is counted: the pattern that served it, never the path, so that clients cannot
// make up label values. SCIM paths are told apart by their resource type.
func route(r *http.Request) string {
	p := r.Pattern
	if _, path, ok := strings.Cut(p, " "); ok {
		p = path
	}
	switch {
	case p == "":
		return "none"
	case isSCIM(r):
		return scimRoute(r.URL.Path)
	}
	return p
}

// scimRoute knows the endpoints of RFC 7644 §3.2.
func scimRoute(path string) string {
	parts := strings.FieldsFunc(path, func(c rune) bool { return c == '/' }) // scim, source, v2, Users, id
	const base = "/scim/{source}/v2"
	if len(parts) == 4 && parts[2] == "oauth" && parts[3] == "token" {
		return "/scim/{source}/oauth/token"
	}
	if len(parts) < 4 || parts[2] != "v2" {
		return scimPattern
	}
	switch kind := parts[3]; {
	case kind == "Users" || kind == "Groups" || kind == "ResourceTypes" || kind == "Schemas":
		switch {
		case len(parts) == 4:
			return base + "/" + kind
		case len(parts) == 5 && parts[4] == ".search":
			return base + "/" + kind + "/.search"
		case len(parts) == 5:
			return base + "/" + kind + "/{id}"
		}
	case len(parts) == 4 && (kind == "ServiceProviderConfig" || kind == "Bulk" || kind == "Me" || kind == ".search"):
		return base + "/" + kind
	}
	return scimPattern
}
