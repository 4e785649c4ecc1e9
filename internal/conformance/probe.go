package conformance

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// probe is one run: the connection, what is known of the server, and what was made there.
type probe struct {
	o        Options
	base     *url.URL
	http     *http.Client
	timeout  time.Duration
	token    string
	secrets  []string // never shown
	run      string   // begins every name of this run
	count    int      // of names
	requests int
	made     []*resource
	unsure   []*resource // a create without a usable answer
	server   server
	one      *resource   // a person nobody changes
	set      []*resource // ada, bob and eve
	noSet    error
	scoped   *bool // whether the server finds exactly the set
}

// resource is something of ours.
type resource struct {
	endpoint string // "/Users"
	id       string
	name     string         // userName or displayName
	key      string         // which of them
	doc      map[string]any // as sent
	answer   *answer        // to the create
}

func (r *resource) path() string { return r.endpoint + "/" + url.PathEscape(r.id) }

func newProbe(o Options) (*probe, error) {
	base, err := url.Parse(strings.TrimRight(strings.TrimSpace(o.URL), "/"))
	switch {
	case err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https":
		return nil, fmt.Errorf("%w: the URL has to be such as https://app.example.org/scim/v2", ErrOptions)
	case base.User != nil || base.RawQuery != "" || base.Fragment != "":
		return nil, fmt.Errorf("%w: the URL must not have a user, a query or a fragment", ErrOptions)
	case base.Scheme == "http" && !o.Insecure && !isLoopback(base.Hostname()):
		return nil, fmt.Errorf("%w: plain http to %s would show the token to everybody on the way", ErrOptions, base.Hostname())
	}
	p := &probe{o: o, base: base, timeout: o.Timeout, run: "jmldtest-" + strings.ToLower(rand.Text()[:12])}
	if p.timeout <= 0 {
		p.timeout = defaultTimeout
	}
	if o.Token != nil {
		if p.token, err = o.Token(); err != nil {
			return nil, fmt.Errorf("read the token: %w", err)
		}
		p.token = strings.TrimSpace(p.token)
		if p.token == "" || strings.ContainsFunc(p.token, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
			return nil, fmt.Errorf("%w: the token is empty or has characters that no token has", ErrOptions)
		}
		p.secrets = append(p.secrets, p.token)
	}
	for _, list := range o.Header {
		for _, v := range list {
			if len(v) >= 4 {
				p.secrets = append(p.secrets, v)
			}
		}
	}
	// A redirect is an answer to judge; to follow it would carry the token elsewhere.
	p.http = &http.Client{Transport: transport(o), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return p, nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// credentials says whether requests carry any.
func (p *probe) credentials() bool {
	return p.token != "" || len(http.Header(p.o.Header).Values("Authorization")) > 0
}

func (p *probe) get(ctx context.Context, path string) (*answer, error) {
	return p.do(ctx, request{method: "GET", path: path})
}

// name is a new userName.
func (p *probe) name() string {
	p.count++
	return fmt.Sprintf("%s-n%d@example.org", p.run, p.count)
}

// nobody is an id that no resource has.
func (p *probe) nobody() string { return p.run + "-" + strings.ToLower(rand.Text()[:8]) }

// password is a new one.
func (p *probe) password() string {
	s := "Pw-7-" + rand.Text()
	p.secrets = append(p.secrets, s)
	return s
}

// userDoc is a whole invented user.
func (p *probe) userDoc(change ...func(map[string]any)) map[string]any {
	name := p.name()
	doc := map[string]any{
		"schemas": []any{urnUser}, "userName": name, "externalId": "Ext-" + name, "displayName": "Ada Kern", "title": "Engineer", "active": true,
		"name": map[string]any{"givenName": "Ada", "familyName": "Kern"},
		"emails": []any{
			map[string]any{"value": name, "type": "work", "primary": true},
			map[string]any{"value": "home." + name, "type": "home"},
		},
	}
	for _, f := range change {
		f(doc)
	}
	return doc
}

func (p *probe) groupDoc(members ...*resource) map[string]any {
	doc := map[string]any{"schemas": []any{urnGroup}, "displayName": strings.TrimSuffix(p.name(), "@example.org")}
	if len(members) > 0 {
		doc["members"] = values(members...)
	}
	return doc
}

// values is a list of members.
func values(members ...*resource) []any {
	list := []any{}
	for _, m := range members {
		list = append(list, map[string]any{"value": m.id})
	}
	return list
}

// post sends a create and remembers what may have come of it. The resource is nil when none came of it.
func (p *probe) post(ctx context.Context, r request, doc map[string]any) (*answer, *resource, error) {
	endpoint, _, _ := strings.Cut(r.path, "?")
	res := &resource{endpoint: endpoint, key: "userName", doc: doc}
	if endpoint == "/Groups" {
		res.key = "displayName"
	}
	for k, v := range doc {
		if strings.EqualFold(k, res.key) {
			res.name, _ = v.(string)
		}
	}
	r.method = http.MethodPost
	if r.body == nil {
		r.body = doc
	}
	a, err := p.do(ctx, r)
	if err != nil {
		if res.name != "" {
			p.unsure = append(p.unsure, res)
		}
		return nil, nil, err
	}
	res.answer = a
	if !a.ok() {
		if a.status >= 500 && res.name != "" {
			p.unsure = append(p.unsure, res)
		}
		return a, nil, nil
	}
	return a, p.adopt(ctx, res), nil
}

// adopt takes over what a create answered with, once it is sure that it is ours: what is adopted gets removed.
func (p *probe) adopt(ctx context.Context, res *resource) *resource {
	res.id, _ = res.answer.doc["id"].(string)
	named := p.ours(res.answer.doc, res.key)
	if res.id == "" {
		where := res.answer.header.Get("Location")
		if where == "" {
			where, _ = at(res.answer.doc, "meta", "location").(string)
		}
		if i := strings.LastIndex(where, res.endpoint+"/"); i >= 0 {
			res.id, _ = url.PathUnescape(where[i+len(res.endpoint)+1:])
		}
	}
	if res.id != "" && res.id != "." && res.id != ".." && named == "" {
		if a, err := p.get(ctx, res.path()); err == nil && a.status == http.StatusOK {
			named = p.ours(a.doc, res.key)
		}
	}
	if res.id == "" || res.id == "." || res.id == ".." || named == "" {
		if res.name != "" {
			p.unsure = append(p.unsure, res)
		}
		return nil
	}
	res.name = named
	p.made = append(p.made, res)
	return res
}

// ours is the name of a resource that this run has made, or "".
func (p *probe) ours(doc map[string]any, key string) string {
	for _, k := range []string{key, "displayName"} {
		if s, _ := doc[k].(string); strings.HasPrefix(strings.ToLower(s), p.run) {
			return s
		}
	}
	return ""
}

// newUser makes a user for a check to work on. That it cannot be made is another check's business.
func (p *probe) newUser(ctx context.Context, change ...func(map[string]any)) (*resource, error) {
	return p.needed(ctx, "/Users", p.userDoc(change...))
}

func (p *probe) newGroup(ctx context.Context, members ...*resource) (*resource, error) {
	return p.needed(ctx, "/Groups", p.groupDoc(members...))
}

func (p *probe) needed(ctx context.Context, endpoint string, doc map[string]any) (*resource, error) {
	a, res, err := p.post(ctx, request{path: endpoint}, doc)
	switch {
	case err != nil:
		return nil, skip("a resource to work on could not be made: %v", err)
	case res == nil:
		return nil, skip("a resource to work on could not be made: %s", a.brief())
	}
	return res, nil
}

// person is a user that no check changes.
func (p *probe) person(ctx context.Context) (*resource, error) {
	if p.one == nil {
		u, err := p.newUser(ctx, func(d map[string]any) {
			if p.server.enterprise {
				d["schemas"], d[urnEnterprise] = []any{urnUser, urnEnterprise}, map[string]any{"department": "Optics"}
			}
		})
		if err != nil {
			return nil, err
		}
		p.one = u
	}
	return p.one, nil
}

// cleanUp removes what was made, groups first, and says what it could not remove.
func (p *probe) cleanUp(ctx context.Context) []string {
	for _, r := range p.unsure {
		p.find(ctx, r)
	}
	var left []string
	for _, endpoint := range []string{"/Groups", "/Users"} {
		for i := len(p.made) - 1; i >= 0; i-- {
			r := p.made[i]
			if r.endpoint != endpoint {
				continue
			}
			a, err := p.do(ctx, request{method: "DELETE", path: r.path()})
			if err != nil || !a.ok() && a.status != http.StatusNotFound && a.status != http.StatusGone {
				left = append(left, r.path()+" ("+r.name+")")
			}
		}
	}
	return left
}

// find looks for what a create without a usable answer may have made. Only a resource with the very name is taken.
func (p *probe) find(ctx context.Context, r *resource) {
	a, err := p.get(ctx, r.endpoint+"?count=2&filter="+url.QueryEscape(r.key+" eq "+quoted(r.name)))
	if err != nil {
		return
	}
	list, _ := a.doc["Resources"].([]any)
	for _, e := range list {
		m, _ := e.(map[string]any)
		name, _ := m[r.key].(string)
		id, _ := m["id"].(string)
		if id != "" && strings.EqualFold(name, r.name) {
			p.made = append(p.made, &resource{endpoint: r.endpoint, id: id, name: name, key: r.key})
		}
	}
}

// quoted is a string in a filter: a JSON string (RFC 7644 §3.4.2.2).
func quoted(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil { // a string always encodes
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// alive fails when the server does not answer any more.
func (p *probe) alive(ctx context.Context) error {
	a, err := p.get(ctx, "/Users?count=1")
	switch {
	case err != nil && isNet(err):
		return wrong("the server goes on answering", "afterwards: %v", err)
	case err != nil:
		return err
	case a.status >= 500:
		return wrong("the server goes on answering", "afterwards: %s", a.brief())
	}
	return nil
}

func isNet(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) || errors.Is(err, context.DeadlineExceeded)
}
