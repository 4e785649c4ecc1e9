package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// client is an identity provider's: HTTP/1.1 over kept connections, and nothing that costs time beside, because it shares
// the machine with what it measures.
type client struct {
	addr, path string
	secret     string
	idle       chan *wire
}

// anySuccess is any status from 200 to 299.
const anySuccess = 0

type wire struct {
	net.Conn
	r *bufio.Reader
}

func newClient(base string, most int) (*client, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	return &client{u.Host, u.Path, token, make(chan *wire, most)}, nil
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

func (c *client) do(ctx context.Context, method, path, body string, want int, into any) error {
	var w *wire
	select {
	case w = <-c.idle:
	default:
		conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", c.addr)
		if err != nil {
			return err
		}
		w = &wire{conn, bufio.NewReader(conn)}
	}
	status, text, err := c.exchange(w, method, path, body)
	if err != nil {
		w.Close()
		return err
	}
	select {
	case c.idle <- w:
	default:
		w.Close()
	}
	if status != want && (want != anySuccess || status/100 != 2) {
		return fmt.Errorf("%s %s: status %d: %.300s", method, path, status, text)
	}
	if into != nil {
		return json.Unmarshal(text, into)
	}
	return nil
}

func (c *client) exchange(w *wire, method, path, body string) (int, []byte, error) {
	if err := w.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return 0, nil, err
	}
	if _, err := fmt.Fprintf(w, "%s %s%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/scim+json\r\nContent-Length: %d\r\n\r\n%s",
		method, c.path, path, c.addr, c.secret, len(body), body); err != nil {
		return 0, nil, err
	}
	res, err := http.ReadResponse(w.r, nil)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, text, err
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
	var list struct{ TotalResults int }
	query := strings.ReplaceAll(url.QueryEscape(filter), "+", "%20")
	err := c.do(ctx, http.MethodGet, "/Users?filter="+query, "", http.StatusOK, &list)
	if err == nil && list.TotalResults != 1 {
		err = fmt.Errorf("%d people have %s", list.TotalResults, filter)
	}
	return err
}
