package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
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

// carry answers whatever is asked at the address with as many bytes as a person has, without reading more of it than where it ends,
// and without any library: no server on this machine answers sooner, whatever it does.
func carry(t *tb) (addr string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Logf("close: %v", err)
		}
	})
	const size = 1200
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(size) + "\r\n\r\n" + strings.Repeat(" ", size))
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					t.Logf("accept: %v", err)
				}
				return
			}
			go func() {
				defer conn.Close()
				for in := make([]byte, 4<<10); ; { // a request fits
					n, err := conn.Read(in)
					if err == nil && bytes.HasSuffix(in[:n], []byte("\r\n\r\n")) {
						_, err = conn.Write(answer)
					}
					if err != nil {
						return // the client has gone
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String(), nil
}
