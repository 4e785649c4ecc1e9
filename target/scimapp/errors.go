package scimapp

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"jmld/jml/engine"
	"jmld/model"
)

const (
	credentialsPause = time.Minute
	throttlePause    = 30 * time.Second // a 429 that does not say for how long
	longestPause     = time.Hour        // whatever Retry-After says
)

// elsewhere judges the answers that are not about the account: nil lets the caller judge.
//
//	3xx            broken: redirects are not followed
//	401 403 407    credentials, after a minute
//	429            throttled, after Retry-After
//	503 Retry-After  throttled likewise
//	408 425 5xx    unreachable, but 501 (not implemented) is about the request
func (t *Target) elsewhere(a *answer) error {
	pause, says := retryAfter(a.header.Get("Retry-After"), t.o.Now())
	switch s := a.status; {
	case s >= 300 && s < 400:
		return model.Errorf(model.CodeTargetBroken, "%s", t.name("%s: status %d points to %s; redirects are not followed, correct the url",
			a.op, s, place(a.header.Get("Location"))))
	case s == http.StatusUnauthorized || s == http.StatusForbidden || s == http.StatusProxyAuthRequired:
		return engine.After(model.Errorf(model.CodeTargetCredentials, "%s", t.name("%s: status %d: the token is not accepted or may not do this", a.op, s)),
			max(pause, credentialsPause))
	case s == http.StatusTooManyRequests:
		if !says {
			pause = throttlePause
		}
		return engine.After(model.Errorf(model.CodeTargetThrottled, "%s", t.name("%s: status %d", a.op, s)), pause)
	case s == http.StatusServiceUnavailable && says:
		return engine.After(model.Errorf(model.CodeTargetThrottled, "%s", t.name("%s: status %d", a.op, s)), pause)
	case s == http.StatusNotImplemented:
		return nil
	case s >= 500 || s == http.StatusRequestTimeout || s == http.StatusTooEarly || s < 200:
		return model.Errorf(model.CodeTargetUnreachable, "%s", t.name("%s: status %d", a.op, s))
	}
	return nil
}

// refusal is an answer that says no to this account and will again: RFC 7644 §3.12, as far as the provider follows it.
func (t *Target) refusal(a *answer) error {
	code := model.CodeTargetRefused
	if a.status == http.StatusConflict {
		code = model.CodeTargetConflict
	}
	return engine.Permanent(model.Errorf(code, "%s", t.name("%s: status %d%s", a.op, a.status, a.words())))
}

// scimType is the provider's reason, "" when it gives none.
func (a *answer) scimType() string {
	s, _ := a.body["scimType"].(string)
	return s
}

// words are the provider's scimType and detail, clipped, on one line, and without the token, should it be repeated there.
func (a *answer) words() string {
	out := ""
	if s := a.scimType(); s != "" {
		out += " " + clip(a.scrub(s), 40)
	}
	if s, _ := a.body["detail"].(string); s != "" {
		out += ": " + clip(a.scrub(s), 200)
	}
	return out
}

func (a *answer) scrub(s string) string {
	if a.token == "" {
		return s
	}
	return strings.ReplaceAll(s, a.token, "[token]")
}

// retryAfter reads seconds or an HTTP date (RFC 9110 §10.2.3), at least a second and at most an hour.
func retryAfter(text string, now time.Time) (time.Duration, bool) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, false
	}
	var d time.Duration
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		d = time.Duration(min(n, uint64(longestPause/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		d = at.Sub(now)
	} else {
		return 0, false
	}
	return min(max(d, time.Second), longestPause), true
}

// place is the scheme and host of a Location, without path and query: they may carry secrets.
func place(location string) string {
	u, err := url.Parse(location)
	if err != nil || u.Host == "" {
		return "another place"
	}
	return clip(u.Scheme+"://"+u.Host, 100)
}

func clip(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}
