package main

import (
	"fmt"
	"net/http"
	"strconv"
)

// floorHandler does the same by hand behind a bare net/http handler that does nothing else: what is read takes less than
// carrying its answer.
func floorHandler(hand byHand, ops map[string]*scimOp) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		o := ops[q.Get("op")]
		var size int64
		if _, err := fmt.Sscanf(q.Get("op"), memberName, &size); err == nil {
			o = memberOp(size)
		}
		n, err := strconv.ParseInt(q.Get("n"), 10, 64)
		turn, err2 := strconv.ParseInt(q.Get("turn"), 10, 64)
		if o == nil || err != nil || err2 != nil {
			http.Error(w, "op, n and turn say what to do", http.StatusBadRequest)
			return
		}
		attrs, err := o.floor(r.Context(), hand, n, turn)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(attrs)) // a client that went away counts its own error
	})
}
