package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// client is an identity provider's.
type client struct {
	base string
	http *http.Client
}

func newClient(base string, n int) *client {
	return &client{base, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n, MaxIdleConns: n}}}
}

func (c *client) do(ctx context.Context, method, path, body string, want int, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		req.Header.Set("Content-Type", "application/scim+json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != want {
		return fmt.Errorf("%s %s: status %d: %.300s", method, path, res.StatusCode, text)
	}
	if into != nil {
		return json.Unmarshal(text, into)
	}
	return nil
}

// newUser is an invented person as Entra sends one.
func newUser(n int64) string {
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],`+
		`"externalId":"00000000-0000-4000-8000-%012d","userName":"person%d@example.org","active":true,"displayName":"Invented Person %d",`+
		`"title":"Engineer %d","preferredLanguage":"en-GB","name":{"formatted":"Invented Person %d","familyName":"Person %d","givenName":"Invented"},`+
		`"emails":[{"primary":true,"type":"work","value":"person%d@example.org"}],"phoneNumbers":[{"type":"mobile","value":"+49 30 5550 %d"}],`+
		`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"%d","department":"Department %d"}}`,
		n, n, n, n%7, n, n, n, n, n, n%40)
}

func (c *client) create(ctx context.Context, n int64) (string, error) {
	var made struct{ ID string }
	err := c.do(ctx, http.MethodPost, "/Users", newUser(n), http.StatusCreated, &made)
	return made.ID, err
}

func (c *client) setActive(ctx context.Context, id string, active bool) error {
	return c.do(ctx, http.MethodPatch, "/Users/"+id, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],`+
		`"Operations":[{"op":"Replace","path":"active","value":%t}]}`, active), http.StatusOK, nil)
}

func (c *client) lookup(ctx context.Context, n int64) error {
	var list struct{ TotalResults int }
	err := c.do(ctx, http.MethodGet, "/Users?filter="+url.QueryEscape(fmt.Sprintf(`userName eq "person%d@example.org"`, n)), "", http.StatusOK, &list)
	if err == nil && list.TotalResults != 1 {
		err = fmt.Errorf("%d people are called person%d", list.TotalResults, n)
	}
	return err
}
