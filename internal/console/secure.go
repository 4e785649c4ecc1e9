package console

import (
	"net/http"
	"net/url"
	"strings"

	"go.uber.org/zap"

	"jmld/model"
)

// policy lets the browser load the style sheet and the icon from here, send forms here, and nothing else.
const contentPolicy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// secure puts the doors in front of the pages and the headers on every answer.
func (c *console) secure(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection() // Sec-Fetch-Site, else Origin against Host
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin") // not no-referrer: that sends "Origin: null" with our own forms
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")

		if c.doors.open() && !c.doors.here(r) {
			c.problem(w, r, http.StatusForbidden, "Only from this machine",
				"This console has no operator token, so it answers only requests from the machine it runs on, by the name localhost or a loopback address. Set console.token to open it to others.")
			return
		}
		if err := cross.Check(r); err != nil {
			c.log.Warn("cross-origin request refused", zap.String(model.FieldRemote, r.RemoteAddr), zap.Error(err))
			c.problem(w, r, http.StatusForbidden, "Sent from another page",
				"This form was not sent from this console. Open the page here and send it again.")
			return
		}
		if c.admitted(w, r) {
			r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
			next.ServeHTTP(w, r)
		}
	})
}

// admitted reports whether the request may go on; otherwise it has been answered.
func (c *console) admitted(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case c.doors.open(), r.URL.Path == "/login", r.URL.Path == "/logout", strings.HasPrefix(r.URL.Path, "/static/"):
		return true
	}
	if token, ok := bearer(r); ok {
		switch c.doors.present(r, token) {
		case admitted:
			return true
		case throttled:
			c.tooMany(w, r)
		case refused:
			w.Header().Set("WWW-Authenticate", `Bearer realm="jmld console", error="invalid_token"`)
			c.problem(w, r, http.StatusUnauthorized, "Wrong token", "The token is not the operator's.")
		}
		return false
	}
	if c.doors.session(r) {
		return true
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		to := "/login"
		if r.URL.Path != "/" || r.URL.RawQuery != "" {
			to += "?next=" + url.QueryEscape(r.URL.RequestURI())
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
		return false
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="jmld console"`)
	c.problem(w, r, http.StatusUnauthorized, "Please sign in again", "Your session has ended; nothing was done.")
	return false
}

func (c *console) tooMany(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "60")
	c.log.Warn("console token guesses throttled", zap.String(model.FieldRemote, r.RemoteAddr))
	c.problem(w, r, http.StatusTooManyRequests, "Too many wrong tokens", "Wait a minute, then try again.")
}

// actor names the operator in plans and in the audit trail.
func actor(r *http.Request) string {
	if a, ok := remote(r); ok {
		return "operator console, " + a.String()
	}
	return "operator console"
}

// actorNamed is actor with the name that whoever sent the form gave.
func actorNamed(r *http.Request, name string) string {
	return "operator " + name + ", " + strings.TrimPrefix(actor(r), "operator ")
}
