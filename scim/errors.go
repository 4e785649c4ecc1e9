package scim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	elimity "github.com/elimity-com/scim/errors"

	"jmld/model"
)

// refusal is an answer that is not a success. It is an error, so that it travels through Pusher.Push unchanged.
type refusal struct {
	elimity.ScimError
	allow      string        // 405: Allow
	retryAfter time.Duration // 429, 503
	challenge  string        // 401: WWW-Authenticate
	also       string        // a second one
}

func refuse(status int, kind elimity.ScimType, format string, args ...any) error {
	return refusal{ScimError: elimity.ScimError{Status: status, ScimType: kind, Detail: fmt.Sprintf(format, args...)}}
}

func invalidSyntax(format string, args ...any) error {
	return refuse(http.StatusBadRequest, elimity.ScimTypeInvalidSyntax, format, args...)
}

func invalidValue(format string, args ...any) error {
	return refuse(http.StatusBadRequest, elimity.ScimTypeInvalidValue, format, args...)
}

func invalidFilter(format string, args ...any) error {
	return refuse(http.StatusBadRequest, elimity.ScimTypeInvalidFilter, format, args...)
}

func invalidPath(format string, args ...any) error {
	return refuse(http.StatusBadRequest, elimity.ScimTypeInvalidPath, format, args...)
}

func noTarget(format string, args ...any) error {
	return refuse(http.StatusBadRequest, elimity.ScimTypeNoTarget, format, args...)
}

func mutability(format string, args ...any) error {
	return refuse(http.StatusBadRequest, elimity.ScimTypeMutability, format, args...)
}

func notFound(format string, args ...any) error {
	return refuse(http.StatusNotFound, "", format, args...)
}

func unavailable(pause time.Duration) error {
	return refusal{
		ScimError:  elimity.ScimError{Status: http.StatusServiceUnavailable, Detail: "The service is not available now; nothing was changed. Try again."},
		retryAfter: pause,
	}
}

// refusalOf is the protocol's answer to an error. Only a refusal has words for the client; the text of any other error
// stays inside and is logged with the request.
func refusalOf(err error) refusal {
	var r refusal
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &r):
	case errors.As(err, &big):
		errors.As(refuse(http.StatusRequestEntityTooLarge, "", "The body is larger than %d bytes.", big.Limit), &r)
	case errors.Is(err, model.ErrConflict):
		// RFC 7644 §3.3; which resource has the value is not said.
		errors.As(refuse(http.StatusConflict, elimity.ScimTypeUniqueness, "A value that has to be unique is taken."), &r)
	case errors.Is(err, model.ErrNotFound):
		errors.As(notFound("There is no such resource."), &r)
	case errors.Is(err, model.ErrInvalid):
		errors.As(invalidValue("The resource cannot be stored as it is."), &r)
	case errors.Is(err, model.ErrTooMany):
		errors.As(refuse(http.StatusBadRequest, elimity.ScimTypeTooMany, "The filter needs too much looking; make it narrower."), &r)
	case errors.Is(err, model.ErrStale), errors.Is(err, model.ErrUnavailable), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, context.Canceled):
		errors.As(unavailable(time.Second), &r)
	default:
		errors.As(refuse(http.StatusInternalServerError, "", "An internal error; the log has it under the request's id."), &r)
	}
	return r
}

// writeRefusal answers with a SCIM Error body (RFC 7644 §3.12), status as text.
func writeRefusal(w http.ResponseWriter, r refusal, mediaType string) {
	h := w.Header()
	if r.allow != "" {
		h.Set("Allow", r.allow)
	}
	if r.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((r.retryAfter+time.Second-1)/time.Second)))
	}
	if r.challenge != "" {
		h.Set("WWW-Authenticate", r.challenge)
	}
	if r.also != "" {
		h.Add("WWW-Authenticate", r.also)
	}
	h.Del("ETag")
	h.Del("Location")
	h.Del("Content-Location")
	body, err := json.Marshal(r.ScimError)
	if err != nil {
		body = []byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"500"}`)
	}
	h.Set("Content-Type", mediaType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(r.Status)
	w.Write(body) //nolint:errcheck // the client has gone; there is nobody to tell
}
