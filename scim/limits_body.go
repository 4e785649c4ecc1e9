package scim

import (
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"time"
)

// defaultBodyTimeout is for the whole body, however slowly it drips.
const defaultBodyTimeout = 20 * time.Second

// readBody reads the whole body, at most limit bytes. Of one client, large bodies are in memory one after another as far
// as they are more than limit bytes together, until their requests are answered.
func (q *request) readBody(limit int64) ([]byte, error) {
	declared := q.r.ContentLength
	if declared > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	rc := http.NewResponseController(q.w)
	if rc.SetReadDeadline(time.Now().Add(q.h.o.BodyTimeout)) == nil { // not every ResponseWriter can: httptest's recorder
		// It must not outlast the body: net/http watches the connection meanwhile, and would take it for a client that left.
		defer rc.SetReadDeadline(time.Time{}) //nolint:errcheck // it could a moment ago
	}
	body := http.MaxBytesReader(q.w, q.r.Body, limit)
	first := int64(smallBody)
	if declared >= 0 {
		first = min(first, declared)
	}
	text, large := make([]byte, 0, first+1), false
	for {
		if len(text) == cap(text) {
			if !large && q.source != nil {
				size := declared
				if size < 0 { // chunked: any
					size = limit
				}
				if err := q.carry(size); err != nil {
					return nil, err
				}
				large = true
			}
			text = slices.Grow(text, int(max(declared+1-int64(len(text)), smallBody)))
		}
		n, err := body.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		switch {
		case err == io.EOF: //nolint:errorlint // unwrapped, by contract; io.ErrUnexpectedEOF is another one
			return text, nil
		case err != nil:
			return nil, q.cut(err)
		}
	}
}

// carry makes room for a large body.
func (q *request) carry(size int64) error {
	leave, err := q.source.limits.carry(q.r.Context(), q.token.ID, size)
	if err == nil {
		q.leaving = append(q.leaving, leave)
	}
	return err
}

// cut says what became of a body that could not be read: nothing of a request that was cut is done.
func (q *request) cut(err error) error {
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &big):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		q.w.Header().Set("Connection", "close")
		return refuse(http.StatusRequestTimeout, "", "The body did not arrive within %s.", q.h.o.BodyTimeout)
	}
	return invalidSyntax("The body ended early.")
}

// leave gives back what the request took.
func (q *request) leave() {
	for _, f := range q.leaving {
		f()
	}
	q.leaving = nil
}
