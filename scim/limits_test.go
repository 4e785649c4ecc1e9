package scim_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"jmld/scim"
)

// RFC 6585 §4: above the rate the answer is 429 with the time to wait, for each client by itself.
func TestTooManyRequestsAreRefusedWithTheTimeToWait(t *testing.T) {
	t.Parallel()
	k := &clock{at: time.Now()}
	c := newClient(t, sqlite(), func(o *scim.Options) {
		o.Now, o.Sources[0].Limits = k.now, scim.Limits{Rate: 0.5, Burst: 3}
	})
	c.token(t, "entra", "second", "token-second", nil)
	c.token(t, "okta", "other", "token-okta", nil)
	url := c.base + "/ServiceProviderConfig"
	for range 3 {
		c.as(t, "Bearer "+secret, url, 200)
	}
	for range 5 { // refused ones do not count
		if a := c.as(t, "Bearer "+secret, url, 429); a.header.Get("Retry-After") != "2" {
			t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
		}
	}
	c.as(t, "Bearer token-second", url, 200)
	for range 10 {
		c.as(t, "Bearer token-okta", c.host+"/scim/okta/v2/ServiceProviderConfig", 200)
	}
	k.advance(2 * time.Second)
	c.as(t, "Bearer "+secret, url, 200)
	c.as(t, "Bearer "+secret, url, 429)
}

// slow begins a request and sends the first part of its body.
func (c *client) slow(t testing.TB, header, part string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.host, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := fmt.Fprintf(conn, "POST /scim/entra/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s\r\n\r\n%s", secret, header, part); err != nil {
		t.Fatal(err)
	}
	return conn
}

func status(t testing.TB, conn net.Conn) int {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

// A body that drips is cut off, and does not stand in the way of others.
func TestSlowBodiesEnd(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite(), func(o *scim.Options) { o.BodyTimeout = time.Second })
	for _, header := range []string{"Content-Length: 1000", "Content-Length: 1000000", "Transfer-Encoding: chunked"} {
		start := time.Now()
		conn := c.slow(t, header, "1")
		c.must(t, "GET", "/Users", "", 200)
		if got := status(t, conn); got != 408 || time.Since(start) > time.Minute {
			t.Errorf("%s: %d after %s", header, got, time.Since(start))
		}
	}
	time.Sleep(1100 * time.Millisecond) // the deadline is of the body and not of the connection
	c.create(t, "/Users", `{"userName":"ada@example.org"}`)
	time.Sleep(1100 * time.Millisecond)
	c.create(t, "/Users", `{"userName":"bob@example.org"}`)
}

func TestConcurrentRequestsAreBounded(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite(), func(o *scim.Options) {
		o.BodyTimeout, o.Sources[0].Limits = patience, scim.Limits{Concurrent: 2}
	})
	c.token(t, "entra", "second", "token-second", nil)
	until := func(status int) answer {
		t.Helper()
		for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
			a, err := c.send("GET", "/Users", http.Header{}, "")
			if err == nil && a.status == status {
				return a
			}
			if time.Now().After(end) {
				t.Fatalf("never %d: %v %s", status, err, a)
			}
		}
	}
	first, second := c.slow(t, "Content-Length: 1000", "{"), c.slow(t, "Content-Length: 1000", "{")
	if a := until(429); a.header.Get("Retry-After") != "1" {
		t.Errorf("%v", a.header)
	}
	c.as(t, "Bearer token-second", c.base+"/Users", 200)
	for _, conn := range []net.Conn{first, second} { // they give up
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	until(200)
}

// Large bodies of one client take turns; all are answered in the end.
func TestLargeBodiesTakeTurns(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite())
	var wg sync.WaitGroup
	for i := range 5 {
		wg.Go(func() {
			body := fmt.Sprintf(`{"userName":"u%d@example.org","unknown":"%s"}`, i, strings.Repeat("x", 3<<20))
			for end := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
				a, err := c.send("POST", "/Users", http.Header{}, body)
				if err == nil && a.status == 201 {
					return
				}
				if err != nil || a.status != 429 || a.header.Get("Retry-After") != "1" || time.Now().After(end) { // a slow machine: as clients do
					t.Errorf("%d: %v %s", i, err, a)
					return
				}
			}
		})
	}
	wg.Wait()
}
