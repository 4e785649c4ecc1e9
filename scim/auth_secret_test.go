package scim_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"jmld/jml/engine"
	"jmld/scim"
)

// noted remembers the actors of writes.
type noted struct {
	scim.Pusher
	mu     sync.Mutex
	actors []string
}

func (n *noted) Push(ctx context.Context, p engine.Push) (engine.Pushed, error) {
	n.mu.Lock()
	n.actors = append(n.actors, p.Actor)
	n.mu.Unlock()
	return n.Pusher.Push(ctx, p)
}

// M-45: whatever a client shows, right or wrong, and wherever it puts it, is in no log line and in no answer.
func TestCredentialsAreNotShown(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.DebugLevel)
	i := newIssuer(t)
	key := ecKey(t, "e")
	i.publish(key.public())
	passwords, secrets := &vault{values: []string{"canary-password-right"}}, &vault{values: []string{"canary-secret-right"}}
	n := &noted{}
	c := newClient(t, sqlite(), func(o *scim.Options) {
		n.Pusher, o.Pusher, o.Log = o.Pusher, n, zap.New(core)
		s := &o.Sources[0]
		s.Basic = &scim.Basic{User: "okta", Passwords: passwords.read}
		s.OAuth = &scim.OAuth{ClientID: "jmld", Secrets: secrets.read}
		s.JWT = &scim.JWT{Issuer: "https://issuer.example.org", Audience: "api://jmld", Subject: "workload", Bearer: true, Keys: i.jwks()}
	})
	good, bad := key.sign(t, claimsAt(time.Now())), key.sign(t, claimsAt(time.Now(), "aud", "canary-claim"))
	cc := form("grant_type", "client_credentials")
	access := c.grant(t, "entra", basic("jmld", "canary-secret-right"), cc).Token
	var said strings.Builder
	try := func(method, url, header, body string, want int) {
		t.Helper()
		h := http.Header{"Authorization": {header}}
		if strings.Contains(url, "/oauth/") {
			h.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		a, err := c.send(method, url, h, body)
		if err != nil || a.status != want {
			t.Errorf("%s %s: %v %s", method, url, err, a)
		}
		if url == c.host+"/scim/entra/oauth/token" && a.status == 200 {
			return // that answer has the new token in it
		}
		said.Write(a.body)
		for name, values := range a.header {
			said.WriteString(name + strings.Join(values, " "))
		}
	}
	user := func(name string) string { return `{"userName":"` + name + `@example.org"}` }
	try("POST", "/Users", basic("okta", "canary-password-right"), user("a"), 201)
	try("POST", "/Users", "Bearer "+access, user("b"), 201)
	try("POST", "/Users", "Bearer "+good, user("c"), 201)
	try("POST", "/Users", "Bearer "+secret, user("d"), 201)
	try("POST", "/Users", basic("okta", "canary-password-wrong"), user("e"), 401)
	try("POST", "/Users", "Bearer canary-token-wrong", user("e"), 401)
	try("POST", "/Users", "Bearer jmld_at_canary-access-wrong", user("e"), 401)
	try("POST", "/Users", "Bearer "+bad, user("e"), 401)
	try("POST", "/Users", "canary-scheme canary-value", user("e"), 401)
	endpoint := c.host + "/scim/entra/oauth/token"
	try("POST", endpoint+"?client_secret=canary-query", "", cc.Encode(), 401)
	try("POST", endpoint, "", "grant_type=client_credentials&client_id=canary-id&client_secret=canary-secret-wrong", 401)
	try("POST", endpoint, "", "grant_type=canary-grant&canary-parameter=1", 400)
	try("POST", endpoint, "", "grant_type=client_credentials&client_assertion="+bad+"&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer", 401)
	passwords.put(errors.New("read file: no such file"))
	try("GET", "/Users", "Bearer "+access, "", 200)

	for _, e := range logs.All() {
		line, err := json.Marshal(e.ContextMap())
		if err != nil {
			t.Fatal(err)
		}
		said.Write(line)
		said.WriteString(e.Message)
	}
	for _, private := range []string{"canary", secret, access, good, bad, strings.Split(good, ".")[1], strings.Split(bad, ".")[2]} {
		if at := strings.Index(said.String(), private); at >= 0 {
			t.Errorf("%.30s is shown: %s", private, said.String()[max(0, at-100):at+50])
		}
	}
	want := "source entra, user okta; source entra, oauth client jmld; source entra, identity provider's client workload; source entra, token laptop"
	if got := strings.Join(n.actors, "; "); got != want {
		t.Errorf("actors %s", got)
	}
}
