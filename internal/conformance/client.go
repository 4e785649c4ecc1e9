package conformance

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	mediaSCIM = "application/scim+json"
	mediaJSON = "application/json"

	maxAnswer = 16 << 20
	maxWait   = 30 * time.Second // for one Retry-After
	maxTries  = 4
	maxShown  = 300 // runes of anything that was seen
)

// answer is what the server said to one request.
type answer struct {
	op     string // "GET /Users/7"
	status int
	header http.Header
	text   []byte
	doc    map[string]any // nil: not a JSON object
}

// request is what differs from request to request.
type request struct {
	method, path string // below the base, escaped, with the query
	body         any    // []byte is sent as it is, anything else as JSON; nil: none
	media        string // of the body; "": application/scim+json
	accept       string // "": application/scim+json
	header       http.Header
	anonymous    bool   // without credentials
	token        string // instead of the right one
}

func transport(o Options) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: o.CAs, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        time.Minute,
		ExpectContinueTimeout:  time.Second,
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: 256 << 10,
	}
}

// do sends a request and reads the whole answer. A server that asks for patience gets it, within bounds.
func (p *probe) do(ctx context.Context, r request) (*answer, error) {
	for try := 1; ; try++ {
		a, err := p.once(ctx, r)
		if err != nil || try == maxTries {
			return a, err
		}
		if a.status != http.StatusTooManyRequests && (a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "") {
			return a, nil
		}
		wait := time.Second
		if s, err := strconv.Atoi(a.header.Get("Retry-After")); err == nil && s >= 0 {
			wait = min(time.Duration(s)*time.Second, maxWait)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

func (p *probe) once(ctx context.Context, r request) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	var body io.Reader
	switch b := r.body.(type) {
	case nil:
	case []byte:
		body = bytes.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, p.base.String()+r.path, body)
	if err != nil {
		return nil, fmt.Errorf("%s: the request cannot be made", r.method)
	}
	for k, v := range p.o.Header {
		if !r.anonymous || http.CanonicalHeaderKey(k) != "Authorization" {
			req.Header[http.CanonicalHeaderKey(k)] = v
		}
	}
	for k, v := range r.header {
		req.Header[k] = v
	}
	req.Header.Set("User-Agent", "jmld-scim-test")
	req.Header.Set("Accept", orElse(r.accept, mediaSCIM))
	if body != nil {
		req.Header.Set("Content-Type", orElse(r.media, mediaSCIM))
	}
	switch {
	case r.token != "":
		req.Header.Set("Authorization", "Bearer "+r.token)
	case p.token != "" && !r.anonymous:
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	p.requests++
	a := &answer{op: r.method + " " + readable(r.path)}
	res, err := p.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.op, cause(ctx, err))
	}
	defer res.Body.Close()
	a.status, a.header = res.StatusCode, res.Header
	if a.text, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer+1)); err != nil {
		return nil, fmt.Errorf("%s: status %d, and the answer broke off: %w", a.op, a.status, cause(ctx, err))
	}
	if len(a.text) > maxAnswer {
		return nil, fmt.Errorf("%s: status %d with more than %d MiB", a.op, a.status, maxAnswer>>20)
	}
	if json.Unmarshal(a.text, &a.doc) != nil {
		a.doc = nil
	}
	return a, nil
}

// cause is the error without the URL that net/http puts around it.
func cause(ctx context.Context, err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	}
	return err
}

// reach finds out whether there is anything to test. What is wrong with the answer is for the checks; that there is
// none, or that the token is refused, ends the run.
func (p *probe) reach(ctx context.Context) error {
	a, err := p.do(ctx, request{method: "GET", path: "/Users?count=1"})
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("test %s: %w", p.base, context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("%s cannot be reached: %s", p.base, p.scrub(err.Error()))
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		return fmt.Errorf("%s does not let us in: %s", p.base, p.scrub(a.brief()))
	}
	return nil
}

// media is the type of the body, without parameters.
func (a *answer) media() string {
	m, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return m
}

// brief is the answer in one line. It shows an error's words, and nothing of a resource.
func (a *answer) brief() string {
	s := fmt.Sprintf("%s: %d", a.op, a.status)
	if to := a.header.Get("Location"); a.status >= 300 && a.status < 400 && to != "" {
		return s + " to " + to
	}
	switch {
	case len(bytes.TrimSpace(a.text)) == 0:
		return s + ", no body"
	case a.doc == nil:
		return s + ", " + orElse(a.media(), "no media type") + ", not a JSON object"
	}
	if a.status >= 400 {
		for _, k := range []string{"scimType", "detail"} {
			if v, ok := a.doc[k].(string); ok {
				s += ", " + v
			}
		}
	}
	return s
}

func (a *answer) ok() bool { return a.status >= 200 && a.status < 300 }

// readable is the path as a person writes it.
func readable(path string) string {
	where, query, found := strings.Cut(path, "?")
	if u, err := url.PathUnescape(where); err == nil {
		where = u
	}
	if !found {
		return clip(where, 120)
	}
	if u, err := url.QueryUnescape(query); err == nil {
		query = u
	}
	return clip(where+"?"+query, 200)
}

// clip shortens text to n runes on one line.
func clip(s string, n int) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ")
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// scrub takes secrets out of what is shown and shortens it.
func (p *probe) scrub(s string) string {
	for _, secret := range p.secrets {
		s = strings.ReplaceAll(s, secret, "[secret]")
		s = strings.ReplaceAll(s, url.QueryEscape(secret), "[secret]")
	}
	return clip(s, maxShown)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
