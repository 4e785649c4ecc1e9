package scim_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"jmld/jml/engine"
	"jmld/model"
	"jmld/scim"
)

// faults makes the ports fail.
type faults struct {
	scim.Pusher
	scim.Resources
	push, read error
	crash      bool
	after      int // members before read fails
}

func (f *faults) Push(ctx context.Context, p engine.Push) (engine.Pushed, error) {
	if f.crash {
		panic("secret detail")
	}
	if f.push != nil {
		return engine.Pushed{}, f.push
	}
	return f.Pusher.Push(ctx, p)
}

func (f *faults) Record(ctx context.Context, source string, kind model.Kind, id string) (model.Record, error) {
	if f.read != nil && f.after == 0 {
		return model.Record{}, f.read
	}
	return f.Resources.Record(ctx, source, kind, id)
}

func (f *faults) WithGroups(ctx context.Context, source, id string) (model.Record, []model.Membership, error) {
	if f.read != nil && f.after == 0 {
		return model.Record{}, nil, f.read
	}
	return f.Resources.WithGroups(ctx, source, id)
}

func (f *faults) Members(ctx context.Context, source, group string, most int, yield func(string, model.Kind, string) error) error {
	n := 0
	return f.Resources.Members(ctx, source, group, most, func(id string, kind model.Kind, name string) error {
		if n++; f.read != nil && n > f.after {
			return f.read
		}
		return yield(id, kind, name)
	})
}

func (f *faults) GroupsOf(ctx context.Context, source string, ids []string) (map[string][]model.Membership, error) {
	if f.read != nil && f.after == 0 {
		return nil, f.read
	}
	return f.Resources.GroupsOf(ctx, source, ids)
}

// What goes wrong inside is answered by class, without a word of it, and nothing is half done.
func TestFailuresAreAnsweredWithoutTheirText(t *testing.T) {
	t.Parallel()
	var f faults
	core, logs := observer.New(zapcore.DebugLevel)
	c := newClient(t, sqlite(), func(o *scim.Options) {
		f.Pusher, f.Resources = o.Pusher, o.Resources
		o.Pusher, o.Resources, o.Log = &f, &f, zap.New(core)
	})
	id := c.create(t, "/Users", `{"userName":"lovelace"}`)
	const patch = `{"Operations":[{"op":"add","path":"title","value":"x"}]}`
	for _, tt := range []struct {
		name       string
		fault      faults
		method     string
		status     int
		retryAfter string
	}{
		{"no database", faults{push: fmt.Errorf("secret detail: %w", model.ErrUnavailable)}, "PATCH", 503, "1"},
		{"too slow", faults{push: fmt.Errorf("secret detail: %w", context.DeadlineExceeded)}, "PATCH", 503, "1"},
		{"others were first", faults{push: fmt.Errorf("secret detail: %w", model.ErrStale)}, "PATCH", 503, "1"},
		{"invalid", faults{push: fmt.Errorf("secret detail: %w", model.ErrInvalid)}, "PATCH", 400, ""},
		{"taken", faults{push: fmt.Errorf("secret detail: %w", model.ErrConflict)}, "PATCH", 409, ""},
		{"unknown", faults{push: errors.New("secret detail")}, "PATCH", 500, ""},
		{"a crash", faults{crash: true}, "PATCH", 500, ""},
		{"no database for a read", faults{read: fmt.Errorf("secret detail: %w", model.ErrUnavailable)}, "GET", 503, "1"},
		{"too many", faults{read: fmt.Errorf("secret detail: %w", model.ErrTooMany)}, "GET", 400, ""},
	} {
		tt.fault.Pusher, tt.fault.Resources = f.Pusher, f.Resources
		f = tt.fault
		body := ""
		if tt.method == "PATCH" {
			body = patch
		}
		a := c.must(t, tt.method, "/Users/"+id, body, tt.status)
		if bytes.Contains(a.body, []byte("secret")) || a.header.Get("Retry-After") != tt.retryAfter {
			t.Errorf("%s: %s %v", tt.name, a, a.header)
		}
	}
	f = faults{Pusher: f.Pusher, Resources: f.Resources}
	if a := c.must(t, "GET", "/Users/"+id, "", 200); a.at("title") != nil {
		t.Errorf("something was done: %s", a)
	}
	if n := logs.FilterMessage("scim request could not be done").Len(); n != 6 {
		t.Errorf("%d failures are in the log", n)
	}
	requests := logs.FilterMessage("scim request")
	for _, e := range requests.All() {
		if text := fmt.Sprint(e.ContextMap()); strings.Contains(text, "lovelace") {
			t.Errorf("log: %s", text)
		}
	}
}

// An answer that has begun and cannot be ended is cut, so that the client does not take a part for the whole.
func TestHalfAnAnswerIsCut(t *testing.T) {
	t.Parallel()
	var f faults
	c := newClient(t, sqlite(), func(o *scim.Options) {
		f.Pusher, f.Resources = o.Pusher, o.Resources
		o.Resources = &f
	})
	var ids []string
	for i := range 20000 {
		ids = append(ids, fmt.Sprintf(`"00000000-0000-4000-8000-%012d-a-value-longer-than-most"`, i))
	}
	id := c.create(t, "/Groups", `{"displayName":"G","members":[`+strings.Join(ids, ",")+`]}`)
	f.read, f.after = fmt.Errorf("gone: %w", model.ErrUnavailable), 10
	if a := c.must(t, "GET", "/Groups/"+id, "", 503); a.header.Get("ETag") != "" {
		t.Errorf("an error with an entity tag: %v", a.header)
	}
	f.after = 19900
	if a, err := c.send("GET", "/Groups/"+id, nil, ""); err == nil {
		t.Errorf("answered with %d and %d bytes", a.status, len(a.body))
	}
}

// A client that takes a large answer slowly does not keep a connection to the database for ever.
func TestSlowClientIsCut(t *testing.T) {
	t.Parallel()
	p := open(t, sqlite())
	p.token(t, "entra", "laptop", secret, nil)
	members := make([]string, 25000)
	for i := range members {
		members[i] = fmt.Sprintf("00000000-0000-4000-8000-%012d", i)
	}
	const id = "11111111-1111-4111-8111-111111111111"
	if _, err := p.Push(t.Context(), engine.Push{Source: "entra", Kind: model.KindGroup, ID: id, Create: true, Action: "scim.create",
		Change: func(*model.Record) (*model.Record, engine.MemberChange, error) {
			return &model.Record{DisplayName: "G", DisplayNameKey: "g", Active: true, Attrs: `{"displayName":"G"}`}, engine.MemberChange{Add: members}, nil
		}}); err != nil {
		t.Fatal(err)
	}
	done := make(chan scim.Observation, 1)
	server := &http.Server{Handler: scim.New(scim.Options{
		Sources: []scim.Source{{Name: "entra"}}, Pusher: p.Engine, Resources: p.Store, Tokens: p.Store,
		Timeout: 20 * time.Second, Observe: func(o scim.Observation) { done <- o },
	}), ReadHeaderTimeout: time.Second}
	client, far := net.Pipe() // holds nothing: what is not read is not written
	served := make(chan error, 1)
	l := &oneConn{conn: far, closed: make(chan struct{})}
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		client.Close()
		server.Close()
		<-served
	})
	fmt.Fprintf(client, "GET /scim/entra/v2/Groups/%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", id, secret)
	select {
	case o := <-done:
		if o.Took < 10*time.Second || o.Took > time.Minute || o.Status != 200 {
			t.Errorf("%+v", o)
		}
	case <-time.After(2 * time.Minute):
		t.Error("the request goes on for a client that does not read")
	}
}

// oneConn is a listener with one connection.
type oneConn struct {
	conn   net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// D-19: nothing is answered before it is durable.
func TestAnswersWaitForTheCommit(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	c := newClient(t, sqlite(), func(o *scim.Options) { o.Pusher = slow{o.Pusher, release} })
	done := make(chan answer, 1)
	go func() {
		a, err := c.send("POST", "/Users", nil, `{"userName":"ada"}`)
		if err != nil {
			t.Error(err)
		}
		done <- a
	}()
	select {
	case a := <-done:
		t.Fatalf("answered before the commit: %s", a)
	case <-time.After(200 * time.Millisecond):
	}
	close(release)
	a := <-done
	id, _ := a.at("id").(string)
	if rec, err := c.Record(t.Context(), "entra", model.KindUser, id); err != nil || rec.UserName != "ada" {
		t.Errorf("answered %s, stored %+v, %v", a, rec, err)
	}
}

type slow struct {
	scim.Pusher
	release chan struct{}
}

func (s slow) Push(ctx context.Context, p engine.Push) (engine.Pushed, error) {
	<-s.release
	return s.Pusher.Push(ctx, p)
}

// A body that ends early is not done.
func TestCutBodyIsNotDone(t *testing.T) {
	t.Parallel()
	p := open(t, sqlite())
	p.token(t, "entra", "laptop", secret, nil)
	h := scim.New(scim.Options{Sources: []scim.Source{{Name: "entra"}}, Pusher: p.Engine, Resources: p.Store, Tokens: p.Store})
	r := httptest.NewRequest("POST", "/scim/entra/v2/Users", &cut{})
	r.Header.Set("Authorization", "bearer "+secret)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if page, err := p.Query(t.Context(), model.Query{Source: "entra", Kind: model.KindUser}); w.Code != 400 || err != nil || page.Total != 0 {
		t.Errorf("%d %s; %+v %v", w.Code, w.Body, page, err)
	}
}

// cut delivers a whole document and then breaks.
type cut struct{ sent bool }

func (c *cut) Read(b []byte) (int, error) {
	if c.sent {
		return 0, errors.New("connection reset")
	}
	c.sent = true
	return copy(b, `{"userName":"ada"}`), nil
}
