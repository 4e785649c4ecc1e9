package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
)

// overHTTP is the floor of a lookup: a read takes less than carrying its answer, so the plain statements stand behind a bare
// net/http handler that does nothing else. Writes are compared with the database alone: there the commit is what takes time.
type overHTTP struct {
	byHand
	client *client
}

func newOverHTTP(t *tb, hand byHand) (overHTTP, error) {
	url, err := listen(t, func(string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, err := strconv.ParseInt(r.URL.Query().Get("n"), 10, 64)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			attrs, err := hand.find(r.Context(), n)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(attrs)) // a client that went away counts its own error
		})
	})
	if err != nil {
		return overHTTP{}, err
	}
	c, err := newClient(url, 64)
	if err != nil {
		return overHTTP{}, err
	}
	t.Cleanup(c.close)
	return overHTTP{hand, c}, nil
}

func (f overHTTP) lookup(ctx context.Context, n int64) error {
	return f.client.do(ctx, http.MethodGet, fmt.Sprintf("/lookup?n=%d", n), "", http.StatusOK, nil)
}
