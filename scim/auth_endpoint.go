package scim

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	elimity "github.com/elimity-com/scim/errors"
)

const (
	maxForm       = 16 << 10
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// grantError is an error answer of the token endpoint (RFC 6749 §5.2).
type grantError struct {
	status      int
	Code        string `json:"error"`
	Description string `json:"error_description"`
}

func (e grantError) Error() string { return e.Code + ": " + e.Description }

func badGrant(code, description string) error {
	return grantError{http.StatusBadRequest, code, description}
}

// badClient has one text, whatever is wrong with the credentials.
func badClient() error {
	return grantError{http.StatusUnauthorized, "invalid_client", "The client is not known or its credentials are wrong."}
}

// grant answers a request for an access token (RFC 6749 §4.4.2).
func (q *request) grant(src *source) error {
	q.route = "/oauth/token"
	if q.r.Method != http.MethodPost {
		return refusal{
			ScimError: elimity.ScimError{Status: http.StatusMethodNotAllowed, Detail: "The token endpoint takes POST only."},
			allow:     http.MethodPost,
		}
	}
	c, err := q.grantee(src)
	var bad grantError
	if errors.As(err, &bad) {
		q.reason = bad.Error()
		if bad.status == http.StatusUnauthorized {
			q.w.Header().Set("WWW-Authenticate", basicChallenge)
		}
		return q.answerGrant(bad.status, bad)
	}
	if err != nil {
		return err
	}
	q.source, q.token, q.via = src, c.token, c.via
	leave, err := src.limits.enter(q.token.ID)
	if err != nil {
		return err
	}
	defer leave()
	token, err := src.issue(q.h.o.Now())
	if err != nil {
		return err
	}
	return q.answerGrant(http.StatusOK, struct {
		Token   string `json:"access_token"`
		Type    string `json:"token_type"`
		Expires int    `json:"expires_in"`
		Scope   string `json:"scope"`
	}{token, "Bearer", int(src.OAuth.Lifetime.Seconds()), "scim"})
}

// grantee finds out which client asks.
func (q *request) grantee(src *source) (client, error) {
	media, _, err := mime.ParseMediaType(q.r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return client{}, badGrant("invalid_request", "The body has to be application/x-www-form-urlencoded.")
	}
	text, err := q.readBody(maxForm)
	if err != nil {
		return client{}, err
	}
	form, err := url.ParseQuery(string(text))
	if err != nil {
		return client{}, badGrant("invalid_request", "The body is not well-formed.")
	}
	for _, values := range form {
		if len(values) > 1 { // RFC 6749 §3.2
			return client{}, badGrant("invalid_request", "A parameter stands there twice.")
		}
	}
	scheme, credentials := authorization(q.r.Header)
	ways := 0
	for _, used := range []bool{scheme != "", form.Get("client_secret") != "", form.Get("client_assertion") != ""} {
		if used {
			ways++
		}
	}
	switch {
	case ways > 1: // RFC 6749 §2.3
		return client{}, badGrant("invalid_request", "The client shows its credentials in more than one way.")
	case form.Get("grant_type") == "":
		return client{}, badGrant("invalid_request", "grant_type is missing.")
	case form.Get("grant_type") != "client_credentials":
		return client{}, badGrant("unsupported_grant_type", "The grant type is client_credentials.")
	case form.Get("client_assertion") != "":
		return src.asserted(q, form)
	case scheme == "basic":
		return src.byHeader(credentials)
	case scheme == "":
		return src.bySecret(form.Get("client_id"), form.Get("client_secret"))
	}
	return client{}, badClient()
}

// byHeader reads RFC 6749 §2.3.1: id and secret are form-encoded before they are joined. Many clients leave that out, so
// both readings count.
func (s *source) byHeader(credentials string) (client, error) {
	id, secret, ok := pair(credentials)
	if !ok {
		return client{}, badClient()
	}
	c, err := s.bySecret(id, secret)
	if err == nil || !strings.ContainsAny(id+secret, "%+") {
		return c, err
	}
	var bad error
	if id, bad = url.QueryUnescape(id); bad == nil {
		secret, bad = url.QueryUnescape(secret)
	}
	if bad != nil {
		return client{}, err
	}
	return s.bySecret(id, secret)
}

func (s *source) bySecret(id, secret string) (client, error) {
	secrets, err := s.clientSecrets.get()
	if err != nil {
		return client{}, err
	}
	known, right := same(id, s.OAuth.ClientID), anyOf(secrets, secret)
	if !known || !right {
		return client{}, badClient()
	}
	return newClient(s.Name, viaOAuth, s.OAuth.ClientID, nil), nil
}

// asserted checks a client assertion (RFC 7521 §4.2, RFC 7523 §2.2 and §3).
func (s *source) asserted(q *request, form url.Values) (client, error) {
	switch id := form.Get("client_id"); {
	case s.JWT == nil:
		return client{}, badClient()
	case form.Get("client_assertion_type") != assertionType:
		return client{}, badGrant("invalid_request", "client_assertion_type has to be "+assertionType+".")
	case id != "" && id != s.OAuth.ClientID && id != s.JWT.Subject:
		return client{}, badClient()
	}
	if _, err := s.issued(q.r.Context(), form.Get("client_assertion")); err != nil {
		var r refusal
		if errors.As(err, &r) && r.Status == http.StatusUnauthorized { // the signature is right where more is said
			return client{}, grantError{http.StatusUnauthorized, "invalid_client", r.Detail}
		}
		return client{}, err
	}
	return newClient(s.Name, viaOAuth, s.OAuth.ClientID, nil), nil
}

func (q *request) answerGrant(status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	h := q.w.Header()
	h.Set("Content-Type", mediaJSON)
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache") // RFC 6749 §5.1
	h.Set("Content-Length", strconv.Itoa(len(body)))
	q.w.WriteHeader(status)
	q.w.Write(body) //nolint:errcheck // the client has gone; there is nobody to tell
	return nil
}
