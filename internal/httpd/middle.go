package httpd

import (
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"go.uber.org/zap"

	"jmld/model"
)

// requestID is the header that carries the id of a request, both ways: handlers find it in the request and in the answer.
const requestID = "X-Request-Id"

// identify gives the request an id: the one a proxy in front gave it, if that is harmless, else a new one.
func (s *Server) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(requestID)
		if !harmless(id) {
			id = model.NewID(s.o.Now())
		}
		r.Header.Set(requestID, id)
		w.Header().Set(requestID, id)
		next.ServeHTTP(w, r)
	})
}

// harmless ids can be written into logs and pages as they are.
func harmless(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	return strings.IndexFunc(id, func(c rune) bool {
		return c != '-' && c != '_' && c != '.' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
	}) < 0
}

// recover turns a panic into an answer and a log line: one broken request must not take the others with it.
func (s *Server) recover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler { //nolint:errorlint // the sentinel is compared, as net/http does
				panic(v)
			}
			s.log.Error("handler panicked", zap.String(model.FieldCode, string(model.CodeInternal)), zap.String(model.FieldRequest, r.Header.Get(requestID)),
				zap.String(model.FieldMethod, r.Method), zap.String(model.FieldRoute, route(r)), zap.Duration(model.FieldDuration, time.Since(start)),
				zap.Any("panic", v), zap.ByteString("stack", debug.Stack()))
			if rec, ok := w.(*recorder); ok && rec.status != 0 {
				panic(http.ErrAbortHandler) // half an answer is out: the client must not take it for a whole one
			}
			broken(w, r)
		}()
		next.ServeHTTP(w, r)
	})
}

func broken(w http.ResponseWriter, r *http.Request) {
	if isSCIM(r) { // RFC 7644 §3.12
		w.Header().Set("Content-Type", "application/scim+json")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"500","detail":"internal error; see the log for request ` +
			w.Header().Get(requestID) + `"}`))
		return
	}
	http.Error(w, "internal error; see the log for request "+w.Header().Get(requestID), http.StatusInternalServerError)
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK { // informational answers are not the answer
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController through to the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
