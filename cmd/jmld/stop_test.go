package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// slowCreate opens a connection and sends a create without the last byte of its body, which the server waits for; finish sends it.
func slowCreate(t *testing.T, d *daemon, secret, userName string) (conn net.Conn, finish func() int) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(d.url, "http://"), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	body := userJSON(userName, "Engineering")
	_, err = fmt.Fprintf(conn, "POST /scim/entra/v2/Users HTTP/1.1\r\nHost: jmld\r\nAuthorization: Bearer %s\r\nContent-Type: application/scim+json\r\n"+
		"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n", secret, len(body))
	if err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(conn)
	if line, err := answers.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") { // it has begun
		t.Fatalf("%q %v", line, err)
	}
	if _, err := answers.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(body[:len(body)-1])); err != nil {
		t.Fatal(err)
	}
	return conn, func() int {
		if _, err := conn.Write([]byte(body[len(body)-1:])); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode
	}
}

// TestStopAnswersWhatHasBegun: after SIGTERM nothing new is accepted, and a request under way is answered and stored.
func TestStopAnswersWhatHasBegun(t *testing.T) {
	t.Parallel()
	h := newHouse(t, houseOptions{})
	secret := h.token("entra")
	d := h.serve()
	_, finish := slowCreate(t, d, secret, "late@example.org")
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "nothing new accepted", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(d.url, "http://"))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	if status := finish(); status != http.StatusCreated {
		t.Errorf("the request under way got %d", status)
	}
	select {
	case <-d.done:
		if d.err != nil {
			t.Errorf("it did not stop cleanly: %v\n%s", d.err, d.log.text())
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("it did not stop")
	}
	var p personJSON
	h.read(&p, "person", "late@example.org")
	if len(p.Accounts) != 1 {
		t.Errorf("what was answered is not stored: %+v", p)
	}
}

// TestSecondSignalEndsAtOnce, whatever a client still holds open.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, houseOptions{})
	secret := h.token("entra")
	d := h.serve()
	slowCreate(t, d, secret, "never@example.org")
	if err := d.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	select {
	case <-d.done:
		t.Fatalf("it did not wait for the request under way: %v\n%s", d.err, d.log.text())
	case <-time.After(time.Second):
	}
	if err := d.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	select {
	case <-d.done:
	case <-time.After(15 * time.Second):
		t.Error("the second signal did not end it")
	}
}
