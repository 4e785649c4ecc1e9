package scimapp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"jmld/jml/engine"
	"jmld/model"
)

// maxAnswer bounds what is read of one answer.
const maxAnswer = 8 << 20

// answer is what the provider said, read to its end and checked to be SCIM where it matters.
type answer struct {
	op     string // "GET /Users/{id}", for errors
	status int
	header http.Header
	body   map[string]any // nil when there was none
	token  string         // to be kept out of what is repeated
}

// missing: there is no such resource.
func (a *answer) missing() bool {
	return a.status == http.StatusNotFound || a.status == http.StatusGone
}

// do sends one request and reads the answer. The error is set when there is no usable answer, or one that says nothing
// about this account: network, TLS, credentials, throttling, 5xx, redirects, pages instead of SCIM. A status of 2xx or
// one about the request (4xx) is the caller's to judge.
func (t *Target) do(ctx context.Context, method, path string, body any, header http.Header) (*answer, error) {
	op := method + " " + opName(path)
	token, err := t.token()
	if err != nil {
		return nil, engine.After(model.Errorf(model.CodeTargetCredentials, "%s: %w", t.name("token"), err), credentialsPause)
	}
	rctx, cancel := context.WithTimeout(ctx, t.o.Timeout)
	defer cancel()
	req, err := t.request(rctx, method, path, body, header, token)
	if err != nil {
		return nil, engine.Permanent(model.Errorf(model.CodeTargetRefused, "%s", t.name("%s: the request cannot be made", op)))
	}
	res, err := t.http.Do(req)
	if err != nil {
		return nil, t.unreachable(ctx, op, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, t.unreachable(ctx, op, err)
	}
	a := &answer{op: op, status: res.StatusCode, header: res.Header, token: token}
	if err := t.elsewhere(a); err != nil {
		return nil, err
	}
	return a, t.decode(a, text)
}

func (t *Target) request(ctx context.Context, method, path string, body any, header http.Header, token string) (*http.Request, error) {
	var content io.Reader
	if body != nil {
		text, err := encode(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, t.base+path, content)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("Accept", "application/scim+json, application/json;q=0.9")
	req.Header.Set("User-Agent", "jmld")
	if body != nil {
		req.Header.Set("Content-Type", "application/scim+json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}

func (t *Target) token() (string, error) {
	if t.o.Token == nil {
		return "", nil
	}
	token, err := t.o.Token()
	if err != nil {
		return "", err
	}
	token = strings.TrimSpace(token)
	if token == "" {
		return "", errors.New("it is empty")
	}
	for _, c := range []byte(token) {
		if c <= ' ' || c >= 0x7f {
			return "", errors.New("it has characters that no token has")
		}
	}
	return token, nil
}

// decode reads the body as a JSON object. A page is never SCIM, whatever its status: a 404 of a proxy must not pass for
// an account that is gone.
func (t *Target) decode(a *answer, text []byte) error {
	kind, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	ok := a.status < 300
	switch {
	case len(text) > maxAnswer:
		return model.Errorf(model.CodeTargetBroken, "%s", t.name("%s: the answer is longer than %d MiB", a.op, maxAnswer>>20))
	case len(bytes.TrimSpace(text)) == 0:
		return nil // 204, or an error without words; who needs a body asks for it
	case kind == "text/html" || kind == "application/xhtml+xml" || bytes.HasPrefix(bytes.TrimSpace(text), []byte("<")):
		return model.Errorf(model.CodeTargetBroken, "%s", t.name("%s: status %d with a web page, not SCIM", a.op, a.status))
	case ok && (err != nil || kind != "application/scim+json" && kind != "application/json"):
		return model.Errorf(model.CodeTargetBroken, "%s",
			t.name("%s: content type %q, want application/scim+json", a.op, clip(a.header.Get("Content-Type"), 60)))
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	derr := dec.Decode(&a.body)
	if derr == nil && a.body == nil {
		derr = errors.New("null")
	}
	if derr == nil && dec.More() {
		derr = errors.New("more than one value")
	}
	if derr != nil && ok {
		return model.Errorf(model.CodeTargetBroken, "%s", t.name("%s: the answer is not a JSON object", a.op))
	}
	if derr != nil {
		a.body = nil
	}
	return nil
}

// unreachable: no answer. When the caller's own context ended it is that, not the target's fault.
func (t *Target) unreachable(ctx context.Context, op string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", t.name("%s", op), context.Cause(ctx))
	}
	var ue *url.Error
	if errors.As(err, &ue) { // its text has the whole url, filter and all
		if ue.Timeout() {
			return model.Errorf(model.CodeTargetUnreachable, "%s: %w", t.name("%s: no answer within %s", op, t.o.Timeout), context.DeadlineExceeded)
		}
		err = ue.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return model.Errorf(model.CodeTargetUnreachable, "%s: %w", t.name("%s: no whole answer within %s", op, t.o.Timeout), err)
	}
	return model.Errorf(model.CodeTargetUnreachable, "%s: %w", t.name("%s", op), err)
}

// opName is the path without what it says about a person.
func opName(path string) string {
	path, _, _ = strings.Cut(path, "?")
	if strings.HasPrefix(path, "/Users/") {
		return "/Users/{id}"
	}
	return path
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
