package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// client is an identity provider's: HTTP/1.1 over kept connections, and nothing that costs time beside, because it shares
// the machine with what it measures.
type client struct {
	addr, path string
	after      string // of a request, between its line and its length
	idle       chan *wire
	lone       bool // see alone
}

// anySuccess is any status from 200 to 299.
const anySuccess = 0

// patience is how long a client waits at least for the next piece of an answer.
const patience = time.Minute

// wire is one connection, with room for a request and for the beginning of an answer.
type wire struct {
	io.ReadWriteCloser
	out, in []byte
}

// patient moves its deadline only now and then: to move it for each request would cost as much as much of the rest.
type patient struct {
	net.Conn
	until time.Time
}

func (p *patient) Write(b []byte) (int, error) {
	if now := time.Now(); p.until.Sub(now) < patience {
		p.until = now.Add(2 * patience)
		if err := p.SetDeadline(p.until); err != nil {
			return 0, err
		}
	}
	return p.Conn.Write(b)
}

func newClient(base string, most int) (*client, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	after := " HTTP/1.1\r\nHost: " + u.Host + "\r\nAuthorization: Bearer " + token + "\r\nContent-Type: application/scim+json\r\nContent-Length: "
	return &client{u.Host, u.Path, after, make(chan *wire, most), false}, nil
}

// alone says whether there is one request at a time from now on, to another process. Whoever has nothing else to do waits for the
// answer in the kernel, which takes fewer steps than the runtime's way to wait for any of many.
func (c *client) alone(lone bool) {
	if c.lone != lone {
		c.close()
		c.lone = lone
	}
}

func (c *client) close() {
	for {
		select {
		case w := <-c.idle:
			w.Close()
		default:
			return
		}
	}
}

func (c *client) do(ctx context.Context, method, path, body string, want int, look func(body []byte) error) error {
	var w *wire
	select {
	case w = <-c.idle:
	default:
		conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", c.addr)
		if err != nil {
			return err
		}
		w = &wire{&patient{Conn: conn}, nil, make([]byte, 4<<10)}
		if c.lone {
			if w.ReadWriteCloser, err = blocking(conn, patience); err != nil {
				return err
			}
		}
	}
	a, err := c.exchange(w, method, path, body)
	if err == nil && a.status != want && (want != anySuccess || a.status/100 != 2) {
		err = fmt.Errorf("%s %s: status %d: %.300s", method, path, a.status, a.body)
	}
	if err == nil && look != nil {
		err = look(a.body)
	}
	if err != nil || a.last { // whose body is of the connection: it is read by now
		return errors.Join(err, w.Close())
	}
	select {
	case c.idle <- w:
	default:
		return w.Close()
	}
	return nil
}

// answer is what came back. The body is the connection's until the next exchange.
type answer struct {
	status int
	body   []byte
	last   bool // the connection ends with it
}

func (c *client) exchange(w *wire, method, path, body string) (answer, error) {
	b := append(append(append(append(w.out[:0], method...), ' '), c.path...), path...)
	b = append(strconv.AppendInt(append(b, c.after...), int64(len(body)), 10), "\r\n\r\n"...)
	w.out = append(b, body...)
	if _, err := w.Write(w.out); err != nil {
		return answer{}, err
	}
	n := 0
	for {
		if n == len(w.in) {
			w.in = append(w.in, make([]byte, n)...)
		}
		more, err := w.Read(w.in[n:])
		if n += more; err != nil {
			return answer{}, fmt.Errorf("%s %s: read the answer: %w", method, path, err)
		}
		head := bytes.Index(w.in[:n], []byte("\r\n\r\n"))
		if head < 0 && n < 64<<10 {
			continue
		}
		a, length := lengthOf(w.in[:max(head, 0)])
		if length < 0 { // in pieces, or without a body: not what is measured most
			return w.rest(n)
		}
		total := head + len("\r\n\r\n") + length
		if w.in = append(w.in, make([]byte, max(0, total-len(w.in)))...); n < total {
			if _, err := io.ReadFull(w, w.in[n:total]); err != nil {
				return answer{}, fmt.Errorf("%s %s: read the body: %w", method, path, err)
			}
		} else if n > total {
			return answer{}, fmt.Errorf("%s %s: %d bytes too many", method, path, n-total)
		}
		a.body = w.in[total-length : total]
		return a, nil
	}
}

// lengthOf reads a plain answer's head: the status and how long the body is. A negative length says that it is not so plain.
func lengthOf(head []byte) (a answer, length int) {
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	text, ok := bytes.CutPrefix(line, []byte("HTTP/1.1 "))
	status, err := strconv.Atoi(string(text[:min(3, len(text))]))
	if !ok || err != nil || status < 200 || status == http.StatusNoContent || status == http.StatusNotModified {
		return a, -1
	}
	length = -1
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return a, -1
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")), bytes.EqualFold(name, []byte("Connection")):
			return a, -1
		}
	}
	return answer{status: status}, length
}

// rest reads an answer, of which n bytes have come, as net/http does.
func (w *wire) rest(n int) (answer, error) {
	r := bufio.NewReader(io.MultiReader(bytes.NewReader(w.in[:n]), w))
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && r.Buffered() > 0 {
		err = fmt.Errorf("%d bytes too many", r.Buffered())
	}
	return answer{res.StatusCode, text, res.Close}, err
}
func titleOf(n int64) string { return fmt.Sprintf("Engineer %d", n%7) }

// newUser is an invented person as Entra sends one.
func newUser(n int64, title string) string {
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],`+
		`"externalId":"00000000-0000-4000-8000-%012d","userName":"person%d@example.org","active":true,"displayName":"Invented Person %d",`+
		`"title":"%s","preferredLanguage":"en-GB","name":{"formatted":"Invented Person %d","familyName":"Person %d","givenName":"Invented"},`+
		`"emails":[{"primary":true,"type":"work","value":"person%d@example.org"}],"phoneNumbers":[{"type":"mobile","value":"+49 30 5550 %d"}],`+
		`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"%d","department":"Department %d"}}`,
		n, n, n, title, n, n, n, n, n, n%40)
}

func patchOf(operation string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + operation + `]}`
}

// one asks for the only resource with the filter.
func (c *client) one(ctx context.Context, filter string) error {
	query := strings.ReplaceAll(url.QueryEscape(filter), "+", "%20")
	return c.do(ctx, http.MethodGet, "/Users?filter="+query, "", http.StatusOK, func(body []byte) error {
		if !bytes.Contains(body, []byte(`"totalResults":1,`)) {
			return fmt.Errorf("not one person has %s: %.300s", filter, body)
		}
		return nil
	})
}
